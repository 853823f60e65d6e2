"""The loss ledger: what intake counted against what lies in the tables."""

from __future__ import annotations

from datetime import UTC, timedelta
from io import StringIO
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone
from pytest_django.fixtures import Settings

from biometrics import deliveries, erasure, ledger, linking, tasks
from biometrics.models import (
    BiometricEvent,
    HrvAlert,
    IntakeCount,
    OutboxMessage,
    StaffAlarm,
    Subject,
    ToldChange,
    VendorConnection,
    WebhookDelivery,
)
from biometrics.models.people import ConnectionStatus
from tests.pipeline.acme import Acme
from tests.pipeline.test_alerts import ago
from tests.pipeline.world import NOW, World, night, record, says

HOUR = timedelta(hours=1)


def count(at: Any = NOW, *, outcome: str = "stored", n: int = 1, **more: Any) -> None:
    """Write what intake would have counted."""
    IntakeCount.objects.create(
        period=at.replace(second=0), vendor="acme", outcome=outcome, count=n, **more
    )


def fetched() -> tuple[int, int]:
    """Return how many records were recovered and backfilled."""
    lines = balance().lines
    return sum(x.recovered for x in lines), sum(x.backfilled for x in lines)


def balance(hours: int = 24) -> ledger.Balance:
    return ledger.balance(now=NOW, hours=hours)


def test_what_came_in_adds_up(world: World) -> None:
    world.carry(says(record()))
    world.store({"unreadable": "x"})
    world.run()
    count(n=2)
    count(outcome="duplicate", n=3)
    count(outcome="rejected", n=4)
    found = balance()
    (line,) = found.lines
    assert (line.received, line.stored, line.duplicate, line.rejected) == (9, 2, 3, 4)
    assert dict(line.states) == {"processed": 1, "parked": 1}
    assert dict(found.messages) == {"pending": 1}
    assert found.imbalance == 0


def test_a_lost_row_and_an_uncounted_one_are_seen(world: World) -> None:
    count()
    assert balance().imbalance == 1
    IntakeCount.objects.all().delete()
    world.carry(says(record()))
    assert balance().imbalance == 1


def test_a_loss_is_not_made_good_by_an_invention_of_another_hour(
    world: World,
) -> None:
    count(NOW - 2 * HOUR)
    world.carry(says(record()))
    found = balance()
    (line,) = found.lines
    assert (line.stored, sum(line.states.values())) == (1, 1)
    assert (line.imbalance, found.imbalance) == (2, 2)


def test_vendors_do_not_make_good_for_each_other(world: World) -> None:
    count()
    world.store(says(record()), vendor="acme-notify")
    assert balance().imbalance == 2


def test_what_we_fetched_ourselves_is_no_intake(world: World) -> None:
    world.carry(says(record()), origin="backfill")
    world.carry(says(record("r2")), origin="recovered")
    found = balance()
    assert (found.lines[0].received, found.imbalance) == (0, 0)


def announced(**payload: Any) -> None:
    """Keep an announcement that is processed, and what lay at its address."""
    said = {"vendor": "acme", "shard": 0, "received_at": NOW, "status": "processed"}
    for columns in ({"event_type": "acme.address"}, {"origin": "announced", **payload}):
        name = uuid4()
        WebhookDelivery.objects.create(
            **{**said, "public_id": name, "dedupe_key": str(name), **columns}
        )


