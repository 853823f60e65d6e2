"""What `manage.py doctor` shows, and what ends a process at its start."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection, connections
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone
from pytest_django.fixtures import Settings

from auren.devstack.valkey import EmbeddedValkey
from auren.safety import running, verdicts
from auren.safety.safeguard import Safeguard, UnknowableError
from biometrics import nudges
from biometrics.connections import tokens
from biometrics.models import Subject, VendorConnection
from biometrics.publishing.producers import kafka_topics
from tests.auren.test_env_example import REQUIRED, documented

ROOT = Path(__file__).resolve().parents[3]
WELL = Safeguard(id="auren.E901", promise="all is well", wrong=lambda: None, fix="-")
WRONG = Safeguard(
    id="auren.E902", promise="it is right", wrong=lambda: "It is wrong.", fix="Mend it."
)


def _away() -> str | None:
    message = "Nobody answered."
    raise UnknowableError(message)


AWAY = Safeguard(
    id="auren.E903", promise="it can be asked", wrong=_away, fix="Start it."
)


@pytest.fixture
def safeguards(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def use(*chosen: Safeguard) -> None:
        monkeypatch.setattr(verdicts, "CONFIGURED", chosen)
        monkeypatch.setattr(verdicts, "RUNNING", ())

    return use


def doctor(*arguments: str) -> tuple[str, str]:
    """Return what is printed, and the complaint that makes the exit code 1."""
    out = StringIO()
    try:
        call_command("doctor", *arguments, stdout=out)
    except CommandError as error:
        return out.getvalue(), str(error)
    return out.getvalue(), ""


def test_what_is_wrong_is_marked_with_its_fix(safeguards: Callable[..., None]) -> None:
    safeguards(WELL, WRONG)
    shown, complaint = doctor()
    assert "✓ auren.E901  all is well" in shown
    assert "✗ auren.E902  it is right\n    It is wrong.\n    Mend it." in shown
    assert complaint


def test_what_cannot_be_found_out_is_not_well(safeguards: Callable[..., None]) -> None:
    safeguards(AWAY)
    shown, complaint = doctor()
    assert "✗ auren.E903  it can be asked\n    Nobody answered.\n    Start it." in shown
    assert complaint


def test_an_accepted_risk_is_shown_as_such(
    safeguards: Callable[..., None], settings: Settings
) -> None:
    safeguards(WRONG)
    settings.AUREN_ACCEPTED_RISKS = ["auren.E902"]
    shown, _ = doctor()
    assert "! auren.E902  it is right\n    accepted by AUREN_ACCEPTED_RISKS" in shown


def test_a_start_is_refused_for_what_is_wrong(
    safeguards: Callable[..., None], settings: Settings
) -> None:
    safeguards(WELL, WRONG)
    settings.AUREN_MODE = "production"
    with pytest.raises(
        ImproperlyConfigured, match=r"auren\.E902: It is wrong\. Mend it"
    ):
        verdicts.refuse_unsafe()


def test_a_start_is_not_refused_for_what_is_away(
    safeguards: Callable[..., None],
    settings: Settings,
    caplog: pytest.LogCaptureFixture,
) -> None:
    safeguards(AWAY)
    settings.AUREN_MODE = "production"
    verdicts.refuse_unsafe()
    assert "start.unknown" in caplog.text


def test_what_only_a_service_can_tell_refuses_a_start_too(
    monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    monkeypatch.setattr(verdicts, "CONFIGURED", (WELL,))
    monkeypatch.setattr(verdicts, "RUNNING", (WRONG,))
    assert "✗ auren.E902" in doctor()[0]
    settings.AUREN_MODE = "production"
    with pytest.raises(ImproperlyConfigured, match=r"auren\.E902"):
        verdicts.refuse_unsafe()


def test_topics_that_are_not_as_needed_are_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (safeguard,) = [one for one in running.RUNNING if one.id == "auren.E022"]
    found: list[str] = []
    monkeypatch.setattr(kafka_topics, "problems", lambda *, specs: found)
    assert safeguard.wrong() is None
    found += ["a does not exist.", "b has 1 replicas."]
    assert safeguard.wrong() == "a does not exist. b has 1 replicas."


@pytest.mark.django_db
def test_tables_of_an_older_version_are_seen() -> None:
    assert running.RUNNING[0].wrong() is None

    (newest,) = MigrationLoader(connection).graph.leaf_nodes("biometrics")
    MigrationRecorder(connection).record_unapplied(*newest)
    said = running.RUNNING[0].wrong()
    assert said is not None
    assert "not applied, first biometrics" in said


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("off_s", "side"), [(-20, "behind"), (20, "ahead of"), (-4, None), (4, None)]
)
def test_a_wrong_clock_is_seen(
    off_s: float, side: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    (clock,) = [one for one in running.RUNNING if one.id == "auren.E021"]
    assert clock.wrong() is None
    right = timezone.now
    monkeypatch.setattr(timezone, "now", lambda: right() + timedelta(seconds=off_s))
    said = clock.wrong()
    if side is None or connection.vendor != "postgresql":
        assert said is None
    else:
        assert said is not None
        assert f"s {side} the database's" in said


def test_a_database_that_is_away_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its tables, its clock and its tokens: a start goes on, and `doctor` says why."""

    def refuse(_self: object) -> None:
        message = "connection to planted-host failed"
        raise OperationalError(message)

    monkeypatch.setattr(type(connections["default"]), "ensure_connection", refuse)
    for code in ("auren.E020", "auren.E021", "auren.E024"):
        (safeguard,) = [one for one in running.RUNNING if one.id == code]
        with pytest.raises(UnknowableError, match="DATABASE_URL") as caught:
            safeguard.wrong()
        assert "planted-host" not in str(caught.value)


