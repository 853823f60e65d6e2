"""The account's subscriptions become what is wanted. Over HTTP, handshake included."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.auth.models import User
from django.core.checks import run_checks
from django.core.management import call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django.fixtures import Settings

from auren.devstack.fakes.faults import Fault
from auren.devstack.fakes.oura_subscriptions import Subscription
from auren.devstack.fakes.world import World
from biometrics import tasks
from biometrics.connections import subscriptions
from biometrics.connections.application import Application
from biometrics.models import StaffAlarm, VendorSubscription
from biometrics.vendors.registry import get_adapter
from tests.connections.vendors import running_fakes

pytestmark = pytest.mark.django_db
OURA = get_adapter("oura")
assert OURA.subscriptions is not None
WANTED = set(OURA.subscriptions.topics)


class Door(BaseHTTPRequestHandler):
    """The bridge's door, as far as a handshake goes."""

    token = "oura-verification-token"
    after_s = 0.0

    def do_GET(self) -> None:
        time.sleep(self.after_s)
        query = parse_qs(urlsplit(self.path).query)
        known = query["verification_token"] == [self.token]
        self.send_response(200 if known else 401)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps({"challenge": query["challenge"][0]}).encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def vendor(settings: Settings) -> Iterator[World]:
    door = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    thread = threading.Thread(target=door.serve_forever)
    thread.start()
    with running_fakes() as (url, world):
        known = dict(settings.AUREN_VENDORS)
        known["oura"] = {**known["oura"], "api_base": f"{url}/oura"}
        settings.AUREN_VENDORS = known
        settings.PUBLIC_URL = f"http://127.0.0.1:{door.server_port}"
        yield world
    door.shutdown()
    thread.join()
    door.server_close()


def test_what_is_missing_is_created_once(vendor: World) -> None:
    now = vendor.clock()
    first = subscriptions.sync(OURA, now=now)
    assert first.problems == []
    assert len(first.done) == len(WANTED)
    assert {one.topic for one in subscriptions.listing(OURA)} == WANTED
    assert subscriptions.sync(OURA, now=now).done == []


def test_what_ends_soon_is_renewed(vendor: World) -> None:
    subscriptions.sync(OURA, now=vendor.clock())
    later = vendor.clock() + timedelta(days=61)
    done = subscriptions.sync(OURA, now=later).done
    assert len(done) == len(WANTED)
    assert all(line.startswith("renewed") for line in done)


def test_an_end_without_renewal_alarms_until_it_is_well(
    vendor: World, settings: Settings
) -> None:
    subscriptions.sync_or_alarm(OURA, now=vendor.clock())
    assert not StaffAlarm.objects.exists()
    # The fake's clock stands still, so a renewal gives no more time than there was.
    late = vendor.clock() + timedelta(days=84)
    subscriptions.sync_or_alarm(OURA, now=late)
    alarm = StaffAlarm.objects.get()
    assert (alarm.kind, alarm.key) == ("subscriptions", "oura")
    assert "ends within 7 days" in alarm.text
    subscriptions.sync_or_alarm(OURA, now=vendor.clock())
    assert StaffAlarm.objects.get().cleared_at is not None


def test_doubles_and_what_nobody_wants_are_ended(vendor: World) -> None:
    subscriptions.sync(OURA, now=vendor.clock())
    spec, topic = OURA.subscriptions, ("update", "sleep")
    assert spec is not None

    async def subscribe_more() -> set[str]:
        async with Application(OURA) as application:
            mine = {"callback_url": application.callback, "token": application.token}
            made = [await application.one(spec.creating(topic, **mine)) for _ in "12"]
            meal = await application.one(spec.creating(("update", "meal"), **mine))
            return {one.remote_id for one in (*made, meal)}

    before = {one.remote_id for one in subscriptions.listing(OURA)}
    more = asyncio.run(subscribe_more())
    assert len(subscriptions.listing(OURA)) == len(WANTED) + 3
    outcome = subscriptions.sync(OURA, now=vendor.clock())
    assert sorted(outcome.done) == ["ended meal.update", *["ended sleep.update"] * 2]
    left = subscriptions.listing(OURA)
    assert sorted(one.topic for one in left) == sorted(WANTED)
    assert {one.remote_id for one in left} <= before | more
    assert subscriptions.sync(OURA, now=vendor.clock()).done == []