class TestAnnounced:
    @pytest.fixture(autouse=True)
    def _addresses(self, monkeypatch: pytest.MonkeyPatch) -> None:
        source = SimpleNamespace(event_type="acme.address")
        monkeypatch.setattr(Acme, "payloads", source)

    def test_it_has_its_states_beside_what_intake_stored(self, world: World) -> None:
        announced()
        announced(status="unlinked", account_id="nobody")
        count(n=2)
        (line,) = balance().lines
        assert (line.stored, dict(line.states)) == (2, {"processed": 2})
        assert dict(line.announced) == {"processed": 1, "unlinked": 1}
        assert (line.count("processed"), line.waiting) == (3, 1)
        assert line.imbalance == 0

    def test_its_records_are_not_recovered(self, world: World) -> None:
        world.carry(says(record()), origin="announced")
        assert fetched() == (0, 0)

    def test_one_that_leads_nowhere_is_a_loss(self, world: World) -> None:
        announced()
        announced()
        count(n=2)
        WebhookDelivery.objects.filter(origin="announced").latest("id").delete()
        assert balance().imbalance == 1
        out = StringIO()
        with pytest.raises(CommandError, match="1 cannot be accounted for"):
            call_command("ledger", "--until", (NOW + HOUR).isoformat(), stdout=out)
        assert "1 announcements are processed, and what lay" in out.getvalue()
        assert "announced 1" in out.getvalue()

    def test_one_that_is_worked_on_again_is_none(self, world: World) -> None:
        announced()
        count()
        deliveries.make_due(WebhookDelivery.objects.filter(origin="webhook"))
        assert balance().imbalance == 0


def test_an_event_without_a_message_is_seen(world: World) -> None:
    world.carry(says(record()))
    count()
    OutboxMessage.objects.all().delete()
    found = balance()
    assert found.lines[0].silent_events == 1
    assert found.imbalance == 1


@pytest.fixture
def in_parts(world: World, settings: Settings) -> list[OutboxMessage]:
    """Return the messages of an event that has to be cut, beside one that has not."""
    settings.KAFKA_MAX_EVENT_BYTES = 10_000
    series = {
        "metric": "heart_rate",
        "start": NOW.isoformat(),
        "interval_s": 60,
        "values": [60.5 + n % 7 for n in range(5000)],
    }
    world.carry(says(record(), record("long", series=[series])))
    count()
    parts = list(OutboxMessage.objects.filter(event__record_id="long").order_by("id"))
    assert len(parts) > 2
    return parts


@pytest.mark.parametrize("lost", [0, 1, -1])
def test_a_lost_part_of_an_event_is_seen(
    in_parts: list[OutboxMessage], lost: int
) -> None:
    assert balance().imbalance == 0
    in_parts[lost].delete()
    found = balance()
    assert (found.lines[0].silent_events, found.imbalance) == (1, 1)
    out = StringIO()
    with pytest.raises(CommandError, match="1 cannot be accounted for"):
        call_command("ledger", "--since", NOW.isoformat(), stdout=out)
    event = BiometricEvent.objects.get(record_id="long")
    told = f"has {len(in_parts) - 1} of {len(in_parts)} messages."
    assert f"event {event.pk} ({event}) {told}" in out.getvalue()


@pytest.mark.usefixtures("in_parts")
def test_an_event_that_lost_all_its_parts_counts_once() -> None:
    OutboxMessage.objects.all().delete()
    assert balance().lines[0].silent_events == 2


def test_what_code_of_before_cut_is_not_missed(in_parts: list[OutboxMessage]) -> None:
    """It did not say into how many; the column's default says one."""
    BiometricEvent.objects.update(parts=1)
    assert balance().imbalance == 0


def test_an_event_without_a_message_does_not_make_good_for_an_uncounted_row(
    world: World,
) -> None:
    world.carry(says(record()))
    OutboxMessage.objects.all().delete()
    found = balance()
    assert (found.lines[0].silent_events, found.imbalance) == (1, 2)


def test_an_event_that_says_nothing_new_needs_no_message(world: World) -> None:
    world.carry(says(record()))
    world.carry(says(record(stamp=(NOW - HOUR).isoformat(), attributes={"a": 1})))
    count(n=2)
    assert BiometricEvent.objects.filter(status="stale").exists()
    assert balance().imbalance == 0


def test_an_alert_without_a_message_is_seen(world: World) -> None:
    now = timezone.now()
    world.now = now
    # Yesterday's: that of today may not have ended yet.
    yesterday = (now - timedelta(days=1)).date()
    world.carry(says(night(yesterday.isoformat(), 20)))
    count(now)
    assert HrvAlert.objects.exists()
    assert ledger.balance(now=now, hours=1).imbalance == 0
    OutboxMessage.objects.filter(topic="biometric-alerts").delete()
    assert ledger.balance(now=now, hours=1).silent_alerts == 1


