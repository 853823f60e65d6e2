"""History over real HTTP: all pages, at the vendor's pace, each record once."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise

import pytest
from django.core.management import CommandError, call_command

from biometrics import ledger
from biometrics.models import (
    AuditEntry,
    BiometricEvent,
    HrvAlert,
    HrvNight,
    VendorConnection,
    WebhookDelivery,
)
from biometrics.models.intake import DeliveryOrigin
from biometrics.recovery import backfill, fetching
from biometrics.recovery.fetching import Found
from biometrics.vendors.listing import Window
from biometrics.vendors.registry import get_adapter
from tests.recovery.vendors import Vendors, fates, published


def history(vendors: Vendors, connection: VendorConnection) -> Found:
    found = backfill.fetch_history(connection_id=connection.id, now=vendors.now)
    assert found is not None
    vendors.run()
    return found


def due_at(connection: VendorConnection) -> object:
    connection.refresh_from_db()
    return connection.backfill_due_at


def test_a_new_grant_brings_sixty_days_once(vendors: Vendors) -> None:
    for ago in range(70):
        vendors.score(ago)
    connection = vendors.connect()
    assert backfill.due(now=vendors.now()) == [connection.id]
    found = history(vendors, connection)
    # Days are the person's, so one more is asked for at the far end.
    assert found.new == {"daily_sleep": 62}
    assert fates() == {("backfill", "processed")}
    assert BiometricEvent.objects.count() == len(published()) == 62
    assert due_at(connection) is None
    assert backfill.due(now=vendors.now()) == []
    assert backfill.fetch_history(connection_id=connection.id, now=vendors.now) is None
    assert ledger.balance(now=vendors.now(), hours=24).imbalance == 0


def test_what_webhooks_brought_is_not_published_twice(vendors: Vendors) -> None:
    connection = vendors.connect()
    for ago in range(3):
        vendors.webhook("daily_sleep", vendors.score(ago))
    vendors.run()
    missed = vendors.score(3)
    assert history(vendors, connection).new == {"daily_sleep": 1}
    assert len(published()) == 4
    fetched = WebhookDelivery.objects.get(origin="backfill")
    assert BiometricEvent.objects.get(record_id=missed).delivery == fetched


def test_a_webhook_at_the_same_moment_is_published_once(vendors: Vendors) -> None:
    connection = vendors.connect()
    vendors.webhook("sleep", vendors.sleep(0))
    history(vendors, connection)
    assert fates() == {("webhook", "processed"), ("backfill", "processed")}
    assert len(published()) == 1


def test_whoop_finds_recoveries_with_their_sleeps(vendors: Vendors) -> None:
    keys = [vendors.band(ago) for ago in range(30)]
    connection = vendors.connect("whoop")
    for kind in ("sleep", "recovery"):
        vendors.webhook(kind, keys[0], vendor="whoop")
    vendors.run()
    found = history(vendors, connection)
    assert found.new == {"sleep": 29, "recovery": 29, "cycle": 30}
    assert HrvNight.objects.count() == 30
    assert len(published()) == 90


def test_a_sleep_before_the_window_is_fetched_by_its_id(vendors: Vendors) -> None:
    key = vendors.band(5)
    sleeps = vendors.world.vendors["whoop"].documents
    body = dict(sleeps.get(account="4711", collection="sleep", key=key).body)  # type: ignore[union-attr]
    vendors.put("whoop", "sleep", key, "2020-01-01T00:00:00Z", body)
    history(vendors, vendors.connect("whoop"))
    assert HrvNight.objects.get().night == vendors.day(5)


def test_backfilled_nights_raise_no_alert(vendors: Vendors) -> None:
    for ago in range(1, 40):
        vendors.sleep(ago, hrv=60 + ago % 3)
    vendors.sleep(0, hrv=15)
    history(vendors, vendors.connect())
    night = HrvNight.objects.get(night=vendors.day(0))
    assert night.severity in {"HIGH", "CRITICAL"}
    assert not HrvAlert.objects.exists()
    assert not [kind for kind in published() if "alert" in kind]


def test_heart_rate_comes_in_whole_days(vendors: Vendors) -> None:
    vendors.beats(2, 60, 61, 62, 63, 64)
    vendors.beats(1, 70, 71)
    connection = vendors.connect()
    assert history(vendors, connection).new == {"heartrate": 2}
    vendors.beats(1, 70, 71, 72)
    VendorConnection.objects.update(backfill_due_at=vendors.now())
    assert history(vendors, connection).new == {"heartrate": 1}
    days = BiometricEvent.objects.filter(status="current").order_by("record_id")
    lengths = [len(day.data["series"][0]["values"]) for day in days]
    assert lengths == [5, 3]


def test_a_429_is_waited_for(vendors: Vendors) -> None:
    for ago in range(8):
        vendors.score(ago)
    vendors.fault("429", path="/daily_sleep", times=2, seconds=1.0)
    found = history(vendors, vendors.connect())
    assert found.errors == {}
    assert found.new == {"daily_sleep": 8}


def test_a_long_429_puts_the_rest_off_until_then(vendors: Vendors) -> None:
    vendors.sleep(0)
    vendors.score(0)
    vendors.fault("429", path="/daily_sleep", seconds=600.0)
    connection = vendors.connect()
    found = history(vendors, connection)
    assert "daily_sleep" in found.errors
    assert found.new == {"sleep": 1}
    assert due_at(connection) == vendors.now() + timedelta(seconds=600)
    assert backfill.due(now=vendors.now()) == []
    vendors.shift = timedelta(seconds=601)
    assert history(vendors, connection).new == {"daily_sleep": 1}
    assert due_at(connection) is None


def test_a_truncated_page_is_asked_for_again(vendors: Vendors) -> None:
    vendors.score(0)
    vendors.fault("truncated", path="/daily_sleep")
    assert history(vendors, vendors.connect()).new == {"daily_sleep": 1}


def test_a_missing_scope_stops_no_other_data_type(vendors: Vendors) -> None:
    vendors.score(0)
    connection = vendors.connect(scopes="personal daily")
    found = history(vendors, connection)
    assert "403" in str(found.errors["workout"])
    assert found.new == {"daily_sleep": 1}
    assert due_at(connection) is None
    assert connection.status == "active"


def test_a_withdrawn_consent_marks_the_connection(vendors: Vendors) -> None:
    connection = vendors.connect()
    vendors.world.vendors["oura"].grants.revoke("ring-1")
    history(vendors, connection)
    assert due_at(connection) is None
    assert connection.status == "needs_reconnect"
    assert not WebhookDelivery.objects.exists()


def test_what_was_known_of_an_older_consent_ends_no_newer_one(
    vendors: Vendors,
) -> None:
    old = vendors.connect()
    VendorConnection.objects.update(refresh_token=None)
    old.refresh_from_db()
    vendors.connect()
    vendors.shift = timedelta(days=2)
    window = Window(since=vendors.now(), until=vendors.now())
    found = fetching.fetch(
        old,
        adapter=get_adapter("oura"),
        windows={"daily_sleep": window},
        origin=DeliveryOrigin.RECOVERED,
        now=vendors.now,
    )
    assert "run out" in str(found.errors["daily_sleep"])
    assert VendorConnection.objects.get().status == "active"


def test_a_document_that_cannot_be_read_is_kept_once(vendors: Vendors) -> None:
    connection = vendors.connect()
    day = vendors.day(0).isoformat()
    vendors.put("oura", "daily_sleep", "x", day, {"day": day, "score": 3})
    for _ in range(2):
        VendorConnection.objects.update(backfill_due_at=vendors.now())
        history(vendors, connection)
        vendors.shift += timedelta(hours=1)
    assert WebhookDelivery.objects.get().error_code == "unreadable"


def test_the_command_says_what_it_would_do(
    vendors: Vendors, capsys: pytest.CaptureFixture[str]
) -> None:
    for ago in range(10):
        vendors.score(ago)
    vendors.connect()
    since, until = vendors.day(4).isoformat(), vendors.day(2).isoformat()
    window = ["--vendor", "oura", "--since", since, "--until", until]
    call_command("backfill", *window, "--dry-run")
    assert "daily_sleep 5 found, 5 new" in capsys.readouterr().out
    assert not WebhookDelivery.objects.exists()
    with pytest.raises(CommandError, match="reason"):
        call_command("backfill", *window)
    call_command("backfill", *window, "--subject", "Robin of oura", "--reason", "gap")
    vendors.run()
    assert BiometricEvent.objects.count() == 5
    entry = AuditEntry.objects.get(verb="connection.backfill")
    assert entry.reason == "gap"
    assert entry.detail["since"].startswith(since)
    call_command("backfill", *window, "--reason", "again")
    assert "daily_sleep 5 found, 0 new" in capsys.readouterr().out


def test_the_command_fails_when_a_vendor_is_away(vendors: Vendors) -> None:
    vendors.connect(scopes="personal daily")
    with pytest.raises(CommandError, match="workout"):
        call_command("backfill", "--vendor", "oura", "--reason", "gap")
    with pytest.raises(CommandError, match="No active connection"):
        call_command("backfill", "--vendor", "whoop", "--reason", "gap")


def test_windows_of_heart_rate_do_not_overlap(vendors: Vendors) -> None:
    """Sixty days take several questions; a row on a seam comes once."""
    for ago in range(63):
        vendors.beats(ago, 60)
    found = history(vendors, vendors.connect())
    ids = BiometricEvent.objects.order_by("record_id").values_list(
        "record_id", flat=True
    )
    days = [date.fromisoformat(day) for day in ids]
    assert found.new["heartrate"] == len(days)
    assert all(b - a == timedelta(days=1) for a, b in pairwise(days))


def test_what_was_listed_of_a_vendor_that_is_listed_no_more_is_parked(
    vendors: Vendors, monkeypatch: pytest.MonkeyPatch
) -> None:
    vendors.score(0)
    connection = vendors.connect()
    backfill.fetch_history(connection_id=connection.id, now=vendors.now)
    monkeypatch.setattr("biometrics.vendors.oura.adapter.Oura.listing", None)
    vendors.run()
    (delivery,) = WebhookDelivery.objects.all()
    assert delivery.status == "parked"
    assert "cannot be listed any more" in delivery.error
