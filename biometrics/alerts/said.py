"""What new events say of nights, as far as judging is concerned."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

from biometrics.alerts.nights import Night, clean_night
from biometrics.alerts.ruleset import Ruleset
from biometrics.catalogue import Metric
from biometrics.vendors.night_pieces import GatheredNight
from biometrics.vendors.records import NightSignals, Record
from biometrics.vendors.times import in_offset


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathered:
    """What the pieces of a night, old and new, say together.

    `found` holds it by series: any other that was gathered before is no more.
    `record_id` names the night's row, `stamp` is that of the latest piece. Where none of
    its sleeps is new, the night is news only if it changed.
    """

    night: date
    record_id: str
    stamp: datetime
    found: tuple[GatheredNight, ...]
    by_sleep: bool

    def cleaned(self, night: GatheredNight, *, ruleset: Ruleset) -> Night:
        """Return one of the nights found, as far as its values can be believed."""
        signals = night.signals
        return clean_night(
            night=signals.night,
            kind=signals.kind,
            ruleset=ruleset,
            value_ms=signals.value_ms,
            rhr_bpm=signals.rhr_bpm,
            rr_brpm=signals.rr_brpm,
            temp_c=signals.temp_c,
            sleep_s=night.sleep_s,
            record_id=self.record_id,
            updated_at=self.stamp,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A new event that stands, as far as judging is concerned.

    `replaces` is the stored event that it supersedes. `is_backfill` marks what was
    fetched from the past: it never pages. The event of a vendor that tells nights in
    pieces (`is_piece`) says nothing of a night by itself: it speaks for `gathered`.
    """

    event_id: UUID
    replaces: UUID | None
    subject: UUID
    vendor: str
    record: Record
    received_at: datetime
    is_backfill: bool = False
    traceparent: str = ""
    is_piece: bool = False
    gathered: tuple[Gathered, ...] = ()

    def today(self, now: datetime) -> date:
        """Return the date where the person is, UTC's where that is not known."""
        local = in_offset(now, self.record.zone_offset)
        return now.astimezone(UTC).date() if local is None else local.local_date

    def cleaned(self, signals: NightSignals, *, ruleset: Ruleset) -> Night:
        """Return its record's own night, as far as its values can be believed."""
        return clean_night(
            night=signals.night,
            kind=signals.kind,
            ruleset=ruleset,
            value_ms=signals.value_ms,
            rhr_bpm=signals.rhr_bpm,
            rr_brpm=signals.rr_brpm,
            temp_c=signals.temp_c,
            sleep_s=_sleep_s(self.record),
            record_id=self.record.record_id,
            updated_at=self.record.stamp,
            received_at=self.received_at,
        )


def _sleep_s(record: Record) -> float | None:
    """Return how long the person slept, as far as the record tells."""
    said = {r.metric: r.value for r in record.readings if r.context is None}
    asleep = said.get(Metric.SLEEP_DURATION)
    if asleep is not None or record.record_type != "sleep":
        return asleep
    if record.start is None or record.end is None:
        return None
    span = record.end - record.start
    return span.total_seconds() if span > timedelta(0) else None
