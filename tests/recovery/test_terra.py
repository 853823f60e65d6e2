"""Terra's data on request, and its list of accounts, over real HTTP."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import orjson
import pytest
from aiohttp import web
from django.core.management import CommandError, call_command
from pytest_django.fixtures import Settings

from auren.celery import app
from auren.devstack.fakes.faults import Fault
from auren.devstack.fakes.world import Account
from auren.devstack.simulator.wire import Delivery
from biometrics import tasks
from biometrics.models import (
    HrvAlert,
    OutboxMessage,
    Subject,
    VendorConnection,
    WebhookDelivery,
)
from biometrics.models.people import ConnectionStatus
from biometrics.recovery import backfill, reconcile, roster
from biometrics.shards import shard_of
from biometrics.vendors.registry import get_adapter
from tests.recovery.vendors import Vendors, fates, published

ACCOUNT = "terra-1"


def user(**more: Any) -> dict[str, Any]:
    return {
        "user_id": ACCOUNT,
        "provider": "GARMIN",
        "scopes": "HEALTH_EXPORT",
        "reference_id": None,
        "active": True,
        **more,
    }


def know(vendors: Vendors, account: str = ACCOUNT, **more: Any) -> None:
    """Have Terra know an account."""
    said = user(user_id=account, **more)
    profile = {"user": said, "athlete": {"age": 40, "gender": "female"}}
    vendors.world.vendors["terra"].accounts[account] = Account(
        account=account, label=account, profile=profile
    )


def night(vendors: Vendors, ago: int, hrv: float = 50.0) -> dict[str, Any]:
    """Have Terra know the sleep that ended on a day; returns it."""
    day, before = vendors.day(ago).isoformat(), vendors.day(ago + 1).isoformat()
    body = {
        "metadata": {
            "summary_id": f"sleep-{day}",
            "start_time": f"{before}T23:00:00.000000+00:00",
            "end_time": f"{day}T07:00:00.000000+00:00",
            "upload_type": 2,
            "is_nap": False,
        },
        "heart_rate_data": {"summary": {"avg_hrv_rmssd": hrv, "resting_hr_bpm": 50}},
        "sleep_durations_data": {
            "asleep": {"duration_asleep_state_seconds": 25_000},
        },
    }
    vendors.put("terra", "sleep", f"sleep-{day}", f"{day}T07:00:00+00:00", body)
    return body


def say(vendors: Vendors, body: dict[str, Any], account: str = ACCOUNT) -> None:
    """Store what a webhook of Terra says, as intake does."""
    WebhookDelivery.objects.create(
        public_id=uuid4(),
        vendor="terra",
        account_id=account,
        reference=body.get("user", {}).get("reference_id") or "",
        event_type=body["type"],
        dedupe_key=str(uuid4()),
        shard=shard_of("terra", account),
        body=orjson.dumps(body),
        received_at=vendors.now(),
    )
    vendors.run()


def connected(vendors: Vendors) -> VendorConnection:
    """Return a connection that Terra's webhook made."""
    know(vendors)
    say(vendors, {"type": "auth", "status": "success", "user": user()})
    VendorConnection.objects.update(backfill_due_at=vendors.now())
    return VendorConnection.objects.get()


def history(vendors: Vendors, connection: VendorConnection) -> dict[str, int]:
    found = backfill.fetch_history(connection_id=connection.id, now=vendors.now)
    vendors.run()
    assert found is not None
    assert found.errors == {}
    return dict(found.new)


