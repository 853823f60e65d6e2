"""How long a vendor wants to be left alone, in each form in which vendors write it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from biometrics.connections.answers import error_of
from biometrics.errors import VendorLimitedError, VendorUnavailableError

NOW = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
LATER = NOW + timedelta(seconds=90)
IN_TOKYO = "Tue, 24 Nov 2026 17:01:30 +0900"


def wish(status: int = 429, **headers: str) -> float | None:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    error = error_of(status=status, headers=named, shared_limit=False, now=NOW)
    assert isinstance(error, VendorUnavailableError)
    return error.retry_after


@pytest.mark.parametrize("status", [429, 500, 503])
@pytest.mark.parametrize(
    "text",
    ["90", " 90 ", "90.0", format_datetime(LATER, usegmt=True), IN_TOKYO],
)
def test_seconds_and_dates_are_read(status: int, text: str) -> None:
    assert wish(status, retry_after=text) == 90


@pytest.mark.parametrize("text", ["90", f"{LATER.timestamp():.0f}"])
def test_the_end_of_a_window_is_seconds_or_a_moment(text: str) -> None:
    """WHOOP writes the former, Oura the latter."""
    assert wish(x_ratelimit_reset=text) == 90


def test_the_wish_itself_goes_before_the_end_of_the_window() -> None:
    assert wish(retry_after="7", x_ratelimit_reset="90") == 7
    assert wish(retry_after="soon", x_ratelimit_reset="90") == 90


@pytest.mark.parametrize(
    "text", ["0", format_datetime(NOW - timedelta(days=1), usegmt=True)]
)
def test_what_is_over_is_a_second(text: str) -> None:
    assert wish(retry_after=text) == 1


def test_no_wish_is_followed_for_longer_than_an_hour() -> None:
    tomorrow = format_datetime(NOW + timedelta(days=1), usegmt=True)
    assert wish(retry_after="86400") == wish(retry_after=tomorrow) == 3600


@pytest.mark.parametrize("text", ["", "soon", "nan", "inf", "-1"])
def test_what_is_no_wish_is_none(text: str) -> None:
    assert wish(retry_after=text) is None
    assert wish() is None


@pytest.mark.parametrize(
    ("tier", "is_shared", "is_of_the_account"),
    [
        ("", False, True),
        ("access_token", False, True),
        ("application", False, False),
        ("Client", False, False),
        ("access_token", True, False),
    ],
)
def test_whose_limit_is_used_up(
    tier: str, *, is_shared: bool, is_of_the_account: bool
) -> None:
    error = error_of(
        status=429,
        headers={"x-ratelimit-tier": tier},
        shared_limit=is_shared,
        now=NOW,
    )
    assert isinstance(error, VendorLimitedError) is is_of_the_account
    assert isinstance(error, VendorUnavailableError)
