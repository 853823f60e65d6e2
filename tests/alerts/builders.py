"""Short ways to write nights, verdicts and ledgers in tests."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Final
from uuid import UUID

from biometrics.alerts.emission import (
    AlertEvent,
    LedgerEntry,
    apply_events,
    emit,
)
from biometrics.alerts.hrv_1 import HRV_1
from biometrics.alerts.nights import Night
from biometrics.alerts.rules import Verdict, judge
from biometrics.alerts.ruleset import Kind, Ruleset, Severity

FIRST: Final = date(2025, 1, 1)
SUBJECT: Final = UUID("0d5c2c1e-6f0b-4d43-9f0e-3f4a7f0f3d11")

# hrv-1 without fixed limits: what the personal rules say alone.
PERSONAL: Final = replace(HRV_1, name="personal", absolute=(), drops=())


def day(number: int) -> date:
    """Return the date of night `number`; the first night is number 1."""
    return FIRST + timedelta(days=number - 1)


def nights_of(
    values: Sequence[float | None],
    *,
    rhr: Sequence[float | None] = (),
    rr: Sequence[float | None] = (),
    temp: Sequence[float | None] = (),
) -> list[Night]:
    """Return one night per value, from the first date on."""

    def at(series: Sequence[float | None], index: int) -> float | None:
        return series[index] if index < len(series) else None

    return [
        Night(
            night=day(index + 1),
            value_ms=value,
            rhr_bpm=at(rhr, index),
            rr_brpm=at(rr, index),
            temp_c=at(temp, index),
        )
        for index, value in enumerate(values)
    ]


def alternating(count: int, *, low: float = 50, high: float = 60) -> list[float | None]:
    return [low if index % 2 == 0 else high for index in range(count)]


def judged(
    nights: Sequence[Night],
    number: int | None = None,
    *,
    kind: Kind = "RMSSD",
    ruleset: Ruleset = PERSONAL,
    threshold_offset: float = 0.0,
) -> Verdict:
    """Judge night `number`, by default the last one."""
    return judge(
        nights=nights,
        night=day(len(nights) if number is None else number),
        kind=kind,
        ruleset=ruleset,
        threshold_offset=threshold_offset,
    )


def with_z(values: Sequence[float | None], *scores: float) -> list[float | None]:
    """Append one night per score, each with exactly that z1 (but for rounding)."""
    extended = list(values)
    for score in scores:
        verdict = judged(nights_of([*extended, 50.0]))
        assert verdict.ln_mean is not None
        assert verdict.ln_sd is not None
        extended.append(math.exp(verdict.ln_mean + score * verdict.ln_sd))
    return extended


def verdict_of(
    number: int,
    severity: Severity = "NORMAL",
    *,
    z1: float | None = 0.0,
    value_ms: float | None = 50.0,
) -> Verdict:
    """Return an ACTIVE verdict with just this severity, for tests of sending."""
    return Verdict(
        night=day(number),
        kind="RMSSD",
        state="ACTIVE",
        severity=severity,
        reasons=() if severity == "NORMAL" else (f"{severity}_code",),
        value_ms=value_ms,
        baseline_ms=55.0,
        range_ms=(48.0, 63.0),
        ln_mean=4.0,
        ln_sd=0.13,
        z1=z1 if value_ms is not None else None,
        z7=None,
        cv7=None,
        n=30,
        low_nights=0,
        low_week=False,
        limit_ms=None,
        corroborators=(),
        threshold_offset=0.0,
        ruleset="hrv-1",
    )


class Desk:
    """Sends what verdicts call for and keeps the ledger, as the product does."""

    def __init__(self, *, ruleset: Ruleset = HRV_1) -> None:
        self.ruleset = ruleset
        self.ledger: tuple[LedgerEntry, ...] = ()
        self.known: dict[date, Verdict] = {}

    def take(
        self,
        *verdicts: Verdict,
        newest: int | None = None,
        today: int | None = None,
        backfill: bool = False,
    ) -> tuple[AlertEvent, ...]:
        """Send for these verdicts; `newest` and `today` are the last of them."""
        dates = [verdict.night for verdict in verdicts]
        last = max([*dates, *self.known]) if newest is None else day(newest)
        events = emit(
            subject=SUBJECT,
            metric_family="RMSSD",
            verdicts=verdicts,
            earlier=list(self.known.values()),
            ledger=self.ledger,
            newest_night=last,
            today=last if today is None else day(today),
            ruleset=self.ruleset,
            backfill=backfill,
        )
        self.ledger = apply_events(ledger=self.ledger, events=events)
        self.known |= {verdict.night: verdict for verdict in verdicts}
        return events

    def night_by_night(self, severities: Iterable[Severity]) -> list[tuple[int, str]]:
        """Feed one verdict a night; return (night number, kind of message)."""
        found = []
        for number, severity in enumerate(severities, start=1):
            z1 = 0.0 if severity == "NORMAL" else -2.0
            events = self.take(verdict_of(number, severity, z1=z1))
            found += [(number, f"{event.kind} {event.severity}") for event in events]
        return found
