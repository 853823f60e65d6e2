"""What has served its time goes, and nothing that somebody still needs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import call_command
from django.db import connection, connections, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django.fixtures import Settings

from biometrics import ledger, retention, untold
from biometrics.alerts.configured import configured_ruleset
from biometrics.models import (
    AuditEntry,
    BiometricEvent,
    DeliveryDocument,
    HrvNight,
    OutboxMessage,
    Reading,
    WebhookDelivery,
)
from tests.pipeline.test_gathered import Phone, part, sample, samples
from tests.pipeline.test_ledger import count
from tests.pipeline.world import World, night, record, says

NOW = datetime(2026, 11, 24, 7, 0, tzinfo=UTC)
pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _days(settings: Settings) -> None:
    settings.RAW_RETENTION_DAYS = 30
    settings.MESSAGE_RETENTION_DAYS = 7
    settings.EVENT_RETENTION_DAYS = 0
    settings.AUDIT_RETENTION_DAYS = 0


def delivery(
    *, age_days: float, status: str = "processed", now: datetime = NOW
) -> None:
    at = now - timedelta(days=age_days)
    row = WebhookDelivery.objects.create(
        public_id=uuid4(),
        vendor="oura",
        dedupe_key=str(uuid4()),
        shard=0,
        body=b"{}",
        status=status,
        received_at=at,
    )
    DeliveryDocument.objects.create(
        delivery=row, url="/x", status=200, body=b"{}", fetched_at=at
    )


def message(*, age_days: float, status: str = "published") -> None:
    at = NOW - timedelta(days=age_days)
    OutboxMessage.objects.create(
        ce_id=uuid4(),
        shard=0,
        subject=uuid4(),
        topic="t",
        event_type="sleep.created",
        headers={},
        value=b"{}",
        status=status,
        created_at=at,
        published_at=at if status == "published" else None,
    )


def many() -> None:
    for age in (1, 29.9, 30.1, 400):
        delivery(age_days=age)
    for status in ("pending", "retrying", "unlinked", "parked"):
        delivery(age_days=400, status=status)
    for age in (1, 6.9, 7.1, 400):
        message(age_days=age)
    message(age_days=400, status="pending")
    message(age_days=400, status="parked")


def test_what_is_due_is_what_goes() -> None:
    many()
    due = retention.due(now=NOW)
    assert due == {"bodies": 2, "documents": 2, "messages": 2}
    assert WebhookDelivery.objects.filter(body=None).count() == 0
    assert retention.retain(now=NOW, limit_s=60) == due
    assert retention.due(now=NOW) == {"bodies": 0, "documents": 0, "messages": 0}
    assert WebhookDelivery.objects.filter(body=None).count() == 2
    kept = OutboxMessage.objects.exclude(value=None)
    assert sorted(kept.values_list("status", flat=True)) == [
        "parked",
        "pending",
        "published",
        "published",
    ]


def test_no_row_goes() -> None:
    many()
    before = (WebhookDelivery.objects.count(), OutboxMessage.objects.count())
    retention.retain(now=NOW, limit_s=60)
    assert (WebhookDelivery.objects.count(), OutboxMessage.objects.count()) == before


def test_a_run_without_time_changes_nothing() -> None:
    many()
    done = retention.retain(now=NOW, limit_s=-1)
    assert set(done.values()) == {0}


def test_the_command_counts_before_it_drops() -> None:
    delivery(age_days=31, now=timezone.now())

    def told(*arguments: str) -> str:
        out = StringIO()
        call_command("retention", *arguments, stdout=out)
        return out.getvalue()

    assert "bodies\t1 would be dropped" in told("--dry-run")
    assert WebhookDelivery.objects.get().body is not None
    assert "bodies\t1 dropped" in told()
    assert WebhookDelivery.objects.get().body is None
    assert "bodies\t0 would be dropped" in told("--dry-run")


OLD: dict[str, Any] = {
    "type": "daily_activity",
    "date": "2025-06-01",
    "readings": {"steps": 4000.0},
}


def told(world: World, *records: dict[str, Any], status: str = "published") -> None:
    """Carry records to events, and let it be long ago that their messages stood so."""
    assert world.carry(says(*records)).status == "processed"
    long_ago = NOW - timedelta(days=500)
    BiometricEvent.objects.update(created_at=long_ago)
    OutboxMessage.objects.filter(status="pending").update(
        status=status, published_at=long_ago if status == "published" else None
    )


@pytest.fixture
def for_a_year(settings: Settings) -> None:
    settings.EVENT_RETENTION_DAYS = 365


def forget() -> dict[str, int]:
    expected = retention.due(now=NOW)
    assert retention.retain(now=NOW, limit_s=60) == expected
    return expected


@pytest.mark.usefixtures("for_a_year")
class TestEvents:
    def test_an_old_event_keeps_its_row_and_loses_what_it_says(
        self, world: World
    ) -> None:
        told(world, record(**OLD))
        assert forget()["events"] == 1
        event = BiometricEvent.objects.get()
        assert (event.data, event.problems) == ({}, [])
        assert not Reading.objects.exists()
        assert forget()["events"] == 0

    def test_nothing_goes_where_no_time_is_set(
        self, world: World, settings: Settings
    ) -> None:
        settings.EVENT_RETENTION_DAYS = 0
        told(world, record(**OLD))
        assert "events" not in forget()
        assert BiometricEvent.objects.get().data
        assert Reading.objects.exists()

    @pytest.mark.parametrize("status", ["pending", "in_batch", "parked"])
    def test_what_is_not_published_stays(self, world: World, status: str) -> None:
        told(world, record(**OLD), status=status)
        assert forget()["events"] == 0
        assert BiometricEvent.objects.get().data

    def test_what_was_never_told_stays(self, world: World) -> None:
        told(world, record(**OLD))
        OutboxMessage.objects.all().delete()
        assert forget()["events"] == 0

    def test_what_a_night_is_judged_by_stays(self, world: World) -> None:
        lookback = configured_ruleset().lookback_nights
        inside, outside = (
            str((NOW - timedelta(days=days)).date())
            for days in (lookback, lookback + 10)
        )
        # A history may have been fetched long before; only the night's own date counts.
        told(world, night(inside, 40.0), night(outside, 41.0))
        assert forget()["events"] == 1
        kept = BiometricEvent.objects.exclude(data={})
        assert [str(event.local_date) for event in kept] == [inside]
        assert HrvNight.objects.count() == 2

    def test_what_has_no_date_goes_by_the_time_it_came(self, world: World) -> None:
        """Pieces of a phone's night may have none: what was measured when does not count."""
        undated = {k: v for k, v in OLD.items() if k != "date"}
        undated["stamp"] = "2019-01-01T07:30:00+00:00"
        told(
            world,
            *(record(name, **undated) for name in ("came-early", "came-late")),
        )
        edge = NOW - timedelta(days=365)
        for name, at in (
            ("came-early", edge - timedelta(seconds=1)),
            ("came-late", edge),
        ):
            BiometricEvent.objects.filter(record_id=name).update(created_at=at)
        assert set(BiometricEvent.objects.values_list("local_date")) == {(None,)}
        assert forget()["events"] == 1
        kept = BiometricEvent.objects.exclude(data={})
        assert [event.record_id for event in kept] == ["came-late"]

    def test_what_comes_again_is_known(self, world: World) -> None:
        told(world, record(**OLD))
        forget()
        world.carry(says(record(**OLD)))
        assert BiometricEvent.objects.get().data == {}
        assert OutboxMessage.objects.count() == 1
        silent = untold.silent_events(since=NOW - timedelta(days=900), until=NOW)
        assert not silent.exists()

    def test_the_ledger_balances_as_before(self, world: World) -> None:
        told(world, record(**OLD))
        long_ago = NOW - timedelta(days=500)
        WebhookDelivery.objects.update(received_at=long_ago)
        count(long_ago)

        def balance() -> ledger.Balance:
            return ledger.between(since=long_ago - timedelta(days=1), until=NOW)

        before = balance()
        assert (before.total.stored, before.imbalance) == (1, 0)
        gone = {"bodies": 1, "documents": 0, "messages": 1, "events": 1}
        assert forget() == gone
        assert balance() == before

    def test_a_newer_revision_is_news(self, world: World) -> None:
        told(world, record(**OLD))
        forget()
        newer = {**record(**OLD), "stamp": (NOW + timedelta(hours=1)).isoformat()}
        world.carry(says({**newer, "readings": {"steps": 5000.0}}))
        assert Reading.objects.get().value == 5000.0
        assert OutboxMessage.objects.count() == 2

    def test_it_is_done_in_small_batches(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        told(world, *(record(f"r{n}", **OLD) for n in range(7)))
        monkeypatch.setattr(retention, "_BATCH", 3)
        with CaptureQueriesContext(connection) as asked:
            assert forget()["events"] == 7
        emptied = [q for q in asked if 'SET "data"' in q["sql"]]
        assert len(emptied) == 3


@pytest.mark.parametrize(
    ("forgotten", "late"),
    [("sleep", {"samples": [20]}), ("samples", {"sleep": (part(7, 8),)})],
)
def test_a_night_of_which_a_piece_is_forgotten_is_left_as_it_is(
    world: World, forgotten: str, late: dict[str, Any]
) -> None:
    """What comes late must not make another night of what is left."""
    phone = Phone(world)
    phone.push(sleep=(part(0, 7),))
    phone.push(*samples(40, 41, 42))
    before = phone.nights()
    assert before
    BiometricEvent.objects.filter(record_type=forgotten).update(data={})
    late_samples = [sample(number, 4.5) for number in late.get("samples", ())]
    phone.push(*late_samples, sleep=late.get("sleep", ()))
    assert phone.nights() == before


def test_old_entries_of_the_audit_go_where_a_time_is_set(settings: Settings) -> None:
    for age in (1, 800):
        at = NOW - timedelta(days=age)
        AuditEntry.objects.create(at=at, actor="a", verb="v", target=str(age))
    assert "audit" not in forget()
    settings.AUDIT_RETENTION_DAYS = 730
    assert forget()["audit"] == 1
    assert AuditEntry.objects.get().target == "1"


@pytest.mark.skipif(
    connection.vendor != "postgresql", reason="needs two writers at once"
)
@pytest.mark.django_db(transaction=True)
def test_nobody_is_waited_for(for_a_year: None) -> None:
    """What somebody works on goes with the next run."""
    told(World(), record("held", **OLD), record("free", **OLD))
    other = connections["default"].copy()
    try:
        with transaction.atomic(), other.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute(
                "SELECT 1 FROM biometrics_biometricevent WHERE record_id = 'held'"
                " FOR UPDATE"
            )
            assert retention.retain(now=NOW, limit_s=60)["events"] == 1
    finally:
        other.close()
    assert retention.retain(now=NOW, limit_s=60)["events"] == 1
