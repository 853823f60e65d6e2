"""Missed webhooks are made good; silence is told once, with its reason, until it ends."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.db.models import QuerySet
from pytest_django.fixtures import Settings

from auren.celery import app
from biometrics import alarms, ledger, nudges, tasks
from biometrics.connections import registry
from biometrics.errors import VendorUnavailableError
from biometrics.models import (
    BiometricEvent,
    HrvAlert,
    StaffAlarm,
    Subject,
    VendorConnection,
    WebhookDelivery,
)
from biometrics.recovery import backfill, lane, reconcile, silence, streams
from biometrics.recovery.fetching import Found
from resilience import CircuitBreakerOpen, get_breaker
from tests.recovery.vendors import Vendors, fates, published


def settle(vendors: Vendors, vendor: str = "oura") -> VendorConnection:
    """Return a connection whose history is here."""
    connection = vendors.connect(vendor)
    backfill.fetch_history(connection_id=connection.id, now=vendors.now)
    vendors.run()
    return connection


def look(vendors: Vendors, connection: VendorConnection) -> Found:
    found = reconcile.reconcile(connection_id=connection.id, now=vendors.now)
    assert found is not None
    vendors.run()
    return found


def wanted(vendors: Vendors) -> list[int]:
    return reconcile.watch(after=0, now=vendors.now(), budget_s=60)[0]


def silent(vendors: Vendors) -> VendorConnection:
    """Return a connection whose daily scores ended ten days ago."""
    for ago in range(10, 40):
        vendors.score(ago)
    return settle(vendors)


def recovered(vendors: Vendors) -> int:
    """Return how many records the ledger shows as recovered."""
    lines = ledger.balance(now=vendors.now(), hours=2).lines
    return sum(line.recovered for line in lines)


def phone() -> VendorConnection:
    """Return the connection of somebody whose phone pushes."""
    subject = Subject.objects.create(label="Tess")
    registry.issue_healthkit_token(subject)
    return VendorConnection.objects.get(subject=subject)


class TestReconciliation:
    def test_three_missed_webhooks_are_recovered_once(self, vendors: Vendors) -> None:
        connection = settle(vendors)
        vendors.webhook("daily_sleep", vendors.score(0))
        vendors.run()
        vendors.score(1), vendors.sleep(0), vendors.sleep(1)
        assert look(vendors, connection).new == {"daily_sleep": 1, "sleep": 2}
        assert fates() == {("webhook", "processed"), ("recovered", "processed")}
        assert len(published()) == 4
        assert recovered(vendors) == 3
        assert look(vendors, connection).new == {}
        assert len(published()) == 4
        assert recovered(vendors) == 3

    def test_a_late_webhook_of_a_recovered_record_says_nothing_new(
        self, vendors: Vendors
    ) -> None:
        connection = settle(vendors)
        key = vendors.sleep(0)
        look(vendors, connection)
        vendors.webhook("sleep", key)
        vendors.run()
        assert WebhookDelivery.objects.get(origin="webhook").status == "processed"
        assert len(published()) == 1
        assert recovered(vendors) == 1

    def test_what_was_changed_back_is_news_again(self, vendors: Vendors) -> None:
        connection = settle(vendors)
        for score in (80, 70, 80):
            vendors.score(0, score)
            vendors.shift += timedelta(minutes=1)
            assert look(vendors, connection).new == {"daily_sleep": 1}
        assert len(published()) == 3

    def test_only_48_hours_are_looked_at(self, vendors: Vendors) -> None:
        connection = settle(vendors)
        vendors.score(20)
        assert look(vendors, connection).seen == {}

    def test_a_recovered_night_may_alert(self, vendors: Vendors) -> None:
        for ago in range(1, 40):
            vendors.sleep(ago, hrv=60 + ago % 3)
        connection = settle(vendors)
        vendors.sleep(0, hrv=15)
        look(vendors, connection)
        assert HrvAlert.objects.exists()

    def test_whoop_is_reconciled_too(self, vendors: Vendors) -> None:
        connection = settle(vendors, "whoop")
        vendors.band(0)
        found = look(vendors, connection)
        assert found.new == {"sleep": 1, "recovery": 1, "cycle": 1}
        assert look(vendors, connection).new == {}

    def test_whom_it_concerns(self, vendors: Vendors) -> None:
        connection = vendors.connect()
        registry.add_connection(vendor="healthkit", account_id="t", label="Tess")
        assert reconcile.make_due(now=vendors.now()) == 1
        assert reconcile.due(now=vendors.now()) == [connection.id]
        assert reconcile.make_due(now=vendors.now()) == 0
        VendorConnection.objects.update(reconcile_due_at=None)
        registry.revoke(connection_id=connection.id, reason="left")
        assert reconcile.make_due(now=vendors.now()) == 0
        assert reconcile.reconcile(connection_id=connection.id, now=vendors.now) is None


class TestSilence:
    def test_a_stream_has_its_own_cadence(self, vendors: Vendors) -> None:
        for ago in range(30):
            vendors.score(ago)
        for ago in range(0, 56, 7):
            vendors.sleep(ago)
        connection = settle(vendors)
        found = streams.streams_of(connection, now=vendors.now())
        gaps = {one.name: one.usual_gap for one in found}
        assert gaps == {
            "daily_sleep": timedelta(days=1),
            "sleep": timedelta(days=7),
        }
        later = vendors.now() + timedelta(days=4)
        quiet = [one.name for one in found if one.is_quiet(now=later)]
        assert quiet == ["daily_sleep"]

    def test_few_records_tell_no_cadence(self, vendors: Vendors) -> None:
        for ago in range(20, 25):
            vendors.score(ago)
        connection = settle(vendors)
        (one,) = streams.streams_of(connection, now=vendors.now())
        assert one.usual_gap is None
        assert not one.is_quiet(now=vendors.now() + timedelta(days=100))

    def test_a_quiet_stream_is_fetched_at_once_and_no_alarm(
        self, vendors: Vendors
    ) -> None:
        connection = silent(vendors)
        for ago in range(10):
            vendors.score(ago)
        assert wanted(vendors) == [connection.id]
        # Further back than 48 hours: to where the stream went quiet.
        assert look(vendors, connection).new == {"daily_sleep": 10}
        assert not StaffAlarm.objects.exists()
        assert wanted(vendors) == []

    def test_still_quiet_is_one_alarm_until_data_comes(self, vendors: Vendors) -> None:
        connection = silent(vendors)
        for _ in range(2):
            look(vendors, connection)
        alarm = StaffAlarm.objects.get()
        assert (alarm.kind, alarm.key) == ("silence", f"{connection.id}/daily_sleep")
        assert "no daily_sleep since 2026-11-10" in alarm.text
        assert "usually every day" in alarm.text
        assert "vendor answers and has nothing" in alarm.text
        assert wanted(vendors) == []
        vendors.webhook("daily_sleep", vendors.score(0))
        vendors.run()
        assert wanted(vendors) == [connection.id]
        look(vendors, connection)
        assert StaffAlarm.objects.get().cleared_at == vendors.now()

    def test_a_late_correction_does_not_make_it_speak(self, vendors: Vendors) -> None:
        connection = silent(vendors)
        vendors.webhook("daily_sleep", vendors.score(10, score=99))
        vendors.run()
        assert wanted(vendors) == [connection.id]

    def test_the_reason_is_a_missing_permission(self, vendors: Vendors) -> None:
        connection = silent(vendors)
        vendors.fault("401", path="/daily_sleep", times=2)
        look(vendors, connection)
        connection.refresh_from_db()
        assert connection.status == "active"
        assert "Permission: The vendor's API answered 401" in alarm_text("silence")

    def test_the_reason_is_a_lost_consent(self, vendors: Vendors) -> None:
        connection = silent(vendors)
        vendors.world.vendors["oura"].grants.revoke("ring-1")
        look(vendors, connection)
        assert "The consent is gone" in alarm_text("silence")

    def test_the_reason_is_an_open_breaker(self, vendors: Vendors) -> None:
        connection = silent(vendors)
        open_circuit("vendor:oura")
        look(vendors, connection)
        assert "being left alone" in alarm_text("silence")

    def test_a_vendor_that_is_away_is_the_reason(
        self, vendors: Vendors, settings: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        connection = silent(vendors)
        settings.AUREN_VENDORS["oura"]["api_base"] = "http://127.0.0.1:1"
        monkeypatch.setattr("biometrics.recovery.asking.ASK_SECONDS", 1.0)
        look(vendors, connection)
        assert "cannot be reached" in alarm_text("silence")

    def test_a_vendor_without_lists_can_be_silent(self, vendors: Vendors) -> None:
        connection = silent(vendors)
        VendorConnection.objects.filter(id=connection.id).update(vendor="healthkit")
        look(vendors, connection)
        assert "has the app been opened" in alarm_text("silence")

    def test_each_metric_of_a_phone_has_a_silence_of_its_own(
        self, vendors: Vendors
    ) -> None:
        connection = phone()
        for ago in range(20):
            vendors.push(connection, ago, HeartRate=60)
        for ago in range(10, 40):
            vendors.push(connection, ago, HeartRateVariabilitySDNN=50)
        vendors.run()
        assert wanted(vendors) == [connection.id]
        look(vendors, connection)
        alarm = StaffAlarm.objects.get()
        assert alarm.key == f"{connection.id}/heart_rate_variability_sdnn"
        assert "may the app still read this" in alarm.text
        vendors.push(connection, 0, HeartRateVariabilitySDNN=50)
        vendors.run()
        look(vendors, connection)
        assert StaffAlarm.objects.get().cleared_at is not None

    def test_a_phone_that_says_nothing_at_all(self, vendors: Vendors) -> None:
        connection = phone()
        for ago in range(10, 40):
            vendors.push(connection, ago, HeartRate=60)
        vendors.run()
        look(vendors, connection)
        assert "Nothing else arrives: has the app been opened" in alarm_text("silence")

    def test_records_without_a_date_are_heard_too(self, vendors: Vendors) -> None:
        """A band's document without an offset: what day it was cannot be known."""
        for ago in range(10, 40):
            vendors.band(ago, offset=None)
        connection = settle(vendors, "whoop")
        assert not BiometricEvent.objects.filter(
            record_type="sleep", local_date__isnull=False
        ).exists()
        found = streams.streams_of(connection, now=vendors.now())
        quiet = {one.name for one in found if one.is_quiet(now=vendors.now())}
        assert quiet == {"sleep", "cycle", "recovery"}

    def test_days_are_the_persons(self, vendors: Vendors) -> None:
        """Whoever wakes around midnight UTC does so every day all the same."""
        for ago in range(1, 31):
            day, woke = vendors.day(ago).isoformat(), ("08:30", "09:30")[ago % 2]
            body = {
                "id": day,
                "day": day,
                "type": "long_sleep",
                "bedtime_start": f"{day}T00:30:00+09:00",
                "bedtime_end": f"{day}T{woke}:00+09:00",
                "average_hrv": 50,
            }
            vendors.put("oura", "sleep", day, day, body)
        connection = settle(vendors)
        (one,) = streams.streams_of(connection, now=vendors.now())
        assert one.usual_gap == timedelta(days=1)

    def test_of_an_ended_connection_nothing_is_expected(self, vendors: Vendors) -> None:
        connection = silent(vendors)
        look(vendors, connection)
        registry.revoke(connection_id=connection.id, reason="left")
        silence.check_connections(now=vendors.now())
        assert StaffAlarm.objects.get().cleared_at is not None
        assert wanted(vendors) == []

    def test_of_an_erased_person_no_alarm_stays(self, vendors: Vendors) -> None:
        alarms.sound("silence", key="999/sleep", text="x", now=vendors.now())
        silence.check_connections(now=vendors.now())
        assert StaffAlarm.objects.get().cleared_at is not None

    def test_two_who_find_it_at_once_raise_one_alarm(
        self, vendors: Vendors, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        connection = silent(vendors)
        look(vendors, connection)
        with monkeypatch.context() as patch:
            # The other one's row is not to be seen yet when this one looks for it.
            patch.setattr(QuerySet, "update", lambda *_, **__: 0)
            key = StaffAlarm.objects.get().key
            assert not alarms.sound("silence", key=key, text="x", now=vendors.now())
        assert StaffAlarm.objects.count() == 1

    def test_the_watch_goes_on_where_it_stopped(self, vendors: Vendors) -> None:
        connection = silent(vendors)
        found, last = reconcile.watch(after=0, now=vendors.now(), budget_s=0)
        assert (found, last) == ([connection.id], connection.id)
        more = reconcile.watch(after=connection.id, now=vendors.now(), budget_s=0)
        assert more == ([], None)


class TestReconnecting:
    def test_a_lost_consent_is_an_alarm_until_it_is_given_again(
        self, vendors: Vendors
    ) -> None:
        connection = vendors.connect()
        vendors.world.vendors["oura"].grants.revoke("ring-1")
        look(vendors, connection)
        for _ in range(2):
            silence.check_connections(now=vendors.now())
        alarm = StaffAlarm.objects.get()
        assert (alarm.kind, alarm.key) == ("needs_reconnect", str(connection.id))
        assert "new connect link" in alarm.text
        vendors.connect()
        silence.check_connections(now=vendors.now())
        assert StaffAlarm.objects.get().cleared_at is not None
        assert backfill.due(now=vendors.now()) == [connection.id]


@pytest.mark.redis
class TestTasks:
    @pytest.fixture(autouse=True)
    def _at_once(self, settings: Settings, redis_url: str) -> Iterator[None]:
        settings.REDIS_URL = redis_url
        nudges.connect.cache_clear()
        nudges.connect().delete("auren:recovery-lane")
        app.conf.update(task_always_eager=True, task_eager_propagates=True)
        yield
        app.conf.update(task_always_eager=False, task_eager_propagates=False)
        nudges.connect.cache_clear()

    def test_a_grant_is_followed_by_its_history(
        self, vendors: Vendors, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("django.utils.timezone.now", vendors.now)
        vendors.score(3)
        vendors.connect()
        tasks.recover_due()
        vendors.run()
        assert BiometricEvent.objects.count() == 1
        vendors.score(0)
        tasks.reconcile_all()
        tasks.recover_due()
        vendors.run()
        assert reconcile.due(now=vendors.now()) == []
        assert BiometricEvent.objects.count() == 2

    def test_silence_is_found_by_the_schedule(
        self, vendors: Vendors, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("django.utils.timezone.now", vendors.now)
        monkeypatch.setattr("biometrics.tasks._WATCH_BUDGET_S", 0.0)
        silent(vendors)
        tasks.watch_streams()
        tasks.recover_due()
        tasks.check_connections()
        assert StaffAlarm.objects.filter(kind="silence", cleared_at=None).count() == 1

    def test_one_account_after_the_other_new_ones_first(self, vendors: Vendors) -> None:
        first, second = settle(vendors), vendors.connect("whoop")
        assert reconcile.make_due(now=vendors.now()) == 2
        assert lane.work(now=vendors.now)
        assert backfill.due(now=vendors.now()) == []
        assert lane.work(now=vendors.now)
        assert reconcile.due(now=vendors.now()) == [second.id]
        assert not lane.work(now=vendors.now)
        first.refresh_from_db()
        assert first.reconcile_due_at is None

    def test_while_one_process_fetches_no_other_does(self, vendors: Vendors) -> None:
        vendors.connect()
        nudges.connect().set("auren:recovery-lane", 1, ex=60)
        assert not lane.work(now=vendors.now)
        assert backfill.due(now=vendors.now()) != []

    def test_who_overslept_leaves_the_lane_to_the_next(
        self, vendors: Vendors, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        vendors.connect()
        client = nudges.connect()

        def oversleep(**_: object) -> None:
            client.set("auren:recovery-lane", "somebody else", ex=60)

        monkeypatch.setattr(backfill, "fetch_history", oversleep)
        lane.work(now=vendors.now)
        assert client.get("auren:recovery-lane") in {b"somebody else", "somebody else"}

    def test_a_fetch_that_fails_gives_the_lane_back(
        self, vendors: Vendors, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        connection = settle(vendors)
        reconcile.make_due(now=vendors.now(), ids=[connection.id])
        with monkeypatch.context() as patch:
            patch.setattr(reconcile, "fetch", lambda *_, **__: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                lane.work(now=vendors.now)
        # Not lost: due again once the claim has run out.
        assert not lane.work(now=vendors.now)
        vendors.shift = backfill.CLAIM
        assert reconcile.due(now=vendors.now()) == [connection.id]
        assert not lane.work(now=vendors.now)
        assert reconcile.due(now=vendors.now()) == []

    def test_what_is_scheduled_exists_and_what_calls_vendors_is_slow(
        self, settings: Settings
    ) -> None:
        scheduled = {entry["task"] for entry in app.conf.beat_schedule.values()}
        assert scheduled <= app.tasks.keys()
        for name in ("recover_due", "watch_streams"):
            route = settings.CELERY_TASK_ROUTES[f"biometrics.{name}"]
            assert route == {"queue": "auren-slow"}


def open_circuit(name: str) -> None:
    """Let calls fail until no more are let through."""
    breaker = get_breaker(name)
    for _ in range(100):
        try:
            permit = breaker.acquire()
        except CircuitBreakerOpen:
            return
        permit.settle(VendorUnavailableError("away"))
    pytest.fail(f"{name} does not open")


def alarm_text(kind: str) -> str:
    return StaffAlarm.objects.get(kind=kind, cleared_at=None).text
