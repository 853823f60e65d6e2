"""What the answer of a vendor's API means. Pure functions of status and headers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from biometrics.errors import (
    VendorError,
    VendorLimitedError,
    VendorRefusedError,
    VendorUnavailableError,
)

# The longest wish of a vendor that is followed without a person having looked.
_LONGEST_WAIT_S = 3600.0
# Numbers above this are moments since 1970, below it seconds from now.
_MOMENT = 1_000_000_000.0
_TRY_LATER = frozenset({408, 425, 500, 502, 503, 504})


def error_of(
    *,
    status: int,
    headers: Mapping[str, str],
    shared_limit: bool,
    now: datetime,
) -> VendorError | None:
    """Return the error that an answer stands for, None for an answer to be read.

    200 and 404 are answers: what a missing document means is the adapter's decision.
    """
    if status in {200, 404}:
        return None
    if status == 429:
        return _limited(headers, shared_limit=shared_limit, now=now)
    if status in _TRY_LATER or status >= 500:
        return VendorUnavailableError(
            f"The vendor's API answered {status}.", retry_after=_wish(headers, now=now)
        )
    return VendorRefusedError(
        f"The vendor's API answered {status}.", status=status, permanent=False
    )


def _limited(
    headers: Mapping[str, str], *, shared_limit: bool, now: datetime
) -> VendorUnavailableError:
    wait = _wish(headers, now=now)
    tier = headers.get("x-ratelimit-tier", "").lower()
    if shared_limit or "app" in tier or "client" in tier:
        message = "The application's rate limit at the vendor is used up (429)."
        return VendorUnavailableError(message, retry_after=wait)
    message = "This account's rate limit at the vendor is used up (429)."
    return VendorLimitedError(message, retry_after=wait)


def _wish(headers: Mapping[str, str], *, now: datetime) -> float | None:
    """Return for how many seconds the vendor wants to be left alone."""
    for name in ("retry-after", "x-ratelimit-reset"):
        seconds = _seconds(headers.get(name, ""), now=now)
        if seconds is not None:
            return min(max(seconds, 1.0), _LONGEST_WAIT_S)
    return None


def _seconds(text: str, *, now: datetime) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return _until(text, now=now)
    if not 0 <= number < math.inf:
        return None
    return number - now.timestamp() if number > _MOMENT else number


def _until(text: str, *, now: datetime) -> float | None:
    try:
        moment = parsedate_to_datetime(text)
    # The parser lets through what other functions raise over numbers without end.
    except (ValueError, OverflowError, TypeError, AttributeError, IndexError):
        return None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (aware - now).total_seconds()
