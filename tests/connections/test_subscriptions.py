"""The account's subscriptions become what is wanted. Over HTTP, handshake included."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django.fixtures import Settings

from auren.devstack.fakes.oura_subscriptions import Subscription
from auren.devstack.fakes.world import World
from biometrics.connections import subscriptions
from biometrics.models import StaffAlarm, VendorSubscription
from biometrics.vendors.registry import get_adapter
from tests.connections.vendors import running_fakes

pytestmark = pytest.mark.django_db
OURA = get_adapter("oura")
assert OURA.subscriptions is not None
WANTED = set(OURA.subscriptions.topics)


class Door(BaseHTTPRequestHandler):
    """The bridge's door, as far as a handshake goes."""

    def do_GET(self) -> None:
        query = parse_qs(urlsplit(self.path).query)
        known = query["verification_token"] == ["oura-verification-token"]
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


def test_the_longest_lived_of_ours_is_kept(vendor: World, settings: Settings) -> None:
    application = subscriptions._Application(OURA)
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
