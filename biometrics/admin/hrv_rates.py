"""The dashboard's answer to: do alerts still mean something?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from biometrics.admin.shown import NOTHING
from biometrics.alerts import rates

# What `hrv-1` may cost healthy people; MEDIUM asks nobody to act and has no limit.
_BUDGET = {"CRITICAL": 0.065, "HIGH": 0.43}
_LOW_NIGHTS = (0.03, 0.06)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One severity: how many are open, how often it comes, and how often it may."""

    severity: str
    open: str
    rate: str
    budget: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Disturbance:
    """The block as the template shows it."""

    rows: Sequence[Row]
    sentence: str
    low_nights: str
    often: str


def disturbance(*, now: datetime, opened: Mapping[str, str]) -> Disturbance:
    """Count the last 30 nights, at most a minute old; `opened` are the live numbers."""
    found = rates.summary(now=now)
    return Disturbance(
        rows=[
            Row(
                severity=severity,
                open=opened[f"alerts_{severity.lower()}"],
                rate=_rate(found, severity),
                budget=f"up to {_BUDGET[severity]:g}" if severity in _BUDGET else "",
            )
            for severity in ("CRITICAL", "HIGH", "MEDIUM")
        ],
        sentence=f"{found.user_nights:,} nights of {found.people:,} people with a value"
        f" in the last {rates.NIGHTS} dates.",
        low_nights=f"{_percent(found.low_share)} of judged nights have z1 of -2 or lower"
        f"; {_LOW_NIGHTS[0]:.0%} to {_LOW_NIGHTS[1]:.0%} is expected.",
        often=f"{_percent(found.often_share)} of people had more than two HIGH or"
        " CRITICAL alerts: raise their threshold offset by 0.25 rather than mute them.",
    )


def _rate(found: rates.Rates, severity: str) -> str:
    if not found.user_nights:
        return NOTHING
    return f"{found.per_30_user_nights[severity]:.3f}"


def _percent(share: float | None) -> str:
    return NOTHING if share is None else f"{share:.1%}"
