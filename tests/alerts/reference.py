"""A slow and literal reading of the HRV rules, to hold the engine to.

Written from the specification with the statistics module, without caches, without
short cuts and without any code of the engine: plain lists of values per night number.
"""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass, field

Values = dict[int, float]

# Signal: prior SD, floor, k_lo, k_hi.
RMSSD = (0.20, 0.08, 5, 3)
SDNN = (0.30, 0.10, 5, 3)
CORROBORATORS = {
    "RHR": ((2.5, 1.5, 3, 5), 3.0, 1.5),
    "RR": ((0.6, 0.4, 3, 5), 1.0, 2.0),
    "TEMP": ((0.45, 0.25, 3, 5), 0.5, 2.0),
}


@dataclass
class Person:
    """Values by night number; HRV in milliseconds."""

    hrv: Values
    others: dict[str, Values] = field(default_factory=dict)
    signal: tuple[float, float, int, int] = RMSSD

    def baseline(self, night: int) -> tuple[int, float, float] | None:
        logs = {n: math.log(ms) for n, ms in self.hrv.items()}
        return window_baseline(logs, night, self.signal)

    def n(self, night: int) -> int:
        return sum(night - 60 <= other < night for other in self.hrv)

    def z1(self, night: int) -> float | None:
        if night not in self.hrv or self.n(night) < 7:
            return None
        found = self.baseline(night)
        assert found is not None
        return (math.log(self.hrv[night]) - found[1]) / found[2]

    def z7(self, night: int) -> float | None:
        week = [
            math.log(self.hrv[n]) for n in range(night - 6, night + 1) if n in self.hrv
        ]
        if night not in self.hrv or len(week) < 4 or self.n(night - 6) < 14:
            return None
        found = self.baseline(night - 6)
        assert found is not None
        return (statistics.fmean(week) - found[1]) / found[2]

    def corroborators(self, night: int) -> list[str]:
        return [name for name in CORROBORATORS if self.rose(name, night)]

    def rose(self, name: str, night: int) -> bool:
        signal, rise, rise_z = CORROBORATORS[name]
        values = self.others.get(name, {})
        found = window_baseline(values, night, signal)
        if night not in values or found is None or found[0] < 14:
            return False
        delta = values[night] - found[1]
        return delta >= rise and delta / found[2] >= rise_z

    def reasons(self, night: int) -> list[str]:
        z1, z7 = self.z1(night), self.z7(night)
        if z1 is None:
            return []
        last = [
            (self.z1(n), len(self.corroborators(n)))
            for n in range(night - 2, night + 1)
        ]
        two = {
            limit: z1 <= limit
            and sum(z is not None and z <= limit for z, _ in last) >= 2
            for limit in (-2.0, -1.75, -1.5)
        }
        confirmed = sum(z is not None and z <= -1.5 and c >= 1 for z, c in last)
        count = last[-1][1]
        table = {
            "K1_2of3_z<=-2.0_corroborated_twice": two[-2.0] and confirmed >= 2,
            "K2_z<=-3.0_two_corroborators": z1 <= -3.0 and count >= 2,
            "H1_2of3_z<=-1.75": two[-1.75],
            "H2_z7<=-1.25": z7 is not None and z7 <= -1.25,
            "H3_z<=-1.5_two_corroborators": z1 <= -1.5 and count >= 2,
            "H4_2of3_z<=-1.5_one_corroborator": two[-1.5] and count >= 1,
            "H5_z<=-3.0": z1 <= -3.0,
            "M1_z<=-1.5": z1 <= -1.5,
            "M2_z7<=-1.0": z7 is not None and z7 <= -1.0,
        }
        return [code for code, holds in table.items() if holds]

    def severity(self, night: int) -> str:
        letters = {code[0] for code in self.reasons(night)}
        if not letters:
            return "NORMAL"
        if self.n(night) < 14 or letters == {"M"}:
            return "MEDIUM"
        return "CRITICAL" if "K" in letters else "HIGH"


def window_baseline(
    values: Values, night: int, signal: tuple[float, float, int, int]
) -> tuple[int, float, float] | None:
    prior, floor, k_lo, k_hi = signal
    window = [value for n, value in values.items() if night - 60 <= n <= night - 1]
    if len(window) < 2:
        return None
    middle = statistics.median(window)
    mad = statistics.median([abs(x - middle) for x in window])
    u = max(1.4826 * mad, floor)
    clipped = [max(middle - k_lo * u, min(middle + k_hi * u, x)) for x in window]
    n, raw = len(clipped), statistics.stdev(clipped)
    s = math.sqrt((6 * prior**2 + (n - 1) * raw**2) / (6 + n - 1))
    return n, statistics.fmean(clipped), max(s, floor)
