"""The operating curve as a picture: SVG by hand, PNG through the test browser."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from biometrics.alerts.ruleset import Ruleset
from tests.bench.hrv_people import Person
from tests.bench.hrv_rates import (
    MILD,
    fixed_limits,
    healthy_rates,
    percent_drop,
    seen,
    shifted,
)

_WIDTH, _HEIGHT = 760, 520
_LEFT, _RIGHT, _TOP, _BOTTOM = 80, 30, 60, 70
_MAX_RATE: Final = 8
_COLOURS: Final = ("#0b6e4f", "#b5651d", "#7a3e9d")


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    label: str
    rate: float  # HIGH and CRITICAL messages per healthy person-month
    found: float  # share of events seen


def draw(crowd: Sequence[Person], *, seed: int, path: Path) -> None:
    """Write the picture: .svg or .png."""
    # The first of each curve is the one in use; its dot is drawn larger.
    steps = (0.0, -0.75, -0.5, -0.25, 0.25, 0.5, 0.75)
    percents = (30, 15, 20, 25, 35, 40, 50)
    limits = ((25, 40), (10, 16), (15, 24), (20, 32), (30, 48), (40, 64))
    rulesets = {
        "hrv-1, thresholds moved by -0.75 to +0.75": [
            (f"hrv-1 {step:+g}" if step else "hrv-1", shifted(by=step))
            for step in steps
        ],
        "percent below own baseline, 15 to 50 %": [
            (f"{percent} %", percent_drop(percent=percent)) for percent in percents
        ],
        "fixed limits for everybody, 16 to 64 ms": [
            (f"{low} / {high} ms", fixed_limits(critical_ms=low, high_ms=high))
            for low, high in limits
        ],
    }
    curves = {
        name: [_point(label, crowd, ruleset, seed=seed) for label, ruleset in members]
        for name, members in rulesets.items()
    }
    for name, points in curves.items():
        sys.stdout.write(f"{name}\n")
        for point in points:
            sys.stdout.write(
                f"  {point.label:18} {point.rate:6.2f} / month {point.found:7.1%}\n"
            )
    title = "Events of -2 SD over 7 nights that reach HIGH"
    document = svg(title=title, curves=curves)
    if path.suffix == ".png":
        png(document=document, path=path)
    else:
        path.write_text(document)


def _point(name: str, crowd: Sequence[Person], ruleset: Ruleset, *, seed: int) -> Point:
    healthy = healthy_rates(crowd=crowd, ruleset=ruleset)
    return Point(
        label=name,
        rate=healthy.high + healthy.critical,
        found=seen(crowd=crowd, event=MILD, ruleset=ruleset, seed=seed).high,
    )


def svg(*, title: str, curves: Mapping[str, Sequence[Point]]) -> str:
    """Return the curves as an SVG document; the larger dot is the first point."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{_HEIGHT}"'
        ' font-family="sans-serif" font-size="13">',
        '<rect width="100%" height="100%" fill="white"/>',
        f'<text x="{_LEFT}" y="28" font-size="16">{title}</text>',
        *_axes(),
    ]
    for number, (name, points) in enumerate(curves.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        parts += _curve(points, colour)
        y = _y(0) - 20 - 20 * (len(curves) - 1 - number)
        parts.append(f'<text x="{_x(4)}" y="{y}" fill="{colour}">● {name}</text>')
    return "\n".join([*parts, "</svg>"])


def png(*, document: str, path: Path) -> None:
    """Render the SVG document with the browser that the browser tests use."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - optional

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_chromium())
        page = browser.new_page(viewport={"width": _WIDTH, "height": _HEIGHT})
        page.set_content(f"<style>body{{margin:0}}</style>{document}")
        page.screenshot(path=path)
        browser.close()


def _chromium() -> Path | None:
    installed = Path("/usr/bin/chromium")
    return installed if installed.exists() else None


def _x(rate: float) -> float:
    return _LEFT + min(rate, _MAX_RATE) / _MAX_RATE * (_WIDTH - _LEFT - _RIGHT)


def _y(found: float) -> float:
    return _HEIGHT - _BOTTOM - found * (_HEIGHT - _TOP - _BOTTOM)


def _axes() -> list[str]:
    parts = []
    for step in range(11):
        y = _y(step / 10)
        parts.append(
            f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y}" y2="{y}"'
            ' stroke="#ddd"/>'
            f'<text x="{_LEFT - 10}" y="{y + 4}" text-anchor="end">{step * 10} %</text>'
        )
    for step in range(_MAX_RATE + 1):
        x = _x(step)
        parts.append(
            f'<line x1="{x}" x2="{x}" y1="{_TOP}" y2="{_HEIGHT - _BOTTOM}"'
            ' stroke="#ddd"/>'
            f'<text x="{x}" y="{_HEIGHT - _BOTTOM + 20}"'
            f' text-anchor="middle">{step}</text>'
        )
    parts.append(
        f'<text x="{(_LEFT + _WIDTH - _RIGHT) / 2}" y="{_HEIGHT - 20}"'
        ' text-anchor="middle">HIGH and CRITICAL alerts per healthy person-month</text>'
    )
    return parts


def _curve(points: Sequence[Point], colour: str) -> list[str]:
    ordered = sorted(points, key=lambda point: point.rate)
    path = " ".join(f"{_x(p.rate):.1f},{_y(p.found):.1f}" for p in ordered)
    parts = [f'<polyline points="{path}" fill="none" stroke="{colour}"/>']
    for point in points:
        radius = 6 if point is points[0] else 3
        x, y = _x(point.rate), _y(point.found)
        parts.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" fill="{colour}"/>'
        )
        if point is points[0]:
            parts.append(
                f'<text x="{x + 10:.1f}" y="{y + 16:.1f}" fill="{colour}">'
                f"{point.label}</text>"
            )
    return parts
