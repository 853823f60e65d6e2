"""Secrets are made once, read by their owner only, and never forced on anybody."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest
from cryptography.fernet import Fernet

from auren.devstack import surroundings
from auren.devstack.surroundings import State, adopt, environment, read, write


@pytest.fixture(autouse=True)
def _environment_comes_back() -> Iterator[None]:
    """Undo what a command that joins a running stack puts into the environment."""
    with mock.patch.dict(os.environ):
        yield


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> State:
    home = tmp_path / "state"
    monkeypatch.setenv("AUREN_DEVSTACK_DIR", str(home))
    for name in list(os.environ):
        if name.startswith(("AUREN_OURA", "AUREN_WHOOP", "AUREN_TERRA", "AUREN_WEB")):
            monkeypatch.delenv(name)
    for name in ("SECRET_KEY", "AUREN_TOKEN_KEYS", "REDIS_URL", "DATABASE_URL"):
        # Set first, so that what adopt() puts there is taken away afterwards.
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    assert surroundings.state() == State(home=home)
    return State(home=home)


def test_secrets_are_kept(here: State) -> None:
    first = environment(here)

    assert environment(here) == first
    assert stat.S_IMODE(here.secrets_file.stat().st_mode) == 0o600
    Fernet(first["AUREN_TOKEN_KEYS"])
    assert len(first["SECRET_KEY"]) >= 50
    assert first["AUREN_WEBHOOK_SECRET_OURA"] == first["AUREN_OURA_CLIENT_SECRET"]


def test_no_two_stacks_share_a_secret(here: State, tmp_path: Path) -> None:
    ours = environment(here)
    theirs = environment(State(home=tmp_path / "other"))
    secret = {name for name in ours if "SECRET" in name or "KEY" in name}
    assert len(secret) >= 7
    assert not any(ours[name] == theirs[name] for name in secret)


def test_a_secret_that_a_newer_version_needs_is_added_to_the_old_ones(
    here: State,
) -> None:
    write(here.secrets_file, {"SECRET_KEY": "old"}, heading="test")
    found = environment(here)
    assert found["SECRET_KEY"] == "old"
    assert read(here.secrets_file)["AUREN_TERRA_API_KEY"]


def test_what_is_written_is_read_back_whatever_it_holds(here: State) -> None:
    values = {"A": "sqlite:////a dir/b", "B": 'it\'s $HOME "quoted"', "C": "x=y#z"}
    write(here.services_file, values, heading="test")
    assert read(here.services_file) == values


def test_a_command_beside_a_running_stack_gets_its_services(
    here: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment(here)
    write(here.services_file, {"REDIS_URL": "redis://there"}, heading="test")
    adopt(command="consume")
    assert os.environ["REDIS_URL"] == "redis://there"
    assert os.environ["DATABASE_URL"].endswith("bridge.sqlite3")
    monkeypatch.delenv("REDIS_URL")


def test_the_stack_itself_does_not_take_another_copys_services(here: State) -> None:
    environment(here)
    write(here.services_file, {"REDIS_URL": "redis://there"}, heading="test")
    adopt(command="devstack")
    assert "REDIS_URL" not in os.environ
    assert os.environ["SECRET_KEY"]


def test_nothing_is_invented_where_no_stack_has_run(here: State) -> None:
    adopt(command="migrate")
    assert "SECRET_KEY" not in os.environ
    assert not here.home.exists()


def test_a_configured_host_is_left_alone(
    here: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment(here)
    monkeypatch.setenv("SECRET_KEY", "its own")
    adopt(command="migrate")
    assert os.environ["SECRET_KEY"] == "its own"
    assert "DATABASE_URL" not in os.environ
