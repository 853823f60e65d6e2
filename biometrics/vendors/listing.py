"""Following a vendor's list from page to page."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from biometrics.errors import (
    UnreadableDeliveryError,
    VendorRefusedError,
    VendorUnavailableError,
)
from biometrics.vendors.base import ApiResponse, Listed, VendorApi
from biometrics.vendors.fields import load_object

# No list of the longest window has as many; a list that never ends is a fault.
_MAX_PAGES = 2_000


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
