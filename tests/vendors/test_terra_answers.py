"""What Terra answers about its users, whatever it answers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from biometrics.errors import (
    UnreadableDeliveryError,
    VendorRefusedError,
    VendorUnavailableError,
)
from biometrics.vendors.roster import Member
from biometrics.vendors.terra.roster import TerraRoster
from biometrics.vendors.terra.widget import TerraWidget
from biometrics.vendors.wire import ApiResponse
from tests.vendors.deliveries import answer
from tests.vendors.mutations import mutated

USER = {
    "user_id": "40f7b0e1-89e2-43ac-a5b8-1e29c8d47cad",
    "provider": "GARMIN",
    "scopes": "ACTIVITY_EXPORT,HEALTH_EXPORT",
    "reference_id": "2b0f8a52-55c4-4a2c-9c3c-6a6a9df3f1aa",
    "active": True,
}


@dataclass(slots=True)
class Paged:
    """An API with these pages; `behind` is its answer to pages behind the last."""

    pages: list[bytes]
    behind: bytes | None = b'{"users": []}'
    asked: list[int] = field(default_factory=list)

    async def get(
        self, path: str, *, params: Mapping[str, str] | None = None
    ) -> ApiResponse:
        number = int((params or {})["page"])
        self.asked.append(number)
        body = self.pages[number] if number < len(self.pages) else self.behind
        if body is None:
            return answer(b"", url=path, status=404)
        return answer(body, url=path)


def page(*accounts: str) -> bytes:
    return json.dumps({"users": [USER | {"user_id": one} for one in accounts]}).encode()


def members(api: Paged) -> list[Member]:
    async def read() -> list[Member]:
        return [one async for one in TerraRoster().members(api)]

    return asyncio.run(read())


@pytest.mark.parametrize("behind", [b'{"users": []}', None, page("a", "b")])
def test_pages_that_are_smaller_than_asked_for_hide_nobody(
    behind: bytes | None,
) -> None:
    """Whoever is not read counts as gone, and has to consent again."""
    api = Paged([page("a", "b"), page("c", "d"), page("e")], behind=behind)
    assert [one.account_id for one in members(api)] == ["a", "b", "c", "d", "e"]
    assert api.asked == [0, 1, 2, 3]


def test_a_list_that_is_not_there_is_no_empty_list() -> None:
    with pytest.raises(VendorRefusedError):
        members(Paged([], behind=None))


@given(data=st.data())
def test_no_mutation_of_the_roster_is_anything_but_an_error(
    data: st.DataObject,
) -> None:
    body = data.draw(mutated(page("a", "b")))
    with suppress(VendorUnavailableError):
        for one in members(Paged([body])):
            assert 0 < len(one.account_id) <= 200
            assert len(one.reference) <= 200
            assert (one.account_id + one.reference).isprintable()


@given(data=st.data())
def test_no_mutation_of_a_consent_is_anything_but_unreadable(
    data: st.DataObject,
) -> None:
    widget = TerraWidget()
    opened = {"status": "success", "session_id": "s", "url": "https://widget/s"}
    with suppress(UnreadableDeliveryError):
        page = widget.page_in(data.draw(mutated(json.dumps(opened).encode())))
        assert page.startswith(("https://", "http://"))
    whose = {"status": "success", "user": USER}
    with suppress(UnreadableDeliveryError):
        holder = widget.holder_in(data.draw(mutated(json.dumps(whose).encode())))
        assert holder.reference.isprintable()
        assert holder.scopes == "" or holder.scopes.isprintable()
