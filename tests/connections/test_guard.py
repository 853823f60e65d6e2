"""Whatever is asked of a vendor passes its breaker, its limits and its holds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import TypeAlias

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django.fixtures import Settings

from auren.devstack.fakes.faults import Fault
from auren.devstack.fakes.world import Account, World
from biometrics.connections import client, pacing, registry, subscriptions
from biometrics.errors import VendorUnavailableError
from biometrics.models import Subject
from biometrics.vendors.registry import get_adapter
from resilience import CircuitBreakerOpen, get_breaker
from tests.connections.test_consent import leave, link_for, said
from tests.connections.vendors import running_fakes

pytestmark = pytest.mark.django_db(transaction=True)
OURA = get_adapter("oura")

Asking: TypeAlias = Callable[[World], str]


@pytest.fixture
def vendors(settings: Settings) -> Iterator[World]:
    with running_fakes() as (url, world):
        profile = {"personal_info": {"id": "ring-1"}}
        world.vendors["oura"].accounts["ring-1"] = Account(
            account="ring-1", label="ring-1", profile=profile
        )
        known = dict(settings.AUREN_VENDORS)
        known["oura"] = {**known["oura"], "api_base": f"{url}/oura"}
        settings.AUREN_VENDORS = known
        yield world


def renewal(world: World) -> str:
    """Call with a token that has run out; return what came of it."""
    grants, now = world.vendors["oura"].grants, world.clock()
    grant = grants.issue(account="ring-1", scopes=["daily"], now=now)
    connection = registry.add_connection(
        vendor="oura",
        account_id="ring-1",
        label="Robin",
        access_token=grant.access_token,
        refresh_token=grant.refresh_token or "",
        expires_at=now - timedelta(hours=1),
    )

    async def ask() -> None:
        async with client.open_session(now=timezone.now) as session:
            api = session.api_for(connection=connection, adapter=OURA)
            await api.get("/v2/usercollection/personal_info")

    return _outcome(lambda: asyncio.run(ask()))


def consenting(world: World) -> str:
    """Come back from the consent page; return what the person is told."""
    robin = Subject.objects.create(label="Robin")
    browser = Client()
    page = browser.get(leave(browser, link_for(robin), choice="account=ring-1"))
    return said(page) if page.status_code == 503 else ""


def subscribing(_: World) -> str:
    """Ask for the list of subscriptions; return what came of it."""
    return _outcome(lambda: subscriptions.listing(OURA))


def _outcome(call: Callable[[], object]) -> str:
    try:
        call()
    except VendorUnavailableError as error:
        return str(error)
    return ""


every_call = pytest.mark.parametrize("ask", [renewal, consenting, subscribing])


@every_call
def test_an_open_circuit_is_not_passed(vendors: World, ask: Asking) -> None:
    get_breaker("vendor:oura").trip(retry_after=60)
    assert "being left alone after failures" in ask(vendors)
    assert _asked(vendors) == []


@every_call
def test_what_a_vendor_wants_to_be_spared_is_not_asked(
    vendors: World, ask: Asking
) -> None:
    pacing.hold(slug="oura", account=None, seconds=60, now=timezone.now())
    assert "limits leave no room" in ask(vendors)
    assert _asked(vendors) == []


@every_call
def test_it_counts_towards_the_published_limit(
    vendors: World, ask: Asking, settings: Settings
) -> None:
    settings.VENDOR_LIMIT_FACTOR = 0.000_1
    settings.WORKERS = 1
    assert ask(vendors) == "" or _asked(vendors)
    before = _asked(vendors)
    assert "limits leave no room" in ask(vendors)
    assert _asked(vendors) == before


@every_call
def test_a_429_is_a_hold_for_whatever_comes_next(vendors: World, ask: Asking) -> None:
    _break(vendors, "429")
    assert "429" in ask(vendors)
    assert len(_asked(vendors)) == 1
    assert "limits leave no room" in subscribing(vendors)
    assert len(_asked(vendors)) == 1


@every_call
def test_failures_open_the_circuit(vendors: World, ask: Asking) -> None:
    _break(vendors, "500")
    breaker = get_breaker("vendor:oura")
    for _ in range(breaker.policy.failure_threshold):
        # A new person each time: after a failure one is left alone for a while.
        Subject.objects.all().delete()
        assert "500" in ask(vendors)
    with pytest.raises(CircuitBreakerOpen):
        breaker.acquire()


def _break(world: World, kind: str) -> None:
    """Have the token endpoint and the subscriptions fail."""
    for path in ("/oauth/token", "/webhook/"):
        fault = Fault(vendor="oura", kind=kind, path=path, seconds=30, times=100)
        world.faults.add(fault)


def _asked(world: World) -> list[str]:
    """Return the answered requests, the consent page's left out."""
    counted = world.vendors["oura"].requests
    return [
        line
        for line, times in counted.items()
        for _ in range(times)
        if "/authorize" not in line
    ]
