"""manage.py simulate and fake_vendors: as typed, and what they say when it is wrong."""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from django.core.management import CommandError, call_command

from auren.devstack.simulator.control import Tokens
from auren.devstack.simulator.people import cast
from auren.devstack.simulator.registration import LocalRegister
from biometrics.connections import tokens
from biometrics.models import VendorConnection
from tests.devstack.servers import Bridge, serving

ROOT = Path(__file__).parents[2]
PEOPLE = cast(seed=7, count=6, today=date(2026, 11, 20))
PHONES = ("--healthkit-token", "one", "--healthkit-token", "two")


@asynccontextmanager
async def _command(*words: str) -> AsyncIterator[Process]:
    """Run a management command; it has ended when this block ends."""
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "auren.settings",
        "AUREN_TERRA_DEV_ID": "terra-dev",
        "AUREN_TERRA_API_KEY": "terra-key",
        "PYTHONUNBUFFERED": "1",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "manage.py", *words, cwd=ROOT, env=environment, stdout=PIPE
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _line(process: Process) -> str:
    assert process.stdout is not None
    return (await asyncio.wait_for(process.stdout.readline(), timeout=30)).decode()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.mark.asyncio
async def test_both_commands_together_feed_a_bridge() -> None:
    bridge, port = Bridge(), _free_port()
    vendors = f"http://127.0.0.1:{port}"
    async with (
        serving(bridge.app()) as url,
        _command("fake_vendors", "--port", str(port)) as fakes,
    ):
        assert vendors in await _line(fakes)
        async with _command(
            "simulate",
            *("--bridge", url, "--vendors-url", vendors, *PHONES),
            *("--count", "60", "--history", "1", "--rate", "500"),
        ) as simulate:
            said = await _line(simulate)
            assert await asyncio.wait_for(simulate.wait(), timeout=30) == 0
        assert said.startswith("simulate: ended, sent 60, accepted ")
        assert len(bridge.received) == 60
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{vendors}/control/state") as answer,
        ):
            state = (await answer.json())["vendors"]
        assert {slug: len(v["accounts"]) for slug, v in state.items()} == {
            "oura": 2,
            "whoop": 1,
            "terra": 1,
        }
        assert state["oura"]["documents"] > 0
        fakes.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(fakes.wait(), timeout=10) == 0


@pytest.mark.asyncio
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_ends_a_simulation_in_good_order(number: signal.Signals) -> None:
    bridge = Bridge()
    async with (
        serving(bridge.app()) as url,
        _command(
            "simulate",
            *("--bridge", url, "--vendor", "terra", "--people", "1"),
            *("--history", "0", "--rate", "20"),
        ) as simulate,
    ):
        await bridge.until(3)
        simulate.send_signal(number)
        assert (await _line(simulate)).startswith("simulate: ended, sent ")
        assert await asyncio.wait_for(simulate.wait(), timeout=10) == 0


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({}, "--vendors-url"),
        ({"vendor": ["whoop"]}, "--vendors-url"),
        ({"vendor": ["healthkit"], "people": 2}, "--healthkit-token"),
        (
            {"vendor": ["terra"], "bridge": "http://127.0.0.1:1", "wait": 0},
            "http://127.0.0.1:1/health does not answer",
        ),
    ],
)
def test_what_cannot_work_is_said_at_once(options: dict[str, Any], says: str) -> None:
    with pytest.raises(CommandError, match=says):
        call_command("simulate", **options)


def test_a_missing_secret_is_named(settings: Any) -> None:
    settings.AUREN_WEBHOOK_SECRETS = {}
    with pytest.raises(CommandError, match="AUREN_WEBHOOK_SECRET_TERRA"):
        call_command("simulate", vendor=["terra"])


def test_a_missing_client_is_named(settings: Any) -> None:
    settings.AUREN_VENDORS = {}
    with pytest.raises(CommandError, match="AUREN_OURA_CLIENT_ID"):
        call_command("fake_vendors")


@pytest.mark.django_db(transaction=True)
def test_registering_connects_a_person_with_a_grant_and_again_with_a_newer() -> None:
    person = PEOPLE[0]
    expires_at = datetime(2026, 11, 21, tzinfo=UTC)
    for turn in ("first", "second"):
        grant = Tokens(
            access_token=f"{turn}-access", refresh_token=f"{turn}-refresh", expires_in=9
        )
        LocalRegister().connect(person, grant, expires_at=expires_at)
    (row,) = VendorConnection.objects.select_related("subject")
    assert (row.vendor, row.account_id) == ("oura", person.account)
    assert row.subject.label == person.label
    assert row.access_token is not None
    assert tokens.decrypt(row.access_token) == "second-access"
    assert row.token_expires_at == expires_at


@pytest.mark.django_db(transaction=True)
def test_a_phone_gets_a_token_that_the_bridge_knows() -> None:
    person = PEOPLE[3]
    phone = LocalRegister().phone(person)
    row = VendorConnection.objects.get(vendor="healthkit")
    digest = hashlib.sha256(phone.token.encode()).hexdigest()
    assert row.personal_token_sha256 == digest
    assert row.account_id == phone.user_id
