"""A bridge in a test: deliveries are put into storage, workers are run by hand."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import orjson

from biometrics import pipeline
from biometrics.models import OutboxMessage, WebhookDelivery
from biometrics.models.intake import DeliveryOrigin, DeliveryStatus
from biometrics.pipeline import ProcessOutcome
from biometrics.shards import shard_of

NOW = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)


@dataclass(slots=True)
class World:
    """The clock of a test and what it does to the bridge."""

    now: datetime = NOW
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    def clock(self) -> datetime:
        return self.now

    def wait(self, **span: float) -> None:
        self.now += timedelta(**span)

    def store(
        self,
        body: dict[str, Any] | bytes,
        *,
        vendor: str = "acme",
        account: str = "someone",
        reference: str = "",
        headers: dict[str, str] | None = None,
        origin: str = DeliveryOrigin.WEBHOOK,
        **columns: Any,
    ) -> WebhookDelivery:
        """Keep a delivery as intake does."""
        number = next(self._numbers)
        return WebhookDelivery.objects.create(
            public_id=uuid4(),
            vendor=vendor,
            account_id=account,
            reference=reference,
            event_type="said",
            dedupe_key=f"{account}:{number}:{uuid4()}",
            shard=shard_of(vendor, account),
            body=body if isinstance(body, bytes) else orjson.dumps(body),
            headers=headers or {},
            received_at=self.now,
            origin=origin,
            **columns,
        )

    def run(self, *, budget_s: float = 60.0) -> list[ProcessOutcome]:
        """Have every shard with due deliveries worked off once."""
        return [
            pipeline.process_shard(shard=shard, now=self.clock, budget_s=budget_s)
            for shard in sorted(pipeline.due_process_shards(now=self.now))
        ]

    def carry(self, body: dict[str, Any], **arguments: Any) -> WebhookDelivery:
        """Store a delivery, run the workers, return what became of it."""
        delivery = self.store(body, **arguments)
        self.run()
        delivery.refresh_from_db()
        return delivery


def record(record_id: str = "r1", **said: Any) -> dict[str, Any]:
    """Return one record as the test vendors' bodies say it."""
    return {"id": record_id, "stamp": NOW.isoformat(), **said}


def says(*records: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"records": list(records), **more}


def night(day: str, ms: float | None, **said: Any) -> dict[str, Any]:
    """Return a sleep that ended on the morning of `day` with this rMSSD."""
    readings = {} if ms is None else {"heart_rate_variability_rmssd": ms}
    return record(
        said.pop("record_id", f"sleep-{day}"),
        stamp=f"{day}T07:30:00+00:00",
        start=f"{day}T00:00:00+00:00",
        end=f"{day}T07:00:00+00:00",
        zone="+00:00",
        date=day,
        readings=readings,
        night={"night": day, "ms": ms, **said.pop("signals", {})},
        **said,
    )


def sent() -> list[OutboxMessage]:
    """Return everything in the outbox, in order."""
    return list(OutboxMessage.objects.order_by("id"))


def value(message: OutboxMessage) -> Any:
    return orjson.loads(bytes(message.value or b"null"))


def states() -> dict[str, int]:
    """Count the deliveries by status."""
    found: dict[str, int] = {}
    for status in WebhookDelivery.objects.values_list("status", flat=True):
        found[status] = found.get(status, 0) + 1
    return found


PROCESSED = DeliveryStatus.PROCESSED