def test_the_last_change_of_an_alert_needs_a_message_of_its_own(world: World) -> None:
    now = timezone.now()
    world.now = now
    yesterday = (now - timedelta(days=1)).date().isoformat()
    world.carry(says(night(yesterday, 20)))
    world.carry(says({**night(yesterday, 60), "stamp": now.isoformat()}))
    count(now, n=2)
    assert HrvAlert.objects.get().revision == 2
    assert ledger.balance(now=now, hours=1).imbalance == 0
    newest = OutboxMessage.objects.filter(topic="biometric-alerts").latest("pk")
    newest.delete()
    assert ledger.balance(now=now, hours=1).silent_alerts == 1


class TestConnections:
    """A change that was stored has its message, whoever made it."""

    @pytest.fixture
    def told(self, world: World) -> list[OutboxMessage]:
        """Return the messages of three changes by deliveries, and three by staff."""
        for name in ("connected", "revoked", "connected"):
            world.carry({"changes": [{"change": name, "reason": "said so"}]})
            world.wait(seconds=1)
        count(n=3)
        connection = VendorConnection.objects.get()
        linking.relink(
            connection_id=connection.id,
            subject=Subject.objects.create(label="Grace"),
            actor="ada",
            reason="it is Grace's ring",
            now=world.now,
        )
        about = {"vendor": "acme", "account_id": connection.account_id}
        for status in (ConnectionStatus.REVOKED, ConnectionStatus.ACTIVE):
            with linking.telling(**about, reason="staff did", now=world.now):
                VendorConnection.objects.update(status=status)
        messages = list(OutboxMessage.objects.order_by("id"))
        assert [one.event_type.partition(".")[2] for one in messages] == [
            *("connected", "revoked", "connected"),
            *("relinked", "revoked", "connected"),
        ]
        return messages

    @pytest.mark.parametrize("lost", range(6))
    def test_one_without_its_message_is_seen(
        self, told: list[OutboxMessage], lost: int
    ) -> None:
        assert balance().imbalance == 0
        message = told[lost]
        OutboxMessage.objects.filter(pk=message.pk).delete()
        found = balance()
        assert (found.silent_changes, found.imbalance) == (1, 1)
        out = StringIO()
        with pytest.raises(CommandError, match="1 cannot be accounted for"):
            call_command("ledger", "--since", NOW.isoformat(), stdout=out)
        change = message.event_type.partition(".")[2]
        line = f"acme {change} of {message.subject} has no message {message.ce_id}."
        assert line in out.getvalue()

    def test_it_is_looked_for_in_its_hours_and_at_its_vendor(
        self, told: list[OutboxMessage]
    ) -> None:
        OutboxMessage.objects.all().delete()
        later = ledger.between(since=NOW + HOUR, until=NOW + 2 * HOUR)
        assert later.imbalance == 0
        for vendor, lost in (("acme", len(told)), ("oura", 0)):
            found = ledger.between(since=NOW, until=NOW + HOUR, vendor=vendor)
            assert found.silent_changes == lost

    @pytest.mark.usefixtures("told")
    def test_who_was_erased_is_not_missed(self, world: World) -> None:
        for subject in list(Subject.objects.all()):
            erasure.erase_subject(
                subject_id=subject.id, actor="ada", reason="asked for", now=world.now
            )
        assert not ToldChange.objects.exists()
        assert balance().imbalance == 0

    @pytest.mark.usefixtures("told")
    def test_whom_code_of_before_erased_is_not_missed(self) -> None:
        """It does not know where changes are noted."""
        OutboxMessage.objects.all().delete()
        VendorConnection.objects.all().delete()
        Subject.objects.all().delete()
        assert balance().silent_changes == 0


def test_rolled_up_hours_say_the_same(world: World) -> None:
    world.carry(says(record()))
    count(process="web-1")
    count(process="web-2", outcome="duplicate", n=2)
    before = balance().hours
    assert ledger.roll_up(before=NOW + 3 * HOUR) == 2
    assert balance().hours == before


