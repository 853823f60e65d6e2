"""Personal baselines: what is usual for this person, from the stored nights alone.

Everything is computed anew from at most `window_nights` stored nights, so late,
corrected and deleted nights need no special case and nothing can drift. Sums are exact
(`fsum`), so the order in which nights arrived leaves no trace in the last digit.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from math import fsum, log, sqrt
from typing import Final, Literal, TypeAlias

from biometrics.alerts.nights import Night, one_per_date
from biometrics.alerts.ruleset import Corroborator, HrvSignal, Kind, Ruleset

State: TypeAlias = Literal["CALIBRATING", "PROVISIONAL", "ACTIVE"]
Signal: TypeAlias = Literal["HRV", "RHR", "RR", "TEMP"]

# Scales a median absolute deviation to the standard deviation of a normal sample.
_MAD_TO_SD: Final = 1.4826


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """Mean and shrunken standard deviation of `n` nights, in the signal's own scale."""

    n: int
    mean: float
    sd: float

    def z(self, value: float) -> float:
        return (value - self.mean) / self.sd


def baseline_of(
    *, values: Iterable[float], signal: HrvSignal | Corroborator, prior_weight: float
) -> Baseline | None:
    """Return the baseline of these values, or None for fewer than two.

    Gross artefacts are pulled to the edge, not removed; the spread is shrunken towards
    the population's, which keeps the first weeks from crying wolf.
    """
    ordered = sorted(values)
    n = len(ordered)
    if n < 2:
        return None
    middle = _median(ordered)
    spread = _MAD_TO_SD * _median(sorted([abs(x - middle) for x in ordered]))
    unit = max(spread, signal.floor)
    low, high = middle - signal.k_lo * unit, middle + signal.k_hi * unit
    if ordered[0] < low or ordered[-1] > high:
        ordered = [min(max(x, low), high) for x in ordered]
    mean = fsum(ordered) / n
    squares = fsum([(x - mean) ** 2 for x in ordered])
    prior = prior_weight * signal.prior_sd**2
    sd = sqrt((prior + squares) / (prior_weight + n - 1))
    return Baseline(n=n, mean=mean, sd=max(sd, signal.floor))


def _median(ordered: list[float]) -> float:
    half = len(ordered) // 2
    if len(ordered) % 2:
        return ordered[half]
    return (ordered[half - 1] + ordered[half]) / 2


