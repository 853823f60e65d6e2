"""A harvest as records: sleeps, workouts, and one of samples a metric and local day."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import date

import orjson

from biometrics.catalogue import Metric, plausible
from biometrics.vendors.healthkit.harvest import Harvest
from biometrics.vendors.healthkit.mapping import LATEST_OF_DAY
from biometrics.vendors.healthkit.night import asleep_facts
from biometrics.vendors.healthkit.points import Points
from biometrics.vendors.healthkit.sleep import Session, main_sleeps, sessions_of
from biometrics.vendors.records import Problem, ReadingValue, Record, Series

# A record of them has an id that begins with its metric.
SAMPLES = "samples"


def records_of(harvest: Harvest) -> tuple[Record, ...]:
    """Return everything that a harvest says; the same record twice is one."""
    sessions = [*harvest.sessions, *sessions_of(harvest.segments)]
    mains = main_sleeps(sessions)
    records = [
        *(_sleep(one, harvest, is_main=one.key in mains) for one in sessions),
        *harvest.workouts,
        *(
            _samples(metric, day, contexts, harvest)
            for (metric, day), contexts in harvest.samples.days.items()
        ),
    ]
    return tuple({(r.record_type, r.record_id): r for r in records}.values())


def _sleep(session: Session, harvest: Harvest, *, is_main: bool) -> Record:
    said = dict(session.seconds)
    if session.score is not None:
        said[Metric.SLEEP_SCORE] = session.score
    readings, problems = [], []
    for metric, raw in said.items():
        value = plausible(metric, raw)
        if value is None:
            problems.append(Problem(field=f"sleep.{metric}", reason="implausible"))
        else:
            readings.append(ReadingValue(metric=metric, value=value))
    facts = {**harvest.facts(session.device), **asleep_facts(session)}
    return Record(
        record_type="sleep",
        record_id=session.key,
        action="updated",
        stamp=harvest.stamp,
        start=session.start,
        end=session.end,
        zone_offset=session.zone_offset,
        local_date=session.night,
        readings=tuple(readings),
        attributes={**facts, "sleep_type": "main" if is_main else "nap"},
        problems=tuple(problems),
    )


def _samples(
    metric: Metric,
    day: date,
    contexts: Mapping[tuple[str, str], Points],
    harvest: Harvest,
) -> Record:
    """Return a day's samples of a metric, one series for each context and device.

    The id is made of the content: the same samples sent again are the same record.
    """
    ordered = sorted(contexts.items())
    series = tuple(
        points.series(metric, context=":".join(filter(None, key)) or None)
        for key, points in ordered
    )
    first = min((points.first for _, points in ordered), key=lambda one: one.at)
    return Record(
        record_type=SAMPLES,
        record_id=f"{metric}:{day.isoformat()}:{_fingerprint(series)}",
        action="created",
        stamp=harvest.stamp,
        start=first.at,
        end=max(points.until for _, points in ordered),
        zone_offset=first.zone_offset,
        local_date=day,
        readings=_latest(metric, series),
        series=series,
        attributes=harvest.facts(None),
    )


def _fingerprint(series: tuple[Series, ...]) -> str:
    content = [(one.context, one.start, one.offsets_s, one.values) for one in series]
    return hashlib.sha256(orjson.dumps(content)).hexdigest()[:16]


def _latest(metric: Metric, series: tuple[Series, ...]) -> tuple[ReadingValue, ...]:
    """Return the day's last value of what is measured now and then."""
    if metric not in LATEST_OF_DAY:
        return ()
    ends = [
        (one.start.timestamp() + (one.offsets_s or (0.0,))[-1], one.values[-1])
        for one in series
    ]
    value = max(ends, key=lambda end: end[0])[1]
    assert value is not None  # Points holds numbers only
    return (ReadingValue(metric=metric, value=value),)
