"""Log lines: one JSON event each, without what must not be in them."""

from __future__ import annotations

import itertools
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import orjson
import pytest
from django.conf import settings

from auren.logs import EventFormatter, RateLimit
from tests import logged

LINK = "eyJzIjoiMTIzNCJ9:1vYz9a:Kx0b6Q2mEw"


def line(message: str, *args: object, **extra: object) -> str:
    record = logging.LogRecord("some.logger", 30, "f.py", 1, message, args, None)
    record.__dict__.update(extra)
    return EventFormatter().format(record)


def test_an_event_is_one_json_object() -> None:
    told = orjson.loads(line("thing.done\nreally", shard=3, odd={1, 2} - {2}))
    assert told["event"] == "thing.done\nreally"
    assert (told["level"], told["logger"]) == ("warning", "some.logger")
    assert (told["shard"], told["odd"]) == (3, "{1}")


@pytest.mark.parametrize(
    "path", ["/connect/{}", "/connect/{}/start", "/connect/{}?a=b"]
)
def test_a_connect_link_is_not_in_the_log(path: str) -> None:
    told = line("Forbidden: %s", path.format(LINK), request=f"<'{path.format(LINK)}'>")
    assert LINK not in told
    assert LINK[:20] not in told
    assert "/connect/…" in orjson.loads(told)["event"]


def test_other_addresses_stay() -> None:
    assert "/connect/oura/callback" in line("Forbidden: /connect/oura/callback")


def test_what_repeats_itself_is_cut_and_counted() -> None:
    limit = RateLimit(per_minute=2)
    passed = [limit.filter(logging.makeLogRecord({})) for _ in range(5)]
    assert passed == [True, True, False, False, False]


@pytest.fixture
def _minutes_of_a_thousand_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let time pass with the lines that are asked about, not with the clock."""
    asked = itertools.count()

    def monotonic() -> float:
        found = next(asked) // 1000 * 60.0
        # Another thread goes on here, and may see a later time.
        time.sleep(0)
        return found

    monkeypatch.setattr("auren.logs.monotonic", monotonic)


def chatter(name: str, *, lines: int) -> None:
    for number in range(lines):
        logging.getLogger(name).warning("again", extra={"number": number})


@pytest.mark.parametrize(
    ("noisy", "quiet"),
    [("kafka", "opentelemetry"), ("opentelemetry", "kafka")],
)
@pytest.mark.usefixtures("_minutes_of_a_thousand_lines")
def test_a_library_that_chatters_silences_no_other(noisy: str, quiet: str) -> None:
    with logged.as_configured() as written:
        chatter(f"{noisy}.conn", lines=100)
        chatter(f"{quiet}.sdk", lines=1)
        chatter("biometrics.views", lines=30)
    loggers = [event["logger"] for event in written.events("again")]
    assert loggers.count(f"{noisy}.conn") == 20
    assert loggers.count(f"{quiet}.sdk") == 1
    assert loggers.count("biometrics.views") == 30


@pytest.mark.usefixtures("_minutes_of_a_thousand_lines")
def test_threads_that_chatter_at_once_are_counted_exactly() -> None:
    with logged.as_configured() as written:
        with ThreadPoolExecutor(8) as pool:
            for _ in range(8):
                pool.submit(chatter, "kafka.conn", lines=1000)
        chatter("kafka.conn", lines=1)
    events = written.events("again")
    told = [one["suppressed_before"] for one in events if "suppressed_before" in one]
    assert len(events) == 8 * 20 + 1
    assert told == [1000 - 20] * 8


def test_addresses_of_requests_are_not_logged() -> None:
    """The access log of the server would hold links, codes and verification tokens."""
    loggers: Any = settings.LOGGING["loggers"]
    assert loggers["uvicorn.access"] == {"handlers": [], "propagate": False}