def test_another_callback_is_moved_to_ours(vendor: World, settings: Settings) -> None:
    subscriptions.sync(OURA, now=vendor.clock())
    old = {one.remote_id: one for one in subscriptions.listing(OURA)}
    settings.PUBLIC_URL = settings.PUBLIC_URL.replace("127.0.0.1", "localhost")
    assert subscriptions.sync(OURA, now=vendor.clock()).problems == []
    left = {one.remote_id: one for one in subscriptions.listing(OURA)}
    assert left.keys() == old.keys()
    assert all("localhost" in one.callback_url for one in left.values())


def test_a_rotated_token_reaches_what_was_there_before(
    vendor: World, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise the vendor renews with a token that our door does not know any more."""
    subscriptions.sync(OURA, now=vendor.clock())
    settings.AUREN_VENDORS["oura"]["verification_token"] = "another"
    monkeypatch.setattr(Door, "token", "another")
    told = subscriptions.sync(OURA, now=vendor.clock())
    assert (len(told.done), told.problems) == (len(WANTED), [])
    assert subscriptions.sync(OURA, now=vendor.clock()).done == []
    renewed = subscriptions.sync(OURA, now=vendor.clock() + timedelta(days=61))
    assert (len(renewed.done), renewed.problems) == (len(WANTED), [])


def test_a_token_that_did_not_arrive_is_sent_again(
    vendor: World, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    subscriptions.sync(OURA, now=vendor.clock())
    settings.AUREN_VENDORS["oura"]["verification_token"] = "another"
    assert len(subscriptions.sync(OURA, now=vendor.clock()).problems) == len(WANTED)
    monkeypatch.setattr(Door, "token", "another")
    assert len(subscriptions.sync(OURA, now=vendor.clock()).done) == len(WANTED)


def test_what_has_ended_is_made_anew(vendor: World) -> None:
    subscriptions.sync(OURA, now=vendor.clock())
    vendor.clock.advance(seconds=100 * 86_400)  # type: ignore[attr-defined]
    outcome = subscriptions.sync(OURA, now=vendor.clock())
    assert outcome.problems == []
    listed = subscriptions.listing(OURA)
    assert {one.topic for one in listed} == WANTED
    assert all(one.expires_at > vendor.clock() for one in listed if one.expires_at)


def test_what_has_ended_and_cannot_be_deleted_harms_nobody(vendor: World) -> None:
    subscriptions.sync(OURA, now=vendor.clock())
    vendor.clock.advance(seconds=100 * 86_400)  # type: ignore[attr-defined]
    # All that is about a single one.
    path = "/webhook/subscription/"
    vendor.faults.add(Fault(vendor="oura", kind="500", path=path, times=1000))
    outcome = subscriptions.sync(OURA, now=vendor.clock())
    assert (len(outcome.done), outcome.problems) == (len(WANTED), [])
    assert len(subscriptions.listing(OURA)) == 2 * len(WANTED)
    again = subscriptions.sync(OURA, now=vendor.clock())
    assert (again.done, again.problems) == ([], [])


class TestWanted:
    def test_the_settings_say_what_we_are_told_of(
        self, vendor: World, settings: Settings
    ) -> None:
        subscriptions.sync(OURA, now=vendor.clock())
        settings.AUREN_VENDORS["oura"]["subscriptions"] = ["sleep", "workout.create"]
        assert subscriptions.sync(OURA, now=vendor.clock()).problems == []
        left = {".".join(reversed(one.topic)) for one in subscriptions.listing(OURA)}
        assert left == {
            "sleep.create",
            "sleep.update",
            "sleep.delete",
            "workout.create",
        }
        assert VendorSubscription.objects.count() == 4

    def test_what_the_vendor_does_not_tell_is_an_alarm(
        self, vendor: World, settings: Settings
    ) -> None:
        settings.AUREN_VENDORS["oura"]["subscriptions"] = ["sleep", "slumber"]
        subscriptions.sync_or_alarm(OURA, now=vendor.clock())
        text = StaffAlarm.objects.get().text
        assert "AUREN_OURA_SUBSCRIPTIONS: Oura does not tell of slumber." in text

    @pytest.mark.parametrize(
        ("vendor", "wanted", "complaint"),
        [
            ("oura", ["sleep", "daily_sleep.update"], None),
            ("oura", ["sleep", "slumber"], "AUREN_OURA_SUBSCRIPTIONS: Oura"),
            ("oura", ["sleep.renew"], "does not tell of sleep.renew"),
            ("whoop", ["sleep"], "AUREN_WHOOP_SUBSCRIPTIONS: WHOOP"),
        ],
    )
    def test_a_wrong_wish_is_found_at_the_start(
        self, settings: Settings, vendor: str, wanted: list[str], complaint: str | None
    ) -> None:
        known = {**settings.AUREN_VENDORS[vendor], "subscriptions": wanted}
        settings.AUREN_VENDORS = {**settings.AUREN_VENDORS, vendor: known}
        found = [str(one) for one in run_checks(tags=["biometrics"])]
        found = [one for one in found if "SUBSCRIPTIONS" in one]
        assert len(found) == (0 if complaint is None else 1)
        assert all(complaint in one for one in found if complaint)


class TestTime:
    """A task has 60 seconds; a vendor that hangs must not use them up without a word."""

    def slow(self, vendor: World, path: str) -> None:
        vendor.faults.add(
            Fault(vendor="oura", kind="slow", path=path, times=1000, seconds=5)
        )

    def test_a_vendor_that_hangs_is_an_alarm_with_what_ends(
        self, vendor: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        subscriptions.sync(OURA, now=vendor.clock())
        self.slow(vendor, "/webhook/subscription")
        late = vendor.clock() + timedelta(days=84)
        assert not subscriptions.sync_or_alarm(OURA, now=late, within_s=0.3)
        text = StaffAlarm.objects.get().text
        assert "took longer than 0.3 s" in text
        assert "ends within 7 days" in text
        assert VendorSubscription.objects.count() == len(WANTED)

    def test_what_was_done_in_time_counts(self, vendor: World) -> None:
        subscriptions.sync(OURA, now=vendor.clock())
        self.slow(vendor, "/webhook/subscription/renew")
        late = vendor.clock() + timedelta(days=84)
        assert not subscriptions.sync_or_alarm(OURA, now=late, within_s=2)
        text = StaffAlarm.objects.get().text
        assert f"{len(WANTED) + 1} problems" in text
        assert "ends within 7 days" in text
        assert VendorSubscription.objects.count() == len(WANTED)

    def test_the_rest_is_done_in_a_minute(
        self, vendor: World, settings: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        later: list[dict[str, Any]] = []
        monkeypatch.setattr(
            tasks.sync_subscriptions, "apply_async", lambda **said: later.append(said)
        )
        monkeypatch.setattr(subscriptions, "SYNC_SECONDS", 3.0)
        monkeypatch.setattr(Door, "after_s", 0.5)
        tasks.sync_subscriptions()
        assert later == [{"kwargs": {"again": 4}, "countdown": 60}]
        assert 0 < VendorSubscription.objects.count() < len(WANTED)
        monkeypatch.setattr(Door, "after_s", 0.0)
        monkeypatch.setattr(subscriptions, "SYNC_SECONDS", 45.0)
        tasks.sync_subscriptions(**later.pop()["kwargs"])
        assert later == []
        assert VendorSubscription.objects.count() == len(WANTED)
        assert StaffAlarm.objects.get().cleared_at is not None


def shown(client: Client) -> str:
    client.force_login(
        User.objects.get_or_create(username="ops", is_superuser=True, is_staff=True)[0]
    )
    url = reverse("admin:biometrics_vendorsubscription_changelist")
    return client.get(url).content.decode()


class TestShown:
    def test_staff_see_each_with_its_end(self, vendor: World, client: Client) -> None:
        subscriptions.sync(OURA, now=vendor.clock())
        page = shown(client)
        assert "daily_sleep.update" in page
        listed = subscriptions.listing(OURA)
        found = VendorSubscription.objects.in_bulk(field_name="id").values()
        assert {(one.event_type, one.data_type) for one in found} == WANTED
        ends = {one.remote_id: one.expires_at for one in listed}
        assert {one.remote_id: one.expires_at for one in found} == ends

    @pytest.mark.parametrize(
        ("days", "said"),
        [
            (60, "well"),
            (20, "renewed at the next sync"),
            (6, "ends soon"),
            (-1, "ended"),
        ],
    )
    def test_what_ends_soon_is_seen(self, client: Client, days: int, said: str) -> None:
        now = timezone.now()
        VendorSubscription.objects.create(
            vendor="oura",
            event_type="update",
            data_type="sleep",
            remote_id="s-1",
            callback_url="https://bridge.example.org/webhooks/oura",
            expires_at=now + timedelta(days=days),
            seen_at=now,
        )
        assert f"{said}<" in "".join(shown(client).split("\n")).replace("  ", "")

    def test_what_was_renewed_and_what_is_gone_is_seen(
        self, vendor: World, settings: Settings
    ) -> None:
        VendorSubscription.objects.create(
            vendor="oura",
            event_type="update",
            data_type="meal",
            remote_id="gone",
            callback_url="x",
            seen_at=vendor.clock(),
        )
        subscriptions.sync(OURA, now=vendor.clock())
        assert not VendorSubscription.objects.filter(remote_id="gone").exists()
        assert VendorSubscription.objects.count() == len(WANTED)
        later = vendor.clock() + timedelta(days=1)
        subscriptions.sync(OURA, now=later)
        assert {one.seen_at for one in VendorSubscription.objects.all()} == {later}
        assert VendorSubscription.objects.count() == len(WANTED)

    def test_a_vendor_that_is_away_takes_nothing_off_the_page(
        self, vendor: World, settings: Settings
    ) -> None:
        subscriptions.sync(OURA, now=vendor.clock())
        settings.AUREN_VENDORS["oura"]["api_base"] = "http://127.0.0.1:1"
        subscriptions.sync_or_alarm(OURA, now=vendor.clock())
        assert VendorSubscription.objects.count() == len(WANTED)


def test_a_wrong_token_leaves_the_handshake_undone(
    vendor: World, settings: Settings
) -> None:
    settings.AUREN_VENDORS["oura"]["verification_token"] = "another"
    outcome = subscriptions.sync(OURA, now=vendor.clock())
    assert outcome.subscriptions == {}
    assert any("answered POST with 400" in one for one in outcome.problems)


def test_a_vendor_that_is_away_is_an_alarm(vendor: World, settings: Settings) -> None:
    settings.AUREN_VENDORS["oura"]["api_base"] = "http://127.0.0.1:1"
    subscriptions.sync_or_alarm(OURA, now=vendor.clock())
    assert "cannot be reached" in StaffAlarm.objects.get().text


def test_of_a_vendor_that_is_used_no_more_nothing_is_alarmed(
    vendor: World, settings: Settings
) -> None:
    settings.AUREN_VENDORS["oura"]["api_base"] = "http://127.0.0.1:1"
    tasks.sync_subscriptions()
    assert StaffAlarm.objects.get().cleared_at is None
    settings.AUREN_UNUSED_VENDORS = ["oura"]
    tasks.sync_subscriptions()
    assert StaffAlarm.objects.get().cleared_at is not None


def test_the_longest_lived_of_ours_is_kept(vendor: World, settings: Settings) -> None:
    application = Application(OURA)
    made = [
        OURA.subscriptions.read_one(json.dumps(one.shown()).encode())  # type: ignore[union-attr]
        for one in (
            Subscription(application.callback, "create", "sleep", vendor.clock()),
            Subscription("http://old/", "create", "sleep", vendor.clock()),
            Subscription(
                application.callback,
                "create",
                "sleep",
                vendor.clock() + timedelta(days=1),
            ),
        )
    ]
    kept, others = application.choose(made)
    assert kept == made[2]
    assert len(others) == 2


def test_the_command_syncs_and_lists(
    vendor: World, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("subscriptions", "sync")
    call_command("subscriptions", "list")
    assert f"{len(WANTED)} subscriptions." in capsys.readouterr().out