class TestRecovered:
    def test_what_no_webhook_brought_counts_once(self, world: World) -> None:
        world.carry(says(record("r1"), record("r2")), origin="recovered")
        world.carry(says(record("r3")), origin="backfill")
        assert fetched() == (2, 1)
        # Found once more, and brought at last: neither says anything new.
        world.carry(says(record("r1")), origin="recovered")
        world.carry(says(record("r2")))
        assert fetched() == (2, 1)
        assert OutboxMessage.objects.count() == 3

    def test_what_a_webhook_brought_is_not_recovered(self, world: World) -> None:
        world.carry(says(record()))
        world.carry(says(record()), origin="recovered")
        late = record(stamp=(NOW - HOUR).isoformat(), attributes={"a": 1})
        world.carry(says(late), origin="recovered")
        assert fetched() == (0, 0)
        assert OutboxMessage.objects.count() == 1


class TestCheck:
    """The task of each minute, by the clock of now."""

    def test_an_imbalance_alarms_staff_once_until_it_is_gone(self, db: None) -> None:
        count(timezone.now().astimezone(UTC))
        for _ in range(3):
            tasks.check_ledger()
        alarm = StaffAlarm.objects.get()
        assert (alarm.kind, alarm.cleared_at) == ("ledger", None)
        assert "manage.py ledger" in alarm.text
        IntakeCount.objects.all().delete()
        tasks.check_ledger()
        alarm.refresh_from_db()
        assert alarm.cleared_at is not None

    def test_the_metric_tells_it(self, db: None, client: Any) -> None:
        count(timezone.now().astimezone(UTC), n=7)
        tasks.check_ledger()
        text = client.get("/metrics").content.decode()
        assert "biobridge_ledger_imbalance 7.0" in text
        IntakeCount.objects.all().delete()
        tasks.check_ledger()
        text = client.get("/metrics").content.decode()
        assert "biobridge_ledger_imbalance 0.0" in text


class TestCommand:
    def told(self, *arguments: str) -> str:
        out = StringIO()
        until = (NOW + HOUR).isoformat()
        call_command("ledger", "--until", until, *arguments, stdout=out)
        return out.getvalue()

    def test_it_prints_hours_and_vendors(self, world: World) -> None:
        world.carry(says(record()))
        count()
        text = self.told()
        assert "2026-11-24 08:00 acme" in text
        assert "1 processed" in text
        assert "messages: 1 pending" in text
        assert "Nothing is lost" in text

    def test_it_prints_what_was_recovered(self, world: World) -> None:
        world.carry(says(record()), origin="recovered")
        (line,) = [x for x in self.told().splitlines() if "acme" in x]
        assert line.endswith("recovered 1")

    def test_it_names_what_is_missing_and_fails(self, world: World) -> None:
        world.carry(says(record()))
        count(n=3)
        OutboxMessage.objects.all().delete()
        out = StringIO()
        with pytest.raises(CommandError, match="3 cannot be accounted for"):
            call_command("ledger", "--since", NOW.isoformat(), stdout=out)
        event = BiometricEvent.objects.get()
        assert "08:00 acme: 3 counted as stored, 1 rows found" in out.getvalue()
        assert f"event {event.pk} ({event}) has no message." in out.getvalue()

    def test_hours_and_vendors_can_be_chosen(self, world: World) -> None:
        count(NOW - 30 * HOUR)
        assert (
            "imbalance" not in self.told("--since", NOW.isoformat()).split("Nothing")[0]
        )
        world.store(says(record()), vendor="acme-notify")
        with pytest.raises(CommandError):
            self.told("--since", NOW.isoformat())
        assert WebhookDelivery.objects.count() == 1
        self.told("--vendor", "terra", "--since", NOW.isoformat())

    def test_a_span_that_ends_before_it_begins_is_refused(self, db: None) -> None:
        late = (NOW + 3 * HOUR).isoformat()
        with pytest.raises(CommandError, match="--since"):
            self.told("--since", late)


def test_old_hours_are_left_out(world: World) -> None:
    assert ago(0) == NOW.date().isoformat()
    count(NOW - 26 * HOUR)
    assert balance().imbalance == 0
