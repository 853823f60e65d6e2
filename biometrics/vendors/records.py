"""What a delivery says, in the words that all vendors share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Literal

from biometrics.catalogue import Metric

Action = Literal["created", "updated", "deleted"]
JsonScalar = str | int | float | bool | None

# What makes a night, whoever measured it. Shorter sleeps give no comparable value, fewer
# samples no median, and nobody asleep breathes faster (the catalogue knows runners too).
SHORTEST_NIGHT_S = 3 * 3600.0
FEWEST_SAMPLES = 3
FASTEST_BREATH = 40.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingValue:
    """One number in catalogue units. `context` says under which circumstances."""

    metric: Metric
    value: float
    context: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Many values of one metric in time order.

    Regular series give `interval_s` and one value (or None) a step from `start`.
    Irregular ones give `offsets_s`, seconds after `start`, as long as `values`.
    """

    metric: Metric
    start: datetime
    values: Sequence[float | None]
    interval_s: float | None = None
    offsets_s: Sequence[float] | None = None
    context: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A value that the vendor sent and that became missing; never holds the value."""

    field: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NightSignals:
    """What one main sleep says to the HRV engine; None is missing, nothing is imputed.

    `night` is the local calendar date of waking. `series_id` is
    kind:vendor:device class, for example RMSSD:oura:ring; series are never mixed.
    """

    series_id: str
    kind: Literal["RMSSD", "SDNN"]
    night: date
    value_ms: float | None
    rhr_bpm: float | None = None
    rr_brpm: float | None = None
    temp_c: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One thing that a delivery says about one vendor record.

    `start` and `end` are aware. When the vendor gave no offset, `zone_offset` is None and
    they hold the vendor's wall time marked as UTC: `local_date` is then still right.
    `stamp` orders revisions of the same record. `attributes` are short facts that are not
    measurements (sleep type, provider, score state).
    """

    record_type: str
    record_id: str
    action: Action
    stamp: datetime
    start: datetime | None = None
    end: datetime | None = None
    zone_offset: str | None = None
    local_date: date | None = None
    readings: Sequence[ReadingValue] = ()
    series: Sequence[Series] = ()
    attributes: Mapping[str, JsonScalar] = field(default_factory=dict)
    night: NightSignals | None = None
    problems: Sequence[Problem] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionChange:
    """What a delivery says about the connection itself.

    `connected` begins it anew, even where it had ended; `restored` and `needs_reconnect`
    say how a connection fares that has not ended. `new_account_id` is set when the vendor gave the same person another account id.
    """

    change: Literal["connected", "restored", "revoked", "needs_reconnect", "relinked"]
    reason: str
    new_account_id: str | None = None
    reference: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Understanding:
    """Everything that a delivery says.

    `is_unfinished`: the vendor stored what it announced before it had all of it, so it
    is to be fetched again later.
    """

    records: Sequence[Record] = ()
    connection_changes: Sequence[ConnectionChange] = ()
    ignored: str | None = None
    problems: Sequence[Problem] = ()
    is_unfinished: bool = False
