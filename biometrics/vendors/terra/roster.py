"""The users that this application has at Terra: `/subscriptions`, page by page."""

from __future__ import annotations

from collections.abc import AsyncIterator

from biometrics.errors import VendorRefusedError, VendorUnavailableError
from biometrics.vendors.fields import dig, text
from biometrics.vendors.listing import document_of
from biometrics.vendors.roster import Member
from biometrics.vendors.wire import VendorApi

_PATH = "/subscriptions"
_PAGE = 500
_MOST_PAGES = 2_000


class TerraRoster:
    """See Roster."""

    async def members(self, api: VendorApi) -> AsyncIterator[Member]:
        """See Roster; pages are counted from 0, until one brings nobody new.

        Pages may be smaller than asked for: whoever is not read would count as gone.
        """
        seen: set[str] = set()
        for number in range(_MOST_PAGES):
            page = [
                one for one in await _page(api, number) if one.account_id not in seen
            ]
            if not page:
                return
            for one in page:
                seen.add(one.account_id)
                yield one
        message = f"{_PATH} has more than {_MOST_PAGES} pages."
        raise VendorUnavailableError(message)


async def _page(api: VendorApi, number: int) -> list[Member]:
    """Return the users of a page; none where there is no such page behind the first."""
    params = {"page": str(number), "per_page": str(_PAGE)}
    response = await api.get(_PATH, params=params)
    if response.status == 404:
        if number:
            return []
        message = f"Terra has no list {_PATH} (404)."
        raise VendorRefusedError(message, status=404, permanent=False)
    users = document_of(response).get("users")
    if not isinstance(users, list):
        message = f"{_PATH} gave a page without users."
        raise VendorUnavailableError(message)
    return [
        Member(
            account_id=account,
            reference=text(user, "reference_id") or "",
            # Older answers leave it out: who is listed is connected.
            is_active=dig(user, "active") is not False,
        )
        for user in users
        if (account := text(user, "user_id")) is not None
    ]
