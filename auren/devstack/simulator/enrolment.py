"""Before anybody plays: accounts at the fake vendors, connections at the bridge."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Protocol

from auren.devstack.simulator.control import Tokens, VendorControl
from auren.devstack.simulator.people import Person
from auren.devstack.simulator.sender import Phone

_GRANTED = frozenset({"oura", "whoop"})


class Register(Protocol):
    """The bridge's list of connections. Called from a thread of its own."""

    def connect(
        self, person: Person, tokens: Tokens | None, *, expires_at: datetime | None
    ) -> None:
        """Connect an account, or give a known one its new grant."""
        ...

    def phone(self, person: Person) -> Phone:
        """Return what lets the person's phone push."""
        ...


async def enrol(
    people: Iterable[Person],
    *,
    vendors: VendorControl | None,
    register: Register | None,
    phones: Mapping[str, Phone],
    clock: Callable[[], datetime],
) -> dict[str, Phone]:
    """Make everybody known; return the phones by account.

    `phones` are used where there are any, the register makes the others.
    """
    ready = dict(phones)
    for person in people:
        on_phone = person.vendor == "healthkit"
        if vendors is not None and not on_phone:
            await vendors.add_account(person)
        if register is None:
            continue
        if not on_phone:
            await _connect(person, vendors=vendors, register=register, clock=clock)
        elif person.account not in ready:
            ready[person.account] = await asyncio.to_thread(register.phone, person)
    return ready


async def _connect(
    person: Person,
    *,
    vendors: VendorControl | None,
    register: Register,
    clock: Callable[[], datetime],
) -> None:
    """Connect an account; with a grant where the vendor's API wants one."""
    tokens, expires_at = None, None
    if vendors is not None and person.vendor in _GRANTED:
        tokens = await vendors.grant(person)
        expires_at = clock() + timedelta(seconds=tokens.expires_in)
    await asyncio.to_thread(register.connect, person, tokens, expires_at=expires_at)
