"""Settings: documented, typed, and loud when wrong."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from auren import environment as env
from tests.auren.test_env_example import SIGNING, documented

ROOT = Path(__file__).resolve().parents[2]


def start(**changes: str) -> subprocess.CompletedProcess[str]:
    """Load the settings in a fresh process with a changed environment."""
    return run("import auren.settings as s; print(s.PORT, s.SHARDS)", **changes)


def run(code: str, **changes: str) -> subprocess.CompletedProcess[str]:
    """Run Python in a fresh process whose environment holds nothing else of ours."""
    names = set(documented()) | {"DJANGO_SETTINGS_MODULE"}
    plain = {k: v for k, v in os.environ.items() if k not in names}
    plain |= {"SECRET_KEY": "x" * 50} | changes
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=plain,
        cwd=ROOT,
        timeout=60,
        check=False,
    )


def test_the_settings_load_with_a_key_alone() -> None:
    done = start()
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["8889", "16"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "eighty"),
        ("PORT", "70000"),
        ("MAX_CONCURRENT_WEBHOOKS", "0"),
        ("DEBUG", "perhaps"),
        ("KAFKA_ACKS", "1"),
        ("KAFKA_ACKS", "-1"),
        ("KAFKA_ENABLE_IDEMPOTENCE", "false"),
        ("KAFKA_DELIVERY", "at_most_once"),
        ("KAFKA_MAX_IN_FLIGHT", "6"),
        ("DATABASE_URL", "not a url"),
        ("SECRET_KEY_FILE", "/nonexistent/key"),
        ("HRV_ABSOLUTE_RULES", "sometimes"),
        ("AUREN_OURA_TOLERANCE_S", "x"),
        ("AUREN_OURA_API_BASE", "api.ouraring.com"),
        ("AUREN_WHOOP_STATE_LENGTH", "7"),
        ("PUBLIC_URL", "bridge.example.org"),
        ("REDIS_URL", "127.0.0.1:6379"),
        ("KAFKA_BOOTSTRAP_SERVERS", "kafka"),
        ("KAFKA_BOOTSTRAP_SERVERS", ","),
        ("METRICS_ALLOWED_IPS", "127.0.0.1,localhost"),
    ],
)
def test_a_wrong_value_stops_the_start_and_names_the_variable(
    name: str, value: str
) -> None:
    done = start(**{name: value})
    assert done.returncode != 0
    assert "ImproperlyConfigured" in done.stderr.splitlines()[-1]
    assert name in done.stderr.splitlines()[-1]


def test_a_minimum_above_the_maximum_is_refused() -> None:
    done = start(PG_POOL_MIN_SIZE="60", PG_POOL_MAX_SIZE="50")
    assert "PG_POOL_MIN_SIZE" in done.stderr.splitlines()[-1]


def test_events_that_a_replay_may_need_are_kept() -> None:
    done = start(EVENT_RETENTION_DAYS="29", RAW_RETENTION_DAYS="30")
    assert "EVENT_RETENTION_DAYS" in done.stderr.splitlines()[-1]


def test_a_login_without_a_way_to_log_in_is_refused() -> None:
    done = start(KAFKA_SECURITY_PROTOCOL="SASL_SSL")
    assert "KAFKA_SECURITY_SASL_MECHANISM" in done.stderr.splitlines()[-1]


def test_a_file_gives_the_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("$dollar,second \n")
    monkeypatch.setenv("AUREN_WEBHOOK_SECRET_TERRA_FILE", str(secret))
    monkeypatch.delenv("AUREN_WEBHOOK_SECRET_TERRA", raising=False)
    found = env.webhook_secrets(dict(os.environ))
    assert found["terra"] == ["$dollar", "second"]
    assert "terra_file" not in found


SECRETS = {
    "SECRET_KEY": "s.SECRET_KEY",
    "DATABASE_URL": "s.DATABASES['default']['PASSWORD']",
    "REDIS_URL": "s.REDIS_URL",
    "AUREN_TOKEN_KEYS": "s.AUREN_TOKEN_KEYS[0]",
    "AUREN_OURA_CLIENT_SECRET": "s.AUREN_VENDORS['oura']['client_secret']",
    "AUREN_OURA_VERIFICATION_TOKEN": "s.AUREN_VENDORS['oura']['verification_token']",
    "AUREN_WHOOP_CLIENT_SECRET": "s.AUREN_VENDORS['whoop']['client_secret']",
    "AUREN_HEALTHKIT_CLIENT_SECRET": "s.AUREN_VENDORS['healthkit']['client_secret']",
    "AUREN_TERRA_API_KEY": "s.AUREN_VENDORS['terra']['api_key']",
    **{
        f"AUREN_WEBHOOK_SECRET_{name}": f"s.AUREN_WEBHOOK_SECRETS['{name.lower()}'][0]"
        for name in SIGNING
    },
    "METRICS_TOKEN": "s.METRICS_TOKEN",
    "EMAIL_HOST_PASSWORD": "s.EMAIL_HOST_PASSWORD",
    "KAFKA_SECURITY_SASL_PASSWORD": "s.KAFKA_SECURITY_SASL_PASSWORD",
}
_IN_A_URL = {
    "DATABASE_URL": "postgres://auren:{}@127.0.0.1/auren",
    "REDIS_URL": "redis://:{}@127.0.0.1:6379/0",
}


def test_every_secret_may_lie_in_a_file(tmp_path: Path) -> None:
    """A file wins over an empty value, as a copied .env.example leaves it."""
    given: dict[str, str] = {}
    for name in SECRETS:
        file = tmp_path / name
        file.write_text(_IN_A_URL.get(name, "{}").format(f"secret-of-{name}") + "\n")
        given |= {f"{name}_FILE": str(file), name: ""}
    # No process says a secret, not even here: tests/leaks.py.
    reading = "\n".join(
        f"print({name!r}, 'secret-of-{name}' in {place})"
        for name, place in SECRETS.items()
    )
    done = run(f"import auren.settings as s\n{reading}", **given)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [f"{name} True" for name in SECRETS]


def test_no_secret_is_missing_above() -> None:
    telling = re.compile(r"(SECRET|PASSWORD|TOKEN|API_KEY|_KEYS)(_[A-Z]+)?$")
    named = {
        name
        for name in documented()
        if telling.search(name) and not name.endswith(("_S", "_SCOPES"))
    }
    # Read by docker-compose.yml alone.
    assert named - {"POSTGRES_PASSWORD"} <= set(SECRETS)


def test_a_file_that_is_no_text_is_named_and_not_shown(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"planted\xff")
    done = start(SECRET_KEY_FILE=str(secret))
    assert "SECRET_KEY_FILE" in done.stderr.splitlines()[-1]
    assert "planted" not in done.stdout + done.stderr


def test_empty_items_of_a_list_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_LIST", " a ,, b,")
    assert env.listing("SOME_LIST") == ["a", "b"]


def test_a_flag_takes_the_usual_words(monkeypatch: pytest.MonkeyPatch) -> None:
    for word, expected in [("Yes", True), ("0", False), ("ON", True), ("no", False)]:
        monkeypatch.setenv("SOME_FLAG", word)
        assert env.flag("SOME_FLAG", default=not expected) is expected
    monkeypatch.setenv("SOME_FLAG", "2")
    with pytest.raises(ImproperlyConfigured, match="SOME_FLAG"):
        env.flag("SOME_FLAG", default=True)
