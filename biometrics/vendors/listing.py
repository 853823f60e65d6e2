"""Listing what a vendor has for a span of time, from page to page."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import orjson

from biometrics.errors import (
    UnreadableDeliveryError,
    VendorRefusedError,
    VendorUnavailableError,
)
from biometrics.vendors.fields import load_object
from biometrics.vendors.records import Understanding
from biometrics.vendors.wire import ApiResponse, VendorApi

# No list of the longest window has as many; a list that never ends is a fault.
_MAX_PAGES = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A span of time to be listed: `since` included, `until` not. Both are aware UTC."""

    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """Documents of a list that must be read together; mostly it is one.

    `related` are documents of other lists without which they cannot be understood.
    `fetched_at` is the start of the fetch.
    """

    data_type: str
    documents: Sequence[object]
    related: Sequence[object] = ()
    fetched_at: datetime


class Listing(Protocol):
    """How one vendor's documents are listed; `record_types` is by data type."""

    record_types: Mapping[str, str]

    def documents(
        self, data_type: str, *, window: Window, api: VendorApi
    ) -> AsyncIterator[Listed]:
        """Yield everything of a data type that lies in the window.

        More may come: days are the person's, and a list by date is asked for the days
        around it. Raises VendorUnavailableError, VendorRefusedError.
        """
        ...

    def understand(self, listed: Listed) -> Understanding:
        """Turn listed documents into the records that notifications of them would give.

        Raises UnreadableDeliveryError.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PageFormat:
    """How a vendor cuts lists: where the rows lie, and how the next page is asked for."""

    rows: str
    token: str
    token_parameter: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """The rows of one page and the start of its fetch (aware UTC)."""

    rows: Sequence[object]
    fetched_at: datetime


async def pages(
    api: VendorApi, path: str, *, params: Mapping[str, str], form: PageFormat
) -> AsyncIterator[Page]:
    """Yield every page of a list.

    Raises VendorUnavailableError (a broken page, a token that comes again too) and
    VendorRefusedError for a list that is not there (404).
    """
    token: str | None = None
    seen: set[str] = set()
    for _ in range(_MAX_PAGES):
        more = {form.token_parameter: token} if token else {}
        response = await api.get(path, params={**params, **more})
        if response.status == 404:
            message = f"The vendor has no list {path} (404)."
            raise VendorRefusedError(message, status=404, permanent=False)
        rows, token = _read(response.body, path=path, form=form)
        yield Page(rows=rows, fetched_at=response.fetched_at)
        if token is None:
            return
        if token in seen:
            message = f"The list {path} gave the same page twice."
            raise VendorUnavailableError(message)
        seen.add(token)
    message = f"The list {path} has more than {_MAX_PAGES} pages."
    raise VendorUnavailableError(message)


async def only_one(
    api: VendorApi, path: str, *, data_type: str
) -> AsyncIterator[Listed]:
    """Yield the one document that an account has of a data type, if it has it."""
    response = await api.get(path)
    if response.status != 404:
        yield Listed(
            data_type=data_type,
            documents=(document_of(response),),
            fetched_at=response.fetched_at,
        )


def document_of(response: ApiResponse) -> dict[str, Any]:
    """Return the object in an answer; raises VendorUnavailableError for broken JSON."""
    try:
        return load_object(response.body)
    except UnreadableDeliveryError:
        message = f"{response.url} answered with broken JSON."
        raise VendorUnavailableError(message) from None


def _read(
    body: bytes, *, path: str, form: PageFormat
) -> tuple[Sequence[object], str | None]:
    try:
        page = orjson.loads(body)
    except orjson.JSONDecodeError:
        page = None
    rows = page.get(form.rows) if isinstance(page, dict) else None
    if not isinstance(page, dict) or not isinstance(rows, list):
        message = f"The list {path} gave a page without {form.rows}."
        raise VendorUnavailableError(message)
    token = page.get(form.token)
    if token is not None and not isinstance(token, str):
        message = f"The list {path} gave a {form.token} that is no text."
        raise VendorUnavailableError(message)
    return rows, token or None
