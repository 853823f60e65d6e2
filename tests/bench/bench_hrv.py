"""HRV alerts on simulated people: rates, detection, operating curve, cost.

    python -m tests.bench.bench_hrv [--people 3000] [--rebuild 10000] [--write]

Everything is seeded: two runs of one version print the same rates. `--write` replaces
the section of docs/benchmarks.md and the picture of the operating curve.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from biometrics.alerts.ruleset import Ruleset
from tests.bench import hrv_cost, hrv_rebuild
from tests.bench.hrv_curve import draw
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
)
from tests.bench.report import PAGE, machine, put_section

PICTURE = PAGE.parent / "images" / "hrv_operating_curve.png"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Column:
    name: str
    healthy: Healthy
    mild: Seen
    strong: Seen


# What the issue of this engine asked for, beside each line that has a limit.
_Line = tuple[str, str, Callable[[_Column], str]]
_LINES: tuple[_Line, ...] = (
    ("healthy, a month: HIGH", "≤ 0.43", lambda c: f"{c.healthy.high:.4f}"),
    ("healthy, a month: CRITICAL", "≤ 0.065", lambda c: f"{c.healthy.critical:.4f}"),
    ("people with more than two a month", "", lambda c: f"{c.healthy.often:.1%}"),
    ("nights with z1 ≤ -2", "3 to 6 %", lambda c: f"{c.healthy.below_minus_2:.2%}"),
    ("-2 SD, 7 nights: HIGH or worse", "≥ 95 %", lambda c: f"{c.mild.high:.1%}"),
    ("… median night", "2", lambda c: f"{c.mild.median_night:g}"),
    ("… CRITICAL", "≥ 60 %", lambda c: f"{c.mild.critical:.1%}"),
    ("… the same nights, well", "", lambda c: f"{c.mild.without:.1%}"),
    ("-3 SD, 5 nights: HIGH or worse", "≥ 98 %", lambda c: f"{c.strong.high:.1%}"),
    ("… median night", "1", lambda c: f"{c.strong.median_night:g}"),
    ("… CRITICAL", "", lambda c: f"{c.strong.critical:.1%}"),
    ("… the same nights, well", "", lambda c: f"{c.strong.without:.1%}"),
)


def main(*, arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--curve", type=Path, help="write the picture: .svg or .png")
    parser.add_argument("--curve-people", type=int, default=500)
    parser.add_argument("--rebuild", type=int, default=10_000, help="people; 0: skip")
    parser.add_argument("--drops-on-top", action="store_true")
    parser.add_argument("--write", action="store_true", help="into the documents")
    options = parser.parse_args(arguments)
    model = Model(drops_inside=not options.drops_on_top)
    crowd = people(count=options.people, seed=options.seed, model=model)
    parts = [
        f"`make bench-hrv`; {machine()}. {options.people:,} simulated people with 90"
        f" nights each, seed {options.seed}; the method is described in"
        " [HRV alerts](hrv.md).",
        _table(_columns(crowd, options.seed)),
        _costs(crowd),
    ]
    if options.rebuild:
        parts.append(_rebuilt(count=options.rebuild, seed=options.seed))
    for part in parts:
        sys.stdout.write(f"{part}\n\n")
    curve = PICTURE if options.write else options.curve
    if curve:
        draw(crowd[: options.curve_people], seed=options.seed, path=curve)
    if options.write:
        parts.append(f"![Operating curve](images/{PICTURE.name})")
        put_section("hrv", "\n\n".join(["## HRV alerts", *parts]))


def _columns(crowd: Sequence[Person], seed: int) -> list[_Column]:
    rulesets = {
        "hrv-1": personal_only(),
        "original rule, < 25 / < 40 ms": fixed_limits(critical_ms=25, high_ms=40),
        "30 % below own baseline": percent_drop(percent=30),
    }
    return [
        _column(name, crowd, ruleset, seed=seed) for name, ruleset in rulesets.items()
    ]


def _column(
    name: str, crowd: Sequence[Person], ruleset: Ruleset, *, seed: int
) -> _Column:
    return _Column(
        name=name,
        healthy=healthy_rates(crowd=crowd, ruleset=ruleset),
        mild=seen(crowd=crowd, event=MILD, ruleset=ruleset, seed=seed),
        strong=seen(crowd=crowd, event=STRONG, ruleset=ruleset, seed=seed),
    )


def _table(columns: Sequence[_Column]) -> str:
    lines = [
        "| | asked | " + " | ".join(column.name for column in columns) + " |",
        "|---|---|" + "---|" * len(columns),
    ]
    for title, asked, cell in _LINES:
        cells = " | ".join(cell(column) for column in columns)
        lines.append(f"| {title} | {asked} | {cells} |")
    return "\n".join(lines)


def _costs(crowd: Sequence[Person]) -> str:
    cost = hrv_cost.measure(crowd)
    return (
        f"One night judged by itself, four signals: median {cost.single:.3f} ms, p99"
        f" {cost.single_p99:.3f} ms of {cost.nights:,} nights (asked: below 0.5 ms)."
        f" A history of 60 nights at once: {cost.whole:.3f} ms a night."
    )


def _rebuilt(*, count: int, seed: int) -> str:
    found = hrv_rebuild.measure(count=count, seed=seed)
    first, again = found.first, found.again
    return (
        f"`rebuild_baselines` on {found.people:,} people with {found.rows:,} nights in"
        f" PostgreSQL: {first.core_s + first.server_s:.0f} s of processor time (asked:"
        f" under 300 s on one core): {first.core_s:.0f} s of the command,"
        f" {first.server_s:.0f} s of the server; {first.wall_s:.0f} s by the clock."
        " Once more, with nothing to change:"
        f" {again.core_s + again.server_s:.0f} s,"
        f" {again.wall_s:.0f} s by the clock. It said: “{first.said}”, then “{again.said}”."
    )


if __name__ == "__main__":
    main()
