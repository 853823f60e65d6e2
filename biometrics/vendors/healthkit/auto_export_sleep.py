"""Sleep in Health Auto Export: one summary a night, or single segments."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from biometrics.catalogue import Metric
from biometrics.vendors.fields import text
from biometrics.vendors.healthkit.dates import parse_export_date
from biometrics.vendors.healthkit.harvest import Harvest, device_kind
from biometrics.vendors.healthkit.sleep import (
    LONGEST_SEGMENT,
    Segment,
    Session,
    stage_of,
)
from biometrics.vendors.healthkit.tally import UNSUPPORTED
from biometrics.vendors.healthkit.units import SECONDS, Refusal, convert
from biometrics.vendors.times import Moment, credible

_WHERE = "data.metrics.sleep_analysis"
_STAGES = {
    "deep": Metric.SLEEP_DEEP,
    "rem": Metric.SLEEP_REM,
    "core": Metric.SLEEP_LIGHT,
}
_DURATIONS = (*_STAGES, "totalSleep", "asleep", "awake", "inBed")
_LONGEST_SUMMARY = timedelta(days=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Span:
    start: Moment
    end: Moment


def read_sleep(items: Iterable[object], harvest: Harvest, *, unit: object) -> None:
    """Gather segments and summaries; `unit` is that of the summaries' durations."""
    summaries: list[Session] = []
    for item in items:
        if not isinstance(item, dict):
            harvest.tally.add(_WHERE, "not an object")
        elif item.get("startDate") is not None:
            _read_segment(item, harvest)
        else:
            summary = _summary(item, harvest, unit=unit)
            if summary is not None:
                summaries.append(summary)
    harvest.sessions += _with_keys(summaries)


def _read_segment(item: dict[str, Any], harvest: Harvest) -> None:
    name = text(item, "value", limit=40)
    stage = stage_of(name) if name else None
    if stage is None:
        harvest.tally.add(f"{_WHERE}.{name}", UNSUPPORTED)
        return
    start = _moment(item, "startDate", harvest)
    end = _moment(item, "endDate", harvest)
    if start is None or end is None:
        return
    if not timedelta() < end.at - start.at <= LONGEST_SEGMENT:
        reason = "not after startDate, or more than a day after"
        harvest.tally.add(f"{_WHERE}.endDate", reason)
        return
    harvest.segments.append(
        Segment(
            stage=stage,
            start=start.at,
            end=end.at,
            zone_offset=start.zone_offset,
            device=device_kind(item.get("source")),
        )
    )


def _summary(item: dict[str, Any], harvest: Harvest, *, unit: object) -> Session | None:
    seconds = _seconds(item, harvest, unit=unit)
    asleep = _span(item, harvest, start="sleepStart", end="sleepEnd")
    in_bed = _span(item, harvest, start="inBedStart", end="inBedEnd")
    spans = [span for span in (asleep, in_bed) if span is not None]
    woke = spans[0].end if spans else _moment(item, "date", harvest)
    if not seconds or woke is None:
        harvest.tally.add(_WHERE, "no sleep in it")
        return None
    first = min((span.start for span in spans), key=_at, default=None)
    last = max((span.end for span in spans), key=_at, default=None)
    return Session(
        key="",
        seconds=seconds,
        start=first.at if first else None,
        end=last.at if last else None,
        asleep_from=asleep.start.at if asleep else None,
        asleep_to=asleep.end.at if asleep else None,
        night=woke.local_date,
        zone_offset=(first or woke).zone_offset,
        device=device_kind(item.get("source") or item.get("sleepSource")),
    )


def _seconds(
    item: dict[str, Any], harvest: Harvest, *, unit: object
) -> dict[Metric, float]:
    """Return how long each state lasted, in seconds.

    The app writes 0 both for "none" and for "not measured", so stages count when one of
    them lasted. The whole night is the app's total; older versions have none, and their
    "asleep" is either the whole or what is left beside the stages: the longer counts.
    """
    said = {key: _duration(item, key, harvest, unit=unit) for key in _DURATIONS}
    found: dict[Metric, float] = {}
    stages = sum(said[key] or 0 for key in _STAGES)
    if stages > 0:
        for key, metric in _STAGES.items():
            lasted = said[key]
            if lasted is not None:
                found[metric] = lasted
    total = said["totalSleep"] or max(stages, said["asleep"] or 0)
    awake, in_bed = said["awake"], said["inBed"]
    if total:
        found[Metric.SLEEP_DURATION] = total
        if awake is not None:
            found[Metric.SLEEP_AWAKE] = awake
    if in_bed:
        found[Metric.TIME_IN_BED] = in_bed
    return found


def _duration(
    item: dict[str, Any], key: str, harvest: Harvest, *, unit: object
) -> float | None:
    value = item.get(key)
    if value is None:
        return None
    seconds = convert(value, unit, metric=Metric.SLEEP_DURATION, dimension=SECONDS)
    if isinstance(seconds, Refusal):
        harvest.tally.add(f"{_WHERE}.{key}", seconds.value)
        return None
    return round(seconds, 3)


def _span(
    item: dict[str, Any], harvest: Harvest, *, start: str, end: str
) -> _Span | None:
    first, last = _moment(item, start, harvest), _moment(item, end, harvest)
    if first is None or last is None:
        return None
    if not timedelta() < last.at - first.at <= _LONGEST_SUMMARY:
        harvest.tally.add(f"{_WHERE}.{end}", "not after the start, or days after")
        return None
    return _Span(start=first, end=last)


def _moment(item: dict[str, Any], key: str, harvest: Harvest) -> Moment | None:
    raw = item.get(key)
    if raw is None:
        return None
    moment = parse_export_date(raw)
    if moment is None or not credible(moment, now=harvest.now):
        harvest.tally.add(f"{_WHERE}.{key}", "not a credible time")
        return None
    return moment


def _at(moment: Moment) -> datetime:
    return moment.at


def _with_keys(summaries: list[Session]) -> list[Session]:
    """Name the longest summary of each night by its date, so that a re-send is it.

    The app tells a night anew whenever it learns more of it, start and all.
    """
    keyed: list[Session] = []
    taken: set[str] = set()
    for one in sorted(summaries, key=lambda summary: summary.rank, reverse=True):
        assert one.night is not None  # a summary without a date is none
        key = one.night.isoformat()
        if key in taken:
            key = f"{key}/{one.start.isoformat() if one.start else len(taken)}"
        taken.add(key)
        keyed.append(replace(one, key=key))
    return keyed
