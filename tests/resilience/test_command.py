"""``manage.py breaker``: what people type at night."""

from __future__ import annotations

import io
import json
from collections.abc import Callable

import pytest
from django.core.management import CommandError, call_command
from pytest_django.fixtures import Settings

from resilience import get_breaker
from resilience.models import BreakerMode
from tests.resilience.clockwork import fail

pytestmark = [
    pytest.mark.redis,
    pytest.mark.django_db,
    pytest.mark.usefixtures("circuits"),
]


def breaker(*arguments: str) -> str:
    out = io.StringIO()
    call_command("breaker", *arguments, stdout=out)
    return out.getvalue()


def test_list_shows_every_circuit_in_one_line() -> None:
    fail(get_breaker("kafka"))
    fail(get_breaker("kafka"))

    database, kafka = breaker("list").splitlines()

    assert database.startswith("database  closed since ")
    assert "open" in kafka
    assert "next probe in" in kafka


def test_list_speaks_json_to_programs() -> None:
    names = [circuit["name"] for circuit in json.loads(breaker("list", "--json"))]

    assert names == ["database", "kafka"]


@pytest.mark.parametrize(
    ("verb", "mode"),
    [
        ("open", "forced_open"),
        ("disable", "disabled"),
        ("observe", "observe"),
        ("auto", "auto"),
        ("reset", "auto"),
    ],
)
def test_each_verb_does_its_work_and_show_tells_who_and_why(
    verb: str, mode: str
) -> None:
    said = breaker(verb, "kafka", "--reason", "at three in the morning")

    assert f"[{mode}]" in said
    assert BreakerMode.objects.get().mode == mode
    shown = breaker("show", "kafka")
    assert "at three in the morning" in shown
    assert "by shell:" in shown
    if mode != "auto":
        assert f"{mode} since " in shown


def test_a_reason_is_required() -> None:
    with pytest.raises(CommandError, match="--reason"):
        breaker("open", "kafka")
    with pytest.raises(CommandError, match="reason"):
        breaker("open", "kafka", "--reason", " ")


def test_an_unknown_circuit_is_an_error_unless_meant() -> None:
    with pytest.raises(CommandError, match="kafak"):
        breaker("open", "kafak", "--reason", "x")
    with pytest.raises(CommandError, match="kafak"):
        breaker("show", "kafak")

    assert "[observe]" in breaker("observe", "vendor:new", "--reason", "x", "--unseen")


def test_circuits_of_this_process_alone_cannot_be_operated_from_here(
    settings: Settings,
) -> None:
    settings.RESILIENCE_REDIS_URL = ""

    with pytest.raises(CommandError, match="RESILIENCE_REDIS_URL is not set"):
        breaker("open", "kafka", "--reason", "x")


def test_a_reason_that_is_no_text_is_refused_as_such() -> None:
    with pytest.raises(CommandError, match="belongs to no character"):
        breaker("open", "kafka", "--reason", "bad \udcff")


def test_without_the_store_it_fails_loudly_and_still_lists(
    lose_redis: Callable[[], None],
) -> None:
    lose_redis()

    with pytest.raises(CommandError, match="did not answer"):
        breaker("open", "kafka", "--reason", "x")
    assert "THE STORE IS AWAY" in breaker("list")
