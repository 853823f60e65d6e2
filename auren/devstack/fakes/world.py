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

    return World(
        clock=clock,
        page_size=page_size,
        vendors={
            "oura": Vendor(
                slug="oura",
                client=clients["oura"],
                grants=GrantBook(life=timedelta(days=1), access_dies_on_refresh=False),
                windows=(
                    window("access_token", 5000, 300),
                    window("application", 5000, 300),
                ),
            ),
            "whoop": Vendor(
                slug="whoop",
                client=clients["whoop"],
                grants=GrantBook(life=timedelta(hours=1), access_dies_on_refresh=True),
                windows=(
                    window("minute", 100, 60),
                    window("day", 10_000, 86_400),
                ),
            ),
            "terra": Vendor(
                slug="terra",
                client=clients["terra"],
                # Terra's API key speaks for every user: there are no user tokens.
                grants=GrantBook(life=timedelta(0), access_dies_on_refresh=False),
            ),
        },
    )
