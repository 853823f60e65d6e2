"""An unsafe setting stops a production bridge, and says which and what to do."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from celery.signals import beat_init, worker_init
from django.core.checks import run_checks
from pytest_django.fixtures import Settings

from auren.asgi import _lifespan
from auren.celery import refuse_unsafe
from auren.safety import configured, verdicts
from auren.safety.configured import CONFIGURED
from auren.safety.running import RUNNING
from biometrics.vendors.registry import VENDORS, get_adapter
from tests.newcomers import unused_but

SIGNED = {
    slug: [f"{slug}-secret"]
    for slug in VENDORS
    if not get_adapter(slug).personal_tokens
}
SAFE: dict[str, Any] = {
    "AUREN_MODE": "production",
    "DEBUG": False,
    "SECRET_KEY": "0123456789-abcdefghijklmnopqrstuvwxyz-0123456789-abcdef",
    "AUREN_WEBHOOK_SECRETS": SIGNED,
    "AUREN_UNUSED_VENDORS": [],
    "AUREN_ACCEPTED_RISKS": [],
    "ALLOWED_HOSTS": ["bridge.example.org"],
    "KAFKA_REPLICATION_FACTOR": 3,
    "PUBLIC_URL": "https://bridge.example.org",
    "SESSION_COOKIE_SECURE": True,
    "CSRF_COOKIE_SECURE": True,
}
UNSAFE: list[tuple[str, str, dict[str, Any]]] = [
    ("auren.E000", "AUREN_ACCEPTED_RISKS", {"AUREN_ACCEPTED_RISKS": ["auren.E999"]}),
    ("auren.E001", "DEBUG", {"DEBUG": True}),
    ("auren.E002", "SECRET_KEY", {"SECRET_KEY": "0123456789-abcdefghijk"}),
    ("auren.E002", "SECRET_KEY", {"SECRET_KEY": "ab" * 40}),
    (
        "auren.E002",
        "SECRET_KEY",
        {"SECRET_KEY": "django-insecure-" + SAFE["SECRET_KEY"]},
    ),
    (
        "auren.E003",
        "AUREN_WEBHOOK_SECRET_TERRA",
        {"AUREN_WEBHOOK_SECRETS": {**SIGNED, "terra": []}},
    ),
    ("auren.E004", "AUREN_UNUSED_VENDORS", {"AUREN_UNUSED_VENDORS": ["garmin"]}),
    ("auren.E006", "ALLOWED_HOSTS", {"ALLOWED_HOSTS": ["bridge.example.org", "*"]}),
    ("auren.E007", "KAFKA_ACKS", {"KAFKA_ACKS": "1"}),
    ("auren.E007", "KAFKA_ENABLE_IDEMPOTENCE", {"KAFKA_ENABLE_IDEMPOTENCE": False}),
    ("auren.E008", "KAFKA_REPLICATION_FACTOR", {"KAFKA_REPLICATION_FACTOR": 1}),
    ("auren.E009", "AUREN_TOKEN_KEYS", {"AUREN_TOKEN_KEYS": []}),
    ("auren.E010", "PUBLIC_URL", {"PUBLIC_URL": "http://bridge.example.org"}),
    ("auren.E010", "AUREN_TLS", {"SESSION_COOKIE_SECURE": False}),
]


@pytest.fixture
def production(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Give settings as of a safe bridge."""
    monkeypatch.setattr(configured, "connection", SimpleNamespace(vendor="postgresql"))
    for name, value in SAFE.items():
        setattr(settings, name, value)
    return settings


def errors() -> dict[str, str]:
    return {
        str(found.id): f"{found.msg} {found.hint}"
        for found in run_checks(tags=["auren"])
    }


def test_a_safe_bridge_passes(production: Settings) -> None:
    assert errors() == {}


@pytest.mark.parametrize(("check_id", "named", "changes"), UNSAFE)
def test_an_unsafe_setting_is_an_error_that_names_it(
    production: Settings, check_id: str, named: str, changes: dict[str, Any]
) -> None:
    for name, value in changes.items():
        setattr(production, name, value)
    found = errors()
    assert set(found) == {check_id}
    assert named in found[check_id]


def test_every_safeguard_of_the_settings_was_broken_here() -> None:
    assert {safeguard.id for safeguard in CONFIGURED} == {
        check_id for check_id, _, _ in UNSAFE
    } - {"auren.E000"} | {"auren.E005"}


def test_sqlite_is_an_error(
    production: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(configured, "connection", SimpleNamespace(vendor="sqlite"))
    found = errors()
    assert set(found) == {"auren.E005"}
    assert "DATABASE_URL" in found["auren.E005"]


def test_ids_are_unique() -> None:
    ids = [safeguard.id for safeguard in (*CONFIGURED, *RUNNING)]
    assert len(ids) == len(set(ids))


def test_a_vendor_that_nobody_uses_needs_no_secret(production: Settings) -> None:
    production.AUREN_WEBHOOK_SECRETS = {"oura": ["a"], "terra": ["c"]}
    production.AUREN_UNUSED_VENDORS = unused_but(["oura", "terra"]).split(",")
    assert "whoop" in production.AUREN_UNUSED_VENDORS
    assert errors() == {}


def test_an_accepted_risk_stops_nothing(production: Settings) -> None:
    production.KAFKA_REPLICATION_FACTOR = 1
    production.AUREN_ACCEPTED_RISKS = ["auren.E008"]
    assert errors() == {}


def test_a_development_machine_is_left_alone(production: Settings) -> None:
    production.AUREN_MODE = "development"
    production.DEBUG = True
    assert errors() == {}


@pytest.fixture
def alone(production: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Give the settings of a safe bridge whose services are not looked at."""
    monkeypatch.setattr(verdicts, "RUNNING", ())
    return production


def web_start() -> list[Any]:
    """Return what the web process tells its server when it is to start."""
    told: list[Any] = []

    async def receive() -> Any:
        return {"type": "lifespan.startup"}

    async def send(message: Any) -> None:
        told.append(message)

    asyncio.run(_lifespan(receive, send))
    return told


@pytest.mark.parametrize(("code", "name", "changes"), UNSAFE)
def test_web_worker_and_beat_refuse_each_unsafe_setting(
    alone: Settings, code: str, name: str, changes: dict[str, Any]
) -> None:
    for setting, value in changes.items():
        setattr(alone, setting, value)
    (failed,) = web_start()
    assert failed["type"] == "lifespan.startup.failed"
    assert code in failed["message"]
    assert name in failed["message"]
    for starting in (worker_init, beat_init):
        with pytest.raises(SystemExit, match=code):
            starting.send(sender=None)


def test_a_safe_setting_stops_neither(alone: Settings) -> None:
    refuse_unsafe()
    verdicts.refuse_unsafe()
