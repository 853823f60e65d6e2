"""What a load balancer and staff are told by /ready while somebody holds a circuit."""

from __future__ import annotations

from collections.abc import Iterator

import orjson
import pytest
from django.test import Client
from pytest_django.fixtures import Settings

from auren import health
from resilience import control, get_breaker
from resilience import registry as circuits

pytestmark = [pytest.mark.django_db, pytest.mark.redis]


@pytest.fixture(autouse=True)
def _circuits_of_its_own(
    monkeypatch: pytest.MonkeyPatch, settings: Settings, redis_url: str
) -> Iterator[None]:
    settings.RESILIENCE_REDIS_URL = redis_url
    # What lies behind is there: only what staff did is to be seen.
    monkeypatch.setattr(health, "_CHECKS", {})
    circuits.clear()
    yield
    circuits.clear()


def ready() -> tuple[int, str, list[str], dict[str, str]]:
    answer = Client().get("/ready")
    told = orjson.loads(answer.content)
    return answer.status_code, told["status"], told["reasons"], told["held"]


def test_nothing_is_held() -> None:
    assert ready() == (200, "ready", [], {})


def test_a_circuit_forced_open_is_named_and_intake_goes_on() -> None:
    control.force_open("kafka", actor="ann", reason="the brokers move")
    assert ready() == (200, "degraded", ["held"], {"kafka": "forced_open"})
    control.auto("kafka", actor="ann", reason="they have moved")
    assert ready() == (200, "ready", [], {})


def test_a_vendor_s_that_only_workers_use_is_named_too() -> None:
    get_breaker("vendor:oura").call(lambda: None)
    control.force_open("vendor:oura", actor="ann", reason="their API is down")
    circuits.clear()  # another process, which never called Oura
    assert ready() == (200, "degraded", ["held"], {"vendor:oura": "forced_open"})


@pytest.mark.parametrize("action", [control.disable, control.observe])
def test_one_that_refuses_nothing_is_named_and_does_not_degrade(action: object) -> None:
    assert callable(action)
    action("mail", actor="ann", reason="looking at it")
    status, said, reasons, held = ready()
    assert (status, said, reasons) == (200, "ready", [])
    assert held.keys() == {"mail"}


def test_with_the_database_s_forced_open_no_delivery_can_be_taken() -> None:
    control.force_open("database", actor="ann", reason="it is being mended")
    assert ready() == (503, "unready", ["database"], {"database": "forced_open"})


def test_kafka_forced_open_is_not_well() -> None:
    control.force_open("kafka", actor="ann", reason="the brokers move")
    assert not health._kafka_well()
