"""Log lines: one JSON event each, without what must not be in them."""

from __future__ import annotations

import logging
from typing import Any

import orjson
import pytest
from django.conf import settings

from auren.logs import EventFormatter, RateLimit

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


def test_addresses_of_requests_are_not_logged() -> None:
    """The access log of the server would hold links, codes and verification tokens."""
    loggers: Any = settings.LOGGING["loggers"]
    assert loggers["uvicorn.access"] == {"handlers": [], "propagate": False}