@pytest.mark.django_db
def test_tokens_of_a_key_that_is_gone_and_plain_ones_are_seen(
    settings: Settings,
) -> None:
    (safeguard,) = [one for one in running.RUNNING if one.id == "auren.E024"]
    subject = Subject.objects.create(label="somebody")
    mine = VendorConnection.objects.create(
        vendor="oura",
        account_id="1",
        subject=subject,
        access_token=tokens.encrypt("planted-token"),
    )
    assert safeguard.wrong() is None

    former = settings.AUREN_TOKEN_KEYS
    settings.AUREN_TOKEN_KEYS = [Fernet.generate_key().decode()]
    assert safeguard.wrong() == (
        "AUREN_TOKEN_KEYS opens none of the 1 newest stored tokens."
    )
    settings.AUREN_TOKEN_KEYS = [*settings.AUREN_TOKEN_KEYS, *former]
    assert safeguard.wrong() is None

    mine.access_token = b"planted-token"
    mine.save()
    said = safeguard.wrong()
    assert said is not None
    assert "planted" not in said


def test_redis_and_kafka_that_are_away_are_unknown() -> None:
    for safeguard in running.RUNNING[2:4]:
        with pytest.raises(UnknowableError):
            safeguard.wrong()


def test_the_development_stack_s_valkey_is_refused(
    settings: Settings, tmp_path: Path
) -> None:
    server = EmbeddedValkey(data_dir=tmp_path)
    server.start()
    try:
        settings.REDIS_URL = server.url
        nudges.connect.cache_clear()
        said = running.RUNNING[3].wrong()
    finally:
        nudges.connect.cache_clear()
        server.stop()
    assert said is not None
    assert "REDIS_URL" in said


@pytest.mark.parametrize(
    "argv",
    [
        ["-m", "uvicorn", "auren.asgi:application", "--port", "0"],
        ["-m", "celery", "-A", "auren", "worker", "-c", "1"],
        ["-m", "celery", "-A", "auren", "beat", "--schedule", "{home}/beat"],
        ["manage.py", "kafka_topics"],
    ],
    ids=["web", "worker", "beat", "command"],
)
def test_every_process_refuses_an_unsafe_start(argv: list[str], tmp_path: Path) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "DJANGO_SETTINGS_MODULE": "auren.settings",
        **documented(),
        **REQUIRED,
        "ALLOWED_HOSTS": "*",
        "DATABASE_URL": "postgres://nobody:planted-password@127.0.0.1:1/none",
        "REDIS_URL": "redis://127.0.0.1:1/0",
        "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
    }
    done = subprocess.run(
        [sys.executable, *(word.format(home=tmp_path) for word in argv)],
        capture_output=True,
        text=True,
        env=environment,
        cwd=ROOT,
        timeout=90,
        check=False,
    )
    assert done.returncode != 0
    assert "auren.E006" in done.stderr
    assert "ALLOWED_HOSTS" in done.stderr
    assert "planted-password" not in done.stdout + done.stderr
