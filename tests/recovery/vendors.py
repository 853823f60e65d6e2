"""People at the fake vendors: what their devices measured, what webhooks brought."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import uuid4

import orjson

from auren.devstack.fakes.faults import Fault
from auren.devstack.fakes.world import World
from auren.devstack.simulator.wire import Document
from biometrics import pipeline
from biometrics.connections import registry
from biometrics.models import OutboxMessage, VendorConnection, WebhookDelivery
from biometrics.shards import shard_of

ACCOUNTS = {"oura": "ring-1", "whoop": "4711", "terra": "terra-1"}
_SCOPES = {
    "oura": "personal daily heartrate workout tag session spo2Daily stress"
    " ring_configuration heart_health",
    "whoop": "read:recovery read:cycles read:workout read:sleep read:profile"
    " read:body_measurement offline",
}


@dataclass(slots=True, kw_only=True)
class Vendors:
    """The fake vendors' world, and a bridge beside it whose workers run by hand."""

    world: World
    shift: timedelta = timedelta()

    def now(self) -> datetime:
        return self.world.clock() + self.shift

    def connect(
        self, vendor: str = "oura", *, scopes: str | None = None
    ) -> VendorConnection:
        grant = self.world.vendors[vendor].grants.issue(
            account=ACCOUNTS[vendor],
            scopes=(scopes or _SCOPES[vendor]).split(),
            now=self.world.clock(),
        )
        connection = registry.add_connection(
            vendor=vendor,
            account_id=ACCOUNTS[vendor],
            label=f"Robin of {vendor}",
            access_token=grant.access_token,
            refresh_token=grant.refresh_token or "",
            expires_at=grant.expires_at,
        )
        # The database stamped it by its own clock.
        VendorConnection.objects.filter(
            id=connection.id, backfill_due_at__isnull=False
        ).update(backfill_due_at=self.now())
        return connection

    def day(self, ago: int) -> date:
        return self.world.clock().date() - timedelta(days=ago)

    def put(
        self, vendor: str, collection: str, key: str, at: str, body: dict[str, Any]
    ) -> None:
        self.world.vendors[vendor].documents.put(
            Document(
                vendor=vendor,
                account=ACCOUNTS[vendor],
                collection=collection,
                key=key,
                at=at,
                body=body,
            )
        )

    def score(self, ago: int, score: int = 80) -> str:
        """Have the ring know the sleep score of a day; returns the document's id."""
        day = self.day(ago).isoformat()
        key = f"score-{day}"
        body = {
            "id": key,
            "day": day,
            "score": score,
            "timestamp": f"{day}T00:00:00+00:00",
        }
        self.put("oura", "daily_sleep", key, day, body)
        return key

    def sleep(self, ago: int, hrv: int = 50) -> str:
        """Have the ring know the main sleep that ended on a day."""
        day, before = self.day(ago), self.day(ago + 1)
        key = f"sleep-{day.isoformat()}"
        body = {
            "id": key,
            "day": day.isoformat(),
            "type": "long_sleep",
            "bedtime_start": f"{before.isoformat()}T23:00:00+00:00",
            "bedtime_end": f"{day.isoformat()}T07:00:00+00:00",
            "average_hrv": hrv,
            "lowest_heart_rate": 50,
            "total_sleep_duration": 25_000,
        }
        self.put("oura", "sleep", key, day.isoformat(), body)
        return key

    def beats(self, ago: int, *bpm: int) -> None:
        """Have the ring know heart rates of a day, one each hour from midnight UTC."""
        for hour, rate in enumerate(bpm):
            at = f"{self.day(ago).isoformat()}T{hour:02d}:00:00+00:00"
            row = {"bpm": rate, "source": "awake", "timestamp": at}
            self.put("oura", "heartrate", at, at, row)

    def band(
        self, ago: int, hrv: float = 60.0, *, offset: str | None = "+00:00"
    ) -> str:
        """Have the band know a night: sleep, recovery and cycle; returns the sleep's id."""
        day = self.day(ago).isoformat()
        start, end = (
            f"{self.day(ago + 1).isoformat()}T23:00:00.000Z",
            f"{day}T07:00:00.000Z",
        )
        key, cycle = f"00000000-0000-4000-8000-{self.day(ago):%Y%m%d}0000", ago + 1
        base = {
            "user_id": 4711,
            "created_at": end,
            "updated_at": end,
            "score_state": "SCORED",
        }
        sleep = base | {
            "id": key,
            "cycle_id": cycle,
            "start": start,
            "end": end,
            "timezone_offset": offset,
            "nap": False,
            "score": {"respiratory_rate": 15.0},
        }
        recovery = base | {
            "cycle_id": cycle,
            "sleep_id": key,
            "score": {
                "user_calibrating": False,
                "recovery_score": 66.0,
                "resting_heart_rate": 50.0,
                "hrv_rmssd_milli": hrv,
            },
        }
        self.put("whoop", "sleep", key, end, sleep)
        self.put("whoop", "recovery", str(cycle), end, recovery)
        body = base | {
            "id": cycle,
            "start": end,
            "timezone_offset": offset,
            "score": {"strain": 8.0},
        }
        self.put("whoop", "cycle", str(cycle), end, body)
        return key

    def push(self, connection: VendorConnection, ago: int, **values: float) -> None:
        """Have a phone tell what it measured at noon of a day, by HealthKit's names."""
        at = f"{self.day(ago).isoformat()}T12:00:00Z"
        records = [
            {
                "id": f"{kind}-{at}",
                "type": f"HKQuantityTypeIdentifier{kind}",
                "startDate": at,
                "endDate": at,
                "zoneOffset": "+00:00",
                "value": value,
                "unit": {"HeartRateVariabilitySDNN": "ms"}.get(kind, "bpm"),
            }
            for kind, value in values.items()
        ]
        body = {"provider": "apple", "sdkVersion": "1", "data": {"records": records}}
        self.keep(body, vendor="healthkit", account=connection.account_id)

    def fault(self, kind: str, **arguments: Any) -> None:
        self.world.faults.add(Fault(vendor="oura", kind=kind, **arguments))

    def webhook(self, data_type: str, key: str, *, vendor: str = "oura") -> None:
        """Store what a vendor's webhook says, as intake does."""
        account = ACCOUNTS[vendor]
        said = (
            {
                "event_type": "create",
                "data_type": data_type,
                "object_id": key,
                "user_id": account,
            }
            if vendor == "oura"
            else {"type": f"{data_type}.updated", "id": key, "user_id": int(account)}
        )
        self.keep(said, vendor=vendor, account=account)

    def keep(self, body: dict[str, Any], *, vendor: str, account: str) -> None:
        """Store a delivery as intake does."""
        WebhookDelivery.objects.create(
            public_id=uuid4(),
            vendor=vendor,
            account_id=account,
            event_type="said",
            dedupe_key=str(uuid4()),
            shard=shard_of(vendor, account),
            body=orjson.dumps(body),
            received_at=self.now(),
        )

    def run(self) -> None:
        """Have every delivery that is due carried to the outbox."""
        for shard in sorted(pipeline.due_process_shards(now=self.now())):
            pipeline.process_shard(shard=shard, now=self.now, budget_s=60.0)


def published() -> list[str]:
    """Return the kinds of records in the outbox, in order."""
    return list(
        OutboxMessage.objects.order_by("id").values_list("event_type", flat=True)
    )


def fates() -> set[tuple[str, str]]:
    """Return the pairs of origin and status that deliveries have."""
    return set(WebhookDelivery.objects.values_list("origin", "status"))
