"""Terra's data on request: `/{type}?user_id=…&start_date=…&end_date=…`.

Asked for with `to_webhook=false`, so that it comes in the answer and is compared with
what is known. Terra may nevertheless choose to push it later, and is asked to where a
single day is too large for an answer: then the ordinary webhook brings it.
Reference: https://docs.tryterra.co/reference
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Mapping
from datetime import date, datetime, timedelta
from typing import Any

import orjson

from biometrics.errors import (
    AnswerTooLargeError,
    StillCollectingError,
    UnreadableDeliveryError,
    VendorRefusedError,
)
from biometrics.vendors.fields import dig, text
from biometrics.vendors.listing import Listed, Window, document_of
from biometrics.vendors.records import Understanding
from biometrics.vendors.terra.records import KINDS
from biometrics.vendors.terra.said import data_of, profile_of
from biometrics.vendors.times import parse_day, parse_moment
from biometrics.vendors.wire import VendorApi

_RECORD_TYPES: Mapping[str, str] = {
    **{data_type: kind.record_type for data_type, kind in KINDS.items()},
    "athlete": "profile",
}
_A_DAY = timedelta(days=1)
# Terra answers directly for up to 28 days.
_LONGEST_DAYS = 28
_PROCESSING_WAIT_S = 60.0
# What Terra says instead of data when it has to ask the provider first.
_LATER = frozenset({"processing", "rate_limit_hit"})


class TerraListing:
    """See Listing."""

    record_types: Mapping[str, str] = _RECORD_TYPES

    def documents(
        self, data_type: str, *, window: Window, api: VendorApi
    ) -> AsyncIterator[Listed]:
        """See Listing."""
        if data_type == "athlete":
            return _athlete(api)
        return _by_day(data_type, window, api)

    def understand(self, listed: Listed) -> Understanding:
        """See Listing: revisions are ordered by the start of the fetch."""
        user = listed.related[0] if listed.related else None
        stamp = listed.fetched_at
        if listed.data_type == "athlete":
            athlete = listed.documents[0] if listed.documents else None
            body = {"user": user, "athlete": athlete}
            return Understanding(records=(profile_of(body, stamp=stamp),))
        if listed.data_type not in KINDS:
            raise UnreadableDeliveryError("of no known type", field="data_type")
        body = {"user": user, "data": listed.documents}
        return data_of(body, event_type=listed.data_type, stamp=stamp, now=stamp)


async def _athlete(api: VendorApi) -> AsyncIterator[Listed]:
    body, fetched_at = await _ask(api, "/athlete", {"to_webhook": "false"})
    if isinstance(body.get("athlete"), dict):
        yield Listed(
            data_type="athlete",
            documents=(body["athlete"],),
            related=(body.get("user"),),
            fetched_at=fetched_at,
        )


async def _by_day(
    data_type: str, window: Window, api: VendorApi
) -> AsyncIterator[Listed]:
    # The days are the person's, who may be a day ahead of UTC or behind it.
    day, last = (window.since - _A_DAY).date(), (window.until + _A_DAY).date()
    days, seen = _LONGEST_DAYS, set[bytes]()
    while day <= last:
        until = min(day + timedelta(days=days), last)
        try:
            body, fetched_at = await _ask(api, f"/{data_type}", _span(day, until))
        except AnswerTooLargeError:
            if until - day > _A_DAY:
                days = max(1, days // 2)
                continue
            pushed = {**_span(day, until), "to_webhook": "true"}
            await api.get(f"/{data_type}", params=pushed)
            body, fetched_at = {}, window.until
        for item in _items(body):
            # Whether the last day is included is written nowhere: spans share a day.
            digest = hashlib.sha256(orjson.dumps(item)).digest()
            if digest not in seen:
                seen.add(digest)
                yield Listed(
                    data_type=data_type,
                    documents=(item,),
                    related=(body.get("user"),),
                    fetched_at=fetched_at,
                )
        if until == last:
            return
        day = until


def days_asked(params: Mapping[str, str]) -> int:
    """Return for how many days of data a call asks, both ends included."""
    since, until = (parse_day(params.get(name)) for name in ("start_date", "end_date"))
    if since is None or until is None:
        return 0
    return max((until - since).days + 1, 0)


def _span(since: date, until: date) -> dict[str, str]:
    return {
        "start_date": since.isoformat(),
        "end_date": until.isoformat(),
        "to_webhook": "false",
        # As webhooks have them: without, every record would seem to have shrunk.
        "with_samples": "true",
    }


async def _ask(
    api: VendorApi, path: str, params: Mapping[str, str]
) -> tuple[dict[str, Any], datetime]:
    """Return the answer and when it was asked for; no data in it: Terra will push them.

    Raises StillCollectingError where Terra has to be asked again.
    """
    response = await api.get(path, params=params)
    if response.status == 404:
        message = "Terra does not know this user (404)."
        raise VendorRefusedError(message, status=404, permanent=False)
    body = document_of(response)
    said = text(body, "type") or ""
    if said in _LATER:
        message = f"Terra is still collecting the data ({said})."
        wish = _wish(body, now=response.fetched_at)
        raise StillCollectingError(message, retry_after=wish)
    return body, response.fetched_at


def _items(body: dict[str, Any]) -> list[object]:
    items = body.get("data")
    return items if isinstance(items, list) else []


def _wish(body: object, *, now: datetime) -> float:
    """Return for how many seconds Terra wants to be left alone."""
    seconds = dig(body, "retry_after_seconds")
    if isinstance(seconds, int | float) and not isinstance(seconds, bool):
        return min(max(float(seconds), 1.0), 3600.0)
    moment = parse_moment(dig(body, "retrying_at"))
    if moment is not None:
        return min(max((moment.at - now).total_seconds(), 1.0), 3600.0)
    return _PROCESSING_WAIT_S