def _believable(
    days: list[tuple[int, float | None]], signal: Corroborator
) -> dict[int, float]:
    low, high, limit = signal.minimum, signal.maximum, signal.deviation_limit
    return {
        day: value
        for day, value in days
        if value is not None
        and (low <= value <= high or (limit > 0 and -limit <= value <= limit))
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Corroboration:
    """A second signal that rose together with the night's low value."""

    signal: Signal
    value: float
    usual: float
    delta: float
    z: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Week:
    """The last nights together, against the baseline that ended before them."""

    z7: float
    cv7: float


class History:
    """The nights of one series, ready to be asked about any night.

    Each baseline is computed once and kept, so that judging many nights of one person
    costs little more than one baseline a night. Holds nothing but the nights given.
    """

    def __init__(
        self, *, nights: Iterable[Night], kind: Kind, ruleset: Ruleset
    ) -> None:
        self._ruleset = ruleset
        self._hrv = ruleset.hrv(kind)
        self._signals: tuple[tuple[Signal, Corroborator], ...] = (
            ("RHR", ruleset.rhr),
            ("RR", ruleset.rr),
            ("TEMP", ruleset.temp),
        )
        days = [(day.toordinal(), n) for day, n in one_per_date(nights).items()]
        low, high = self._hrv.minimum, self._hrv.maximum
        self._ms = {
            day: night.value_ms
            for day, night in days
            if night.value_ms is not None and low <= night.value_ms <= high
        }
        self._values: dict[Signal, dict[int, float]] = {
            "HRV": {day: log(ms) for day, ms in self._ms.items()},
            "RHR": _believable([(day, n.rhr_bpm) for day, n in days], ruleset.rhr),
            "RR": _believable([(day, n.rr_brpm) for day, n in days], ruleset.rr),
            "TEMP": _believable([(day, n.temp_c) for day, n in days], ruleset.temp),
        }
        self._baselines: dict[tuple[Signal, int], Baseline | None] = {}

    def value_ms(self, night: date) -> float | None:
        return self._ms.get(night.toordinal())

    def count(self, night: date) -> int:
        """Count the valid nights in the window that ends the day before."""
        baseline = self._baseline("HRV", night.toordinal())
        if baseline is not None:
            return baseline.n
        return len(self._window("HRV", night.toordinal()))

    def state(self, night: date) -> State:
        n = self.count(night)
        if n >= self._ruleset.active_nights:
            return "ACTIVE"
        return "PROVISIONAL" if n >= self._ruleset.provisional_nights else "CALIBRATING"

    def baseline(self, night: date) -> Baseline | None:
        """Return the HRV baseline (ln scale), None while nights are too few."""
        return self._usable(night.toordinal())

    def z1(self, night: date) -> float | None:
        return self._z1(night.toordinal())

    def z1_before(self, night: date, back: int) -> float | None:
        """Return z1 of the calendar night `back` earlier, by its own baseline."""
        return self._z1(night.toordinal() - back)

    def week(self, night: date) -> Week | None:
        """Compare the last week with an ACTIVE baseline that does not overlap it."""
        span, values = self._ruleset.week_nights, self._values["HRV"]
        day = night.toordinal()
        if day not in values:
            return None
        first = day - span + 1
        recent = [values[d] for d in range(first, day + 1) if d in values]
        baseline = self._usable(first)
        if len(recent) < self._ruleset.week_minimum or baseline is None:
            return None
        if baseline.n < self._ruleset.active_nights:
            return None
        mean = fsum(recent) / len(recent)
        sd = sqrt(fsum([(x - mean) ** 2 for x in recent]) / (len(recent) - 1))
        return Week(z7=baseline.z(mean), cv7=100 * sd / mean)

    def corroborations(
        self, night: date, *, back: int = 0
    ) -> tuple[Corroboration, ...]:
        """Return the signals that confirm the night `back` nights earlier."""
        day = night.toordinal() - back
        found = (
            self._corroboration(name, signal, day) for name, signal in self._signals
        )
        return tuple(item for item in found if item is not None)

    def _corroboration(
        self, name: Signal, signal: Corroborator, day: int
    ) -> Corroboration | None:
        value = self._values[name].get(day)
        if value is None:
            return None
        baseline = self._baseline(name, day)
        if baseline is None or baseline.n < self._ruleset.active_nights:
            return None
        delta, z = value - baseline.mean, baseline.z(value)
        if delta < signal.rise or z < signal.rise_z:
            return None
        return Corroboration(
            signal=name, value=value, usual=baseline.mean, delta=delta, z=z
        )

    def _z1(self, day: int) -> float | None:
        value = self._values["HRV"].get(day)
        baseline = self._usable(day) if value is not None else None
        return baseline.z(value) if baseline is not None and value is not None else None

    def _usable(self, day: int) -> Baseline | None:
        baseline = self._baseline("HRV", day)
        if baseline is None or baseline.n < self._ruleset.provisional_nights:
            return None
        return baseline

    def _window(self, name: Signal, day: int) -> list[float]:
        values = self._values[name]
        span = range(day - self._ruleset.window_nights, day)
        return [values[d] for d in span if d in values]

    def _baseline(self, name: Signal, day: int) -> Baseline | None:
        key = (name, day)
        if key not in self._baselines:
            signal = self._hrv if name == "HRV" else self._corroborator(name)
            self._baselines[key] = baseline_of(
                values=self._window(name, day),
                signal=signal,
                prior_weight=self._ruleset.prior_weight,
            )
        return self._baselines[key]

    def _corroborator(self, name: Signal) -> Corroborator:
        return next(signal for found, signal in self._signals if found == name)
