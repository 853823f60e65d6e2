"""What is arranged before anybody plays."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from auren.devstack.simulator.control import Tokens, VendorControl
from auren.devstack.simulator.enrolment import enrol
from auren.devstack.simulator.people import Person, cast
from auren.devstack.simulator.sender import Phone
from tests.devstack.servers import fake_vendors

pytestmark = pytest.mark.asyncio

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
PEOPLE = cast(seed=7, count=6, today=date(2026, 11, 20))


class _Register:
    """Remembers whom it was asked to register."""

    def __init__(self) -> None:
        self.connected: dict[str, Tokens | None] = {}
        self.lives: dict[str, datetime | None] = {}

    def connect(
        self, person: Person, tokens: Tokens | None, *, expires_at: datetime | None
    ) -> None:
        self.connected[person.account] = tokens
        self.lives[person.account] = expires_at

    def phone(self, person: Person) -> Phone:
        return Phone(token=f"made-for-{person.slug}", user_id=person.slug)


async def test_enrolment_gives_everybody_what_the_bridge_needs() -> None:
    register = _Register()
    terra = next(p for p in PEOPLE if p.sender == "terra")
    hae = next(p for p in PEOPLE if p.sender == "hae")
    async with fake_vendors() as fakes:
        control = VendorControl(session=fakes.session, url=fakes.url)
        phones = await enrol(
            PEOPLE,
            vendors=control,
            register=register,
            phones={hae.account: Phone(token="given")},
            clock=lambda: NOON,
        )
        for person in PEOPLE:
            if person.vendor != "oura":
                continue
            tokens = register.connected[person.account]
            assert tokens is not None
            path = "/oura/v2/usercollection/personal_info"
            status, info = await fakes.get(path, tokens.access_token)
            assert (status, info["id"]) == (200, person.account)
            assert register.lives[person.account] == NOON + timedelta(days=1)
    assert {phone.token for phone in phones.values()} == {
        "given",
        "made-for-person-04",
    }
    assert register.connected[terra.account] is None
    assert len(register.connected) == 4
