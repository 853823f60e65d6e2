"""The live socket: for staff of this site alone, and sparing however much happens."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from channels.layers import get_channel_layer
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client, override_settings
from django.utils import timezone
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from biometrics import nudges
from biometrics.realtime import broadcast, consumers
from resilience import registry
from tests.bridge import RunningBridge

pytestmark = [pytest.mark.redis]
_WAIT_S = 20


@pytest.fixture
def site(transactional_db: None, redis_url: str) -> Iterator[RunningBridge]:
    layers = {"default": {**settings.CHANNEL_LAYERS["default"]}}
    layers["default"]["CONFIG"] = {"hosts": [redis_url], "prefix": "socket-tests"}
    with override_settings(
        REDIS_URL=redis_url, RESILIENCE_REDIS_URL=redis_url, CHANNEL_LAYERS=layers
    ):
        nudges.connect.cache_clear()
        registry.clear()
        running = RunningBridge()
        running.start()
        yield running
        running.stop()
    nudges.connect.cache_clear()
    registry.clear()


def somebody(*, is_staff: bool = False, is_superuser: bool = False) -> User:
    return User.objects.create_user(
        "ada", password="x", is_staff=is_staff, is_superuser=is_superuser
    )


def cookie_of(user: User) -> str:
    client = Client()
    client.force_login(user)
    return f"{settings.SESSION_COOKIE_NAME}={client.cookies['sessionid'].value}"


def open_socket(
    site: RunningBridge, *, cookie: str = "", origin: str | None = "own"
) -> ClientConnection:
    own = f"http://127.0.0.1:{site.port}"
    return connect(
        f"ws://127.0.0.1:{site.port}/ws/live/",
        origin=own if origin == "own" else origin,  # type: ignore[arg-type]
        additional_headers={"Cookie": cookie} if cookie else None,
        open_timeout=_WAIT_S,
        proxy=None,
    )


def closed_with(socket: ClientConnection) -> int | None:
    with pytest.raises(ConnectionClosed) as closed:
        socket.recv(timeout=_WAIT_S)
    return closed.value.rcvd.code if closed.value.rcvd else None


def told(site: RunningBridge, socket: ClientConnection) -> Any:
    """Return the next push, which is caused here until it comes.

    The browser's side is open a moment before the server's has joined the group.
    """
    until = time.monotonic() + _WAIT_S
    while time.monotonic() < until:
        broadcast.broadcast_numbers(now=timezone.now())
        try:
            return json.loads(socket.recv(timeout=0.3))
        except TimeoutError:
            continue
    raise AssertionError("Nothing was pushed.")


@pytest.mark.parametrize("origin", ["https://elsewhere.example", None])
def test_a_foreign_origin_is_refused_even_with_the_cookie_of_staff(
    site: RunningBridge, origin: str | None
) -> None:
    cookie = cookie_of(somebody(is_staff=True, is_superuser=True))
    with pytest.raises(InvalidStatus) as refused:
        open_socket(site, cookie=cookie, origin=origin)
    assert refused.value.response.status_code == 403


def test_who_is_not_signed_in_is_told_so_by_the_code_4403(site: RunningBridge) -> None:
    with open_socket(site) as socket:
        assert closed_with(socket) == 4403


def test_who_is_not_staff_is_told_so_by_the_code_4403(site: RunningBridge) -> None:
    with open_socket(site, cookie=cookie_of(somebody())) as socket:
        assert closed_with(socket) == 4403


def test_staff_are_told_numbers_with_their_time(site: RunningBridge) -> None:
    cookie = cookie_of(somebody(is_staff=True, is_superuser=True))
    with open_socket(site, cookie=cookie) as socket:
        numbers = told(site, socket)["numbers"]
    assert numbers["as_of"].endswith(" UTC")
    assert numbers["outbox_waiting"] == "0"


def test_staff_without_a_right_are_told_the_time_alone(site: RunningBridge) -> None:
    with open_socket(site, cookie=cookie_of(somebody(is_staff=True))) as socket:
        board = told(site, socket)
    assert {"as_of"} <= set(board["numbers"]) <= {"as_of", "summary"}
    assert (board["tables"], board["charts"]) == ({}, {})


def test_whose_account_ends_loses_the_socket_by_itself(
    site: RunningBridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumers, "_RECHECK_S", 0.05)
    user = somebody(is_staff=True, is_superuser=True)
    with open_socket(site, cookie=cookie_of(user)) as socket:
        told(site, socket)
        User.objects.update(is_active=False)
        assert closed_with(socket) == 4403


def test_nothing_is_counted_or_sent_while_nobody_watches(site: RunningBridge) -> None:
    nudges.connect().flushdb()
    assert not broadcast.broadcast_numbers(now=timezone.now())
    cookie = cookie_of(somebody(is_staff=True, is_superuser=True))
    with open_socket(site, cookie=cookie) as socket:
        assert told(site, socket)


def test_an_open_socket_outlives_a_wiped_redis(
    site: RunningBridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumers, "_RECHECK_S", 0.05)
    cookie = cookie_of(somebody(is_staff=True, is_superuser=True))
    with open_socket(site, cookie=cookie) as socket:
        assert told(site, socket)
        nudges.connect().flushdb()
        assert told(site, socket)


class Counting:
    """A layer that counts group messages and passes them on."""

    def __init__(self, layer: Any) -> None:
        self._layer, self.sent = layer, 0

    async def group_send(self, group: str, message: dict[str, Any]) -> None:
        self.sent += 1
        await self._layer.group_send(group, message)


def test_many_events_make_four_pushes_a_second_and_one_message_each(
    site: RunningBridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer = Counting(get_channel_layer())
    monkeypatch.setattr(broadcast, "get_channel_layer", lambda: layer)
    cookie = cookie_of(somebody(is_staff=True, is_superuser=True))
    came: list[int] = [0, 0]

    def listen(number: int, socket: ClientConnection) -> None:
        for _ in socket:
            came[number] += 1

    with (
        open_socket(site, cookie=cookie) as one,
        open_socket(site, cookie=cookie) as other,
    ):
        for socket in (one, other):
            told(site, socket)
        layer.sent = 0
        readers = [
            threading.Thread(target=listen, args=(number, socket))
            for number, socket in enumerate((one, other))
        ]
        for reader in readers:
            reader.start()
        began, events = time.monotonic(), 0
        while time.monotonic() - began < 1.3:
            broadcast.broadcast_numbers(now=timezone.now())
            events += 1
        took = time.monotonic() - began
        one.close()
        other.close()
        for reader in readers:
            reader.join(_WAIT_S)
    assert events > 50
    assert 2 <= layer.sent <= 1 + took / 0.25
    # The last ones may still have been on their way; told() may have left one.
    assert max(came) <= layer.sent + 1
    assert min(came) >= 1
