"""Sleep segments of several sources, which overlap, as sessions that do not.

A watch writes stages, the phone beside the bed writes "in bed", a third app writes the
whole night once more. Adding them up counts an hour thrice; here every instant counts
once, as the most telling of the stages that claim it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

from biometrics.catalogue import Metric
from biometrics.vendors.records import SHORTEST_NIGHT_S

# Two stretches further apart are two sleeps.
GAP = timedelta(hours=1)
LONGEST_SEGMENT = timedelta(hours=24)

# The most telling first. "Asleep" without a stage tells less than a stage, and being
# awake or in bed only what no source calls sleep.
_PRECEDENCE = ("deep", "rem", "light", "asleep", "awake", "in_bed")
_ASLEEP = frozenset({"deep", "rem", "light", "asleep"})
_STAGES = {
    "deep": "deep",
    "asleepdeep": "deep",
    "rem": "rem",
    "asleeprem": "rem",
    "light": "light",
    "core": "light",
    "asleepcore": "light",
    "asleep": "asleep",
    "sleeping": "asleep",
    "unspecified": "asleep",
    "asleepunspecified": "asleep",
    "awake": "awake",
    "inbed": "in_bed",
}
_METRICS = {
    "deep": Metric.SLEEP_DEEP,
    "rem": Metric.SLEEP_REM,
    "light": Metric.SLEEP_LIGHT,
    "awake": Metric.SLEEP_AWAKE,
}


class Segment(NamedTuple):
    """One stretch of one stage from one source; times are aware and as written."""

    stage: str
    start: datetime
    end: datetime
    zone_offset: str | None
    device: str | None
    score: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One sleep. `asleep_from` and `asleep_to` bound the sleep itself where known.

    `key` names it among the sleeps of an account, whenever it is sent.
    """

    key: str
    seconds: Mapping[Metric, float]
    start: datetime | None = None
    end: datetime | None = None
    asleep_from: datetime | None = None
    asleep_to: datetime | None = None
    night: date | None = None
    zone_offset: str | None = None
    device: str | None = None
    score: float | None = None

    @property
    def asleep_s(self) -> float:
        return self.seconds.get(Metric.SLEEP_DURATION, 0.0)

    @property
    def longest_s(self) -> float:
        return max(self.asleep_s, self.seconds.get(Metric.TIME_IN_BED, 0.0))

    @property
    def rank(self) -> tuple[float, float, str]:
        """Order sessions by sleep, then by time in bed."""
        return self.asleep_s, self.longest_s, self.key


def stage_of(name: str) -> str | None:
    """Return our name of a stage in any of the spellings that senders use."""
    return _STAGES.get(re.sub(r"[^a-z]", "", name.lower()))


def sessions_of(segments: Iterable[Segment]) -> list[Session]:
    """Return the sleeps that the segments make, in time order."""
    return [_session(cluster) for cluster in _clusters(segments)]


def main_sleeps(sessions: Iterable[Session]) -> set[str]:
    """Return the keys of the main sleeps: the longest of each date of waking.

    What is shorter than a night can be is a nap, even when it comes alone.
    """
    best: dict[date, Session] = {}
    for session in sessions:
        if session.night is None or session.longest_s < SHORTEST_NIGHT_S:
            continue
        rival = best.get(session.night, session)
        best[session.night] = max(session, rival, key=lambda one: one.rank)
    return {session.key for session in best.values()}


def _clusters(segments: Iterable[Segment]) -> Iterator[list[Segment]]:
    cluster: list[Segment] = []
    until: datetime | None = None
    for segment in sorted(segments, key=_order):
        if until is not None and segment.start > until + GAP:
            yield cluster
            cluster, until = [], None
        cluster.append(segment)
        until = segment.end if until is None else max(until, segment.end)
    if cluster:
        yield cluster


def _order(segment: Segment) -> tuple[datetime, datetime, str, str]:
    return segment.start, segment.end, segment.stage, segment.device or ""


def _session(cluster: list[Segment]) -> Session:
    last = max(cluster, key=lambda one: one.end)
    asleep = [one for one in cluster if one.stage in _ASLEEP]
    woke = max(asleep, key=lambda one: one.end, default=last)
    start = cluster[0].start
    return Session(
        key=start.astimezone(UTC).isoformat(),
        seconds=_seconds(cluster),
        start=start,
        end=last.end,
        asleep_from=asleep[0].start if asleep else None,
        asleep_to=woke.end if asleep else None,
        night=woke.end.date(),
        zone_offset=cluster[0].zone_offset,
        device=_device(asleep or cluster),
        score=next((one.score for one in cluster if one.score is not None), None),
    )


def _seconds(cluster: list[Segment]) -> dict[Metric, float]:
    """Return how long each state lasted; a state that nobody reported is missing."""
    counted = _resolved(cluster)
    reported = {one.stage for one in cluster}
    found = {
        metric: counted[stage]
        for stage, metric in _METRICS.items()
        if stage in reported
    }
    if reported & _ASLEEP:
        found[Metric.SLEEP_DURATION] = sum(counted[stage] for stage in _ASLEEP)
    if "in_bed" in reported:
        found[Metric.TIME_IN_BED] = sum(counted.values())
    return found


def _resolved(cluster: list[Segment]) -> dict[str, float]:
    """Return the seconds that belong to each stage when every instant counts once."""
    changes = sorted(
        (moment, delta, one.stage)
        for one in cluster
        for moment, delta in ((one.start, 1), (one.end, -1))
    )
    seconds = dict.fromkeys(_PRECEDENCE, 0.0)
    claims = dict.fromkeys(_PRECEDENCE, 0)
    since: datetime | None = None
    for moment, delta, stage in changes:
        winner = next((s for s in _PRECEDENCE if claims[s] > 0), None)
        if winner is not None and since is not None:
            seconds[winner] += (moment - since).total_seconds()
        claims[stage] += delta
        since = moment
    return seconds


def _device(cluster: list[Segment]) -> str | None:
    """Return the kind of device that reported most of the segments."""
    ranked = Counter(one.device for one in cluster).most_common(1)
    return ranked[0][0]
