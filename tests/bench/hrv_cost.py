"""What judging costs: one night by itself, and a whole history at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median, quantiles
from time import perf_counter

from biometrics.alerts.hrv_1 import HRV_1
from biometrics.alerts.rules import judge, judge_many
from tests.bench.hrv_people import Person

_SINGLE_PEOPLE, _WHOLE_PEOPLE = 40, 100
_WHOLE_NIGHTS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Milliseconds a night, four signals."""

    single: float  # median of `judge` on a full window
    single_p99: float
    nights: int  # how many nights `single` is the median of
    whole: float  # `judge_many` on 60 nights


def measure(crowd: Sequence[Person]) -> Cost:
    single: list[float] = []
    for person in crowd[:_SINGLE_PEOPLE]:
        nights = person.nights()
        for last in range(HRV_1.lookback_nights, len(nights)):
            window = nights[last - HRV_1.lookback_nights : last + 1]
            start = perf_counter()
            judge(nights=window, night=window[-1].night, kind="RMSSD", ruleset=HRV_1)
            single.append(1000 * (perf_counter() - start))
    return Cost(
        single=median(single),
        single_p99=quantiles(single, n=100)[98],
        nights=len(single),
        whole=_whole(crowd[:_WHOLE_PEOPLE]),
    )


def _whole(crowd: Sequence[Person]) -> float:
    start, judged = perf_counter(), 0
    for person in crowd:
        nights = person.nights()[:_WHOLE_NIGHTS]
        dates = [night.night for night in nights]
        judge_many(nights=nights, judged=dates, kind="RMSSD", ruleset=HRV_1)
        judged += len(dates)
    return 1000 * (perf_counter() - start) / judged
