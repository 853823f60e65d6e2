"""Everything that the fake vendors know, and how it is found from a request."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from aiohttp import web

from auren.devstack.fakes.documents import DocumentStore
from auren.devstack.fakes.faults import FaultList
from auren.devstack.fakes.grants import GrantBook
from auren.devstack.fakes.limits import Window
from auren.devstack.simulator.wire import Delivery

VENDORS: Final = ("oura", "whoop", "terra")

Announce = Callable[[Delivery], Awaitable[object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """An application that is registered with a vendor.

    For Terra, `client_id` is the dev id and `client_secret` the API key.
    """

    client_id: str
    client_secret: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Somebody's account at a vendor; `profile` holds the answers about the person."""

    account: str
    label: str
    profile: Mapping[str, Any] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Vendor:
    """One fake vendor's state."""

    slug: str
    client: Client
    grants: GrantBook
    windows: Sequence[Window] = ()
    accounts: dict[str, Account] = field(default_factory=dict)
    documents: DocumentStore = field(default_factory=DocumentStore)
    requests: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True, kw_only=True)
class World:
    """All fake vendors. `announce` sends a webhook; None where no bridge is known."""

    vendors: Mapping[str, Vendor]
    clock: Callable[[], datetime]
    page_size: int
    faults: FaultList = field(default_factory=FaultList)
    announce: Announce | None = None


WORLD: Final = web.AppKey("world", World)


def build_world(
    *,
    clients: Mapping[str, Client],
    clock: Callable[[], datetime],
    limit_factor: float = 1.0,
    page_size: int = 50,
) -> World:
    """Return vendors without people; published limits times `limit_factor`."""

    def window(tier: str, limit: int, seconds: int) -> Window:
        return Window(
            tier=tier, limit=max(1, round(limit * limit_factor)), window_s=seconds
        )

    def vendor(slug: str, life: timedelta, *windows: Window) -> Vendor:
        # Only WHOOP documents that a refresh ends the old access token at once.
        grants = GrantBook(life=life, access_dies_on_refresh=slug == "whoop")
        return Vendor(slug=slug, client=clients[slug], grants=grants, windows=windows)

    vendors = (
        vendor(
            "oura",
            timedelta(days=1),
            window("access_token", 5000, 300),
            window("application", 5000, 300),
        ),
        vendor(
            "whoop",
            timedelta(hours=1),
            window("minute", 100, 60),
            window("day", 10_000, 86_400),
        ),
        # Terra's API key speaks for every user: there are no user tokens.
        vendor("terra", timedelta(0)),
    )
    return World(
        vendors={one.slug: one for one in vendors}, clock=clock, page_size=page_size
    )
