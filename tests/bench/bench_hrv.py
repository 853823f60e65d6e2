"""HRV alerts on simulated people: rates, detection, operating curve, cost of a night.

    python -m tests.bench.bench_hrv [--people 3000] [--curve docs/hrv_curve.png]

Everything is seeded; two runs of one version print the same rates.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter

from biometrics.alerts.hrv_1 import HRV_1
from biometrics.alerts.rules import judge, judge_many
from biometrics.alerts.ruleset import Ruleset
from tests.bench.hrv_curve import Point, png, svg
from tests.bench.hrv_people import Model, Person
from tests.bench.hrv_rates import (
    MILD,
    STRONG,
    Healthy,
    Seen,
    fixed_limits,
    healthy_rates,
    people,
    percent_drop,
    personal_only,
    seen,
    shifted,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    name: str
    healthy: Healthy
    mild: Seen
    strong: Seen


def main(*, arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--curve", type=Path, help="write the picture: .svg or .png")
    parser.add_argument("--curve-people", type=int, default=500)
    parser.add_argument("--drops-on-top", action="store_true")
    options = parser.parse_args(arguments)
    model = Model(drops_inside=not options.drops_on_top)
    crowd = people(count=options.people, seed=options.seed, model=model)

    _say(f"{options.people} people, 90 nights, seed {options.seed}, {model}")
    _print_table(
        [
            _row("hrv-1", crowd, personal_only(), options.seed),
            _row("< 25 / < 40 ms", crowd, _original(), options.seed),
            _row("30 % below own", crowd, percent_drop(percent=30), options.seed),
        ]
    )
    _print_costs(crowd)
    if options.curve:
        _draw(crowd[: options.curve_people], options.seed, options.curve)


def _original() -> Ruleset:
    return fixed_limits(critical_ms=25, high_ms=40)


def _row(name: str, crowd: Sequence[Person], ruleset: Ruleset, seed: int) -> _Row:
    return _Row(
        name=name,
        healthy=healthy_rates(crowd=crowd, ruleset=ruleset),
        mild=seen(crowd=crowd, event=MILD, ruleset=ruleset, seed=seed),
        strong=seen(crowd=crowd, event=STRONG, ruleset=ruleset, seed=seed),
    )


def _print_table(rows: Sequence[_Row]) -> None:
    _say(f"{'':30}" + "".join(f"{row.name:>17}" for row in rows))
    lines: list[tuple[str, Callable[[_Row], str]]] = [
        ("healthy: HIGH / month", lambda row: f"{row.healthy.high:.4f}"),
        ("healthy: CRITICAL / month", lambda row: f"{row.healthy.critical:.4f}"),
        ("healthy: > 2 HIGH+ / month", lambda row: f"{row.healthy.often:.1%}"),
        ("healthy: nights z1 <= -2", lambda row: f"{row.healthy.below_minus_2:.2%}"),
    ]
    _print_lines(rows, lines)
    _print_lines(rows, _event_lines("-2 SD, 7 nights", lambda row: row.mild))
    _print_lines(rows, _event_lines("-3 SD, 5 nights", lambda row: row.strong))


def _event_lines(
    name: str, of: Callable[[_Row], Seen]
) -> list[tuple[str, Callable[[_Row], str]]]:
    return [
        (f"{name}: HIGH+", lambda row: f"{of(row).high:.1%}"),
        (f"{name}: median night", lambda row: f"{of(row).median_night}"),
        (f"{name}: CRITICAL", lambda row: f"{of(row).critical:.1%}"),
        (f"{name}: HIGH+ if well", lambda row: f"{of(row).without:.1%}"),
    ]


def _print_lines(
    rows: Sequence[_Row], lines: Sequence[tuple[str, Callable[[_Row], str]]]
) -> None:
    for name, cell in lines:
        _say(f"{name:30}" + "".join(f"{cell(row):>17}" for row in rows))


def _print_costs(crowd: Sequence[Person]) -> None:
    """Time `judge` on full windows, and a whole history at once."""
    single: list[float] = []
    for person in crowd[:40]:
        nights = person.nights()
        for last in range(HRV_1.lookback_nights, len(nights)):
            window = nights[last - HRV_1.lookback_nights : last + 1]
            start = perf_counter()
            judge(nights=window, night=window[-1].night, kind="RMSSD", ruleset=HRV_1)
            single.append(1000 * (perf_counter() - start))
    start, judged = perf_counter(), 0
    for person in crowd[:100]:
        nights = person.nights()[:60]
        dates = [night.night for night in nights]
        judge_many(nights=nights, judged=dates, kind="RMSSD", ruleset=HRV_1)
        judged += len(dates)
    whole = 1000 * (perf_counter() - start) / judged
    p99 = quantiles(single, n=100)[98]
    _say(f"judge, 4 signals: median {median(single):.3f} ms, p99 {p99:.3f} ms a night")
    _say(f"judge_many, 60 nights: {whole:.3f} ms a night")


def _draw(crowd: Sequence[Person], seed: int, path: Path) -> None:
    # The first of each curve is the one in use; its dot is drawn larger.
    steps = (0.0, -0.75, -0.5, -0.25, 0.25, 0.5, 0.75)
    percents = (30, 15, 20, 25, 35, 40, 50)
    limits = ((25, 40), (10, 16), (15, 24), (20, 32), (30, 48), (40, 64))
    curves = {
        "hrv-1, thresholds moved by -0.75 to +0.75": [
            _point(
                f"hrv-1 {step:+g}" if step else "hrv-1", crowd, shifted(by=step), seed
            )
            for step in steps
        ],
        "percent below own baseline, 15 to 50 %": [
            _point(f"{percent} %", crowd, percent_drop(percent=percent), seed)
            for percent in percents
        ],
        "fixed limits for everybody, 16 to 64 ms": [
            _point(
                f"{low} / {high} ms",
                crowd,
                fixed_limits(critical_ms=low, high_ms=high),
                seed,
            )
            for low, high in limits
        ],
    }
    for name, points in curves.items():
        _say(name)
        for point in points:
            _say(f"  {point.label:18} {point.rate:6.2f} / month {point.found:7.1%}")
    title = "Events of -2 SD over 7 nights that reach HIGH"
    document = svg(title=title, curves=curves)
    if path.suffix == ".png":
        png(document=document, path=path)
    else:
        path.write_text(document)
    _say(f"wrote {path}")


def _point(name: str, crowd: Sequence[Person], ruleset: Ruleset, seed: int) -> Point:
    healthy = healthy_rates(crowd=crowd, ruleset=ruleset)
    return Point(
        label=name,
        rate=healthy.high + healthy.critical,
        found=seen(crowd=crowd, event=MILD, ruleset=ruleset, seed=seed).high,
    )


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
