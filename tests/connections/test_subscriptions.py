"""The account's subscriptions become what is wanted. Over HTTP, handshake included."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest
from django.core.management import call_command
from pytest_django.fixtures import Settings

from auren.devstack.fakes.oura_subscriptions import Subscription
from auren.devstack.fakes.world import World
from biometrics.connections import subscriptions
from biometrics.models import StaffAlarm
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