class TestHistory:
    def test_a_consent_makes_sixty_days_due(self, vendors: Vendors) -> None:
        nights = {ago: night(vendors, ago) for ago in range(70)}
        connection = connected(vendors)
        assert backfill.due(now=vendors.now()) == [connection.id]
        # A webhook brought one of them already.
        say(vendors, {"type": "sleep", "user": user(), "data": [nights[3]]})
        # A day more is asked for at the far end.
        assert history(vendors, connection) == {"sleep": 61, "athlete": 1}
        assert fates() == {("webhook", "processed"), ("backfill", "processed")}
        assert published().count("sleep.updated") == 62
        assert not HrvAlert.objects.exists()
        connection.refresh_from_db()
        assert (connection.backfill_due_at, connection.backfill_left) == (None, [])
        assert reconcile.reconcile(connection_id=connection.id, now=vendors.now)
        assert published().count("sleep.updated") == 62

    def test_a_stranger_who_only_sends_data_has_a_history_too(
        self, vendors: Vendors
    ) -> None:
        know(vendors)
        say(vendors, {"type": "sleep", "user": user(), "data": [night(vendors, 1)]})
        assert VendorConnection.objects.get().backfill_due_at is not None

    def test_what_is_told_again_is_not_fetched_again(self, vendors: Vendors) -> None:
        connection = connected(vendors)
        history(vendors, connection)
        vendors.shift += timedelta(minutes=1)
        say(vendors, {"type": "auth", "status": "success", "user": user()})
        connection.refresh_from_db()
        assert connection.backfill_due_at is None
        vendors.shift += timedelta(minutes=1)
        say(vendors, {"type": "deauth", "user": user()})
        vendors.shift += timedelta(minutes=1)
        say(vendors, {"type": "auth", "status": "success", "user": user()})
        assert VendorConnection.objects.exclude(backfill_due_at=None).exists()

    def test_only_what_is_missing_is_asked_for_again(self, vendors: Vendors) -> None:
        night(vendors, 1)
        connection = connected(vendors)
        vendors.world.faults.add(
            Fault(vendor="terra", kind="429", path="/sleep", seconds=300)
        )
        types = list(get_adapter("terra").listed_types)
        found = backfill.fetch_history(connection_id=connection.id, now=vendors.now)
        assert found is not None
        left = types[types.index("sleep") :]
        assert set(found.errors) == set(left)
        connection.refresh_from_db()
        assert connection.backfill_left == sorted(left)
        assert connection.backfill_due_at is not None
        vendors.world.faults.clear()
        before = vendors.world.vendors["terra"].requests.copy()
        vendors.shift += timedelta(seconds=300)
        VendorConnection.objects.update(backfill_due_at=vendors.now())
        history(vendors, connection)
        asked = vendors.world.vendors["terra"].requests - before
        assert {line.split()[1].rpartition("/")[2] for line in asked} == set(left)

    def test_without_keys_it_waits(self, vendors: Vendors, settings: Settings) -> None:
        connection = connected(vendors)
        settings.AUREN_VENDORS["terra"]["api_key"] = ""
        assert backfill.due(now=vendors.now()) == []
        with pytest.raises(CommandError, match="invalid choice"):
            call_command("backfill", vendor="terra")
        settings.AUREN_VENDORS["terra"]["api_key"] = "wrong"
        found = backfill.fetch_history(connection_id=connection.id, now=vendors.now)
        assert found is not None
        assert "AUREN_TERRA_DEV_ID and AUREN_TERRA_API_KEY" in str(
            found.errors["sleep"]
        )
        connection.refresh_from_db()
        assert connection.status == "active"
        assert connection.backfill_due_at == vendors.now() + timedelta(hours=1)

    def test_a_day_too_large_for_an_answer_is_pushed(
        self, vendors: Vendors, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        connection = connected(vendors)
        pushed: list[Delivery] = []

        async def announce(delivery: Delivery) -> None:
            pushed.append(delivery)

        vendors.world.announce = announce
        bodies = {ago: night(vendors, ago) for ago in (1, 2, 9)}
        bodies[9]["note"] = "x" * 5_000
        monkeypatch.setattr("biometrics.connections.client._MAX_ANSWER", 4_000)
        found = backfill.fetch_history(connection_id=connection.id, now=vendors.now)
        assert found is not None
        assert found.errors == {}
        assert found.new["sleep"] == 2
        days = {
            item["metadata"]["summary_id"]
            for one in pushed
            for item in orjson.loads(one.body)["data"]
        }
        assert f"sleep-{vendors.day(9).isoformat()}" in days


class TestReconciliation:
    def test_missed_webhooks_are_recovered_once(self, vendors: Vendors) -> None:
        connection = connected(vendors)
        history(vendors, connection)
        for ago in (0, 1):
            night(vendors, ago)
        found = reconcile.reconcile(connection_id=connection.id, now=vendors.now)
        assert found is not None
        assert found.new == {"sleep": 2}
        vendors.run()
        assert ("recovered", "processed") in fates()
        say(vendors, {"type": "sleep", "user": user(), "data": [night(vendors, 0)]})
        assert published().count("sleep.updated") == 2

    def test_a_list_that_is_being_collected_stops_no_other(
        self, vendors: Vendors, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        connection = connected(vendors)
        night(vendors, 1)
        original = web.json_response

        def answer(payload: Any, **more: Any) -> Any:
            if payload.get("type") == "activity":
                payload = {"type": "processing", "retry_after_seconds": 90}
            return original(payload, **more)

        monkeypatch.setattr(web, "json_response", answer)
        found = backfill.fetch_history(connection_id=connection.id, now=vendors.now)
        assert found is not None
        assert set(found.errors) == {"activity"}
        assert found.new["sleep"] == 1
        connection.refresh_from_db()
        assert connection.backfill_left == ["activity"]
        assert connection.backfill_due_at == vendors.now() + timedelta(seconds=90)


class TestRoster:
    def compare(self, vendors: Vendors) -> int:
        count = roster.compare(get_adapter("terra"), now=vendors.now)
        vendors.run()
        return count

    def test_a_missed_consent_connects_the_person(self, vendors: Vendors) -> None:
        robin = Subject.objects.create(label="Robin")
        know(vendors, reference_id=str(robin.id))
        assert self.compare(vendors) == 1
        row = VendorConnection.objects.get()
        assert (row.subject, row.status) == (robin, "active")
        assert published() == ["connection.connected"]
        assert fates() == {("recovered", "processed")}
        assert self.compare(vendors) == 0

    def test_a_missed_goodbye_stops_the_fetching(self, vendors: Vendors) -> None:
        connection = connected(vendors)
        vendors.shift += timedelta(minutes=5)
        del vendors.world.vendors["terra"].accounts[ACCOUNT]
        assert self.compare(vendors) == 1
        connection.refresh_from_db()
        assert connection.status == ConnectionStatus.NEEDS_RECONNECT
        assert connection.status_reason == roster.GONE
        # Such a list may have been another environment's: nothing ended for good.
        know(vendors)
        vendors.shift += timedelta(minutes=5)
        assert self.compare(vendors) == 1
        connection.refresh_from_db()
        assert connection.status == ConnectionStatus.ACTIVE

    def test_an_inactive_account_needs_a_new_consent(self, vendors: Vendors) -> None:
        connection = connected(vendors)
        vendors.shift += timedelta(minutes=5)
        know(vendors, active=False)
        assert self.compare(vendors) == 1
        connection.refresh_from_db()
        assert connection.status == ConnectionStatus.NEEDS_RECONNECT

    def test_whom_staff_revoked_stays_revoked(self, vendors: Vendors) -> None:
        connected(vendors)
        VendorConnection.objects.update(status="revoked")
        vendors.shift += timedelta(minutes=5)
        assert self.compare(vendors) == 0

    def test_who_comes_while_the_list_is_on_its_way_is_not_gone(
        self, vendors: Vendors
    ) -> None:
        connected(vendors)
        vendors.world.vendors["terra"].accounts.clear()
        assert self.compare(vendors) == 0

    def test_all_pages_are_read(self, vendors: Vendors) -> None:
        for number in range(501):
            know(vendors, f"account-{number}")
        assert self.compare(vendors) == 501

    def test_a_vendor_that_is_away_ends_nothing(
        self, vendors: Vendors, settings: Settings
    ) -> None:
        connection = connected(vendors)
        settings.AUREN_VENDORS["terra"]["api_base"] = "http://127.0.0.1:1"
        vendors.shift += timedelta(minutes=5)
        tasks.compare_rosters()
        connection.refresh_from_db()
        assert connection.status == "active"
        assert "rosters" in app.conf.beat_schedule


def test_changes_come_in_no_promised_order(vendors: Vendors) -> None:
    """Each of Terra's connection events changes the connection, older news nothing."""
    connection = connected(vendors)
    told = [
        ({"type": "connection_error", "user": user()}, "needs_reconnect"),
        ({"type": "auth", "status": "success", "user": user()}, "active"),
        (
            {
                "type": "permission_change",
                "user": user(),
                "scopes_added": "",
                "scopes_removed": "SLEEP",
            },
            "needs_reconnect",
        ),
        (
            {
                "type": "permission_change",
                "user": user(),
                "scopes_added": "SLEEP",
                "scopes_removed": "",
            },
            "active",
        ),
        ({"type": "access_revoked", "user": user()}, "revoked"),
        ({"type": "user_auth", "status": "success", "user": user()}, "active"),
        ({"type": "deauth", "user": user()}, "revoked"),
        # Neither of these is a consent: what the person has ended stays ended.
        (
            {"type": "permission_change", "user": user(), "scopes_added": "SLEEP"},
            "revoked",
        ),
        (
            {"type": "permission_change", "user": user(), "scopes_removed": "SLEEP"},
            "revoked",
        ),
        ({"type": "connection_error", "user": user()}, "revoked"),
    ]
    for body, status in told:
        vendors.shift += timedelta(minutes=1)
        say(vendors, body)
        connection.refresh_from_db()
        assert connection.status == status, body
    vendors.shift -= timedelta(minutes=6)
    say(vendors, {"type": "auth", "status": "success", "user": user()})
    connection.refresh_from_db()
    assert connection.status == "revoked"
    assert OutboxMessage.objects.filter(event_type="connection.revoked").count() == 2
