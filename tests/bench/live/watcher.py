"""A browser's part: a socket that notes when each push came, beside a pushing process."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field

import redis
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from tests.bench.intake.servers import ROOT

_START_S = 60.0
_END_S = 20.0
# What was pushed last may be on its way for so long.
_LAST_S = 2.0


@dataclass(slots=True)
class Seen:
    """What the browser heard: seconds from a push's begin until it came, and between."""

    late_s: list[float] = field(default_factory=list)
    gaps_s: list[float] = field(default_factory=list)
    lost: int = 0
    pushed: int = 0
    largest: int = 0


@contextmanager
def watching(
    *, port: int, env: Mapping[str, str], seen: Seen, is_open: bool
) -> Iterator[None]:
    """Push and listen meanwhile; what is heard while inside is added to `seen`.

    Without an open socket the pushing process asks in vain: nobody watches.
    """
    # Who watched is remembered for minutes.
    redis.Redis.from_url(env["REDIS_URL"]).flushdb()
    pusher = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.live.pusher"],
        env=env,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert pusher.stdout is not None
    begun: dict[str, float] = {}
    came: dict[str, tuple[float, int]] = {}
    try:
        cookie = json.loads(pusher.stdout.readline())
        reader = threading.Thread(target=_read, args=(pusher.stdout, begun))
        reader.start()
        with _listening(port, cookie, came) if is_open else nullcontext():
            since = time.monotonic()
            yield
            until = time.monotonic()
            time.sleep(_LAST_S)
            pusher.terminate()
            reader.join(_END_S)
    finally:
        pusher.kill()
        pusher.wait(_END_S)
    seen.pushed += len(begun)
    if is_open:
        _add(seen, begun, came, since=since, until=until)


@contextmanager
def _listening(
    port: int, cookie: str, came: dict[str, tuple[float, int]]
) -> Iterator[None]:
    with _socket(port, cookie=cookie) as socket:
        ear = threading.Thread(target=_listen, args=(socket, came))
        ear.start()
        _await(came)
        yield
        socket.close()
        ear.join(_END_S)


def _socket(port: int, *, cookie: str) -> ClientConnection:
    return connect(
        f"ws://127.0.0.1:{port}/ws/live/",
        origin=Origin(f"http://127.0.0.1:{port}"),
        additional_headers={"Cookie": cookie},
        open_timeout=_START_S,
        proxy=None,
    )


def _read(lines: Iterable[str], begun: dict[str, float]) -> None:
    for line in lines:
        shown, _, at = line.strip().partition(" ")
        begun[shown] = float(at)


def _listen(socket: ClientConnection, came: dict[str, tuple[float, int]]) -> None:
    try:
        for text in socket:
            shown = json.loads(text)["numbers"]["as_of"].removesuffix(" UTC")
            came[shown] = (time.monotonic(), len(text))
    except ConnectionClosed:
        return


def _await(came: Mapping[str, object]) -> None:
    until = time.monotonic() + _START_S
    while not came:
        if time.monotonic() > until:
            msg = "The socket told nothing."
            raise RuntimeError(msg)
        time.sleep(0.05)


def _add(
    seen: Seen,
    begun: Mapping[str, float],
    came: Mapping[str, tuple[float, int]],
    *,
    since: float,
    until: float,
) -> None:
    pushed = {shown: at for shown, at in begun.items() if since <= at <= until}
    heard = {shown: came[shown] for shown in pushed if shown in came}
    seen.lost += len(pushed) - len(heard)
    seen.late_s += [at - pushed[shown] for shown, (at, _) in heard.items()]
    arrivals = sorted(at for at, _ in came.values() if since <= at <= until)
    ends = [since, *arrivals, until]
    seen.gaps_s += [b - a for a, b in itertools.pairwise(ends)]
    seen.largest = max([seen.largest, *(size for _, size in heard.values())])
