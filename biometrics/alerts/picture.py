"""A person's nights as a PNG: values, own usual range, alerts, gaps, method named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from io import BytesIO
from math import ceil, floor

from PIL import Image, ImageDraw, ImageFont

from biometrics.alerts.wording import DISCLAIMER

_WIDTH, _HEIGHT = 1000, 420
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 24, 48, 56
_INK, _GRID, _BAND, _LINE = "#1f2937", "#d1d5db", "#dbeafe", "#1d4ed8"
_ALERT = {"MEDIUM": "#0369a1", "HIGH": "#c2410c", "CRITICAL": "#b91c1c"}
_DATES = 6
# Distances of grid lines that people can read, in milliseconds.
_STEPS = (1, 2, 5, 10, 20, 50, 100)
_MOST_LINES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureNight:
    """One calendar night; None where there is nothing. `alert` is a severity."""

    night: date
    value_ms: float | None = None
    range_ms: tuple[float, float] | None = None
    alert: str | None = None


def png(*, title: str, nights: Sequence[PictureNight]) -> bytes:
    """Return the picture of these calendar nights, oldest first, as PNG bytes."""
    return _Picture(nights).draw(title)


class _Picture:
    def __init__(self, nights: Sequence[PictureNight]) -> None:
        self._nights = nights
        known = [n.value_ms for n in nights if n.value_ms is not None]
        known += [edge for n in nights if n.range_ms is not None for edge in n.range_ms]
        low, high = (min(known), max(known)) if known else (0.0, 100.0)
        margin = max((high - low) * 0.1, 2.0)
        low, high = max(low - margin, 0.0), high + margin
        self._step = next(s for s in _STEPS if (high - low) / s <= _MOST_LINES - 1)
        self._low = floor(low / self._step) * self._step
        self._high = ceil(high / self._step) * self._step
        self._image = Image.new("RGB", (_WIDTH, _HEIGHT), "white")
        self._pen = ImageDraw.Draw(self._image)
        self._font = ImageFont.load_default(size=13)

    def draw(self, title: str) -> bytes:
        self._pen.text(
            (_LEFT, 14), title, fill=_INK, font=ImageFont.load_default(size=16)
        )
        self._band()
        self._axes()
        self._values()
        self._alerts()
        held = BytesIO()
        self._image.save(held, format="PNG")
        return held.getvalue()

    def _x(self, place: int) -> float:
        span = max(len(self._nights) - 1, 1)
        return _LEFT + place / span * (_WIDTH - _LEFT - _RIGHT)

    def _y(self, ms: float) -> float:
        share = (ms - self._low) / (self._high - self._low)
        return _HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM)

    def _band(self) -> None:
        for place, night in enumerate(self._nights):
            if night.range_ms is None:
                continue
            low, high = night.range_ms
            half = (self._x(1) - self._x(0)) / 2
            left = max(self._x(place) - half, _LEFT)
            right = min(self._x(place) + half, _WIDTH - _RIGHT)
            self._pen.rectangle((left, self._y(high), right, self._y(low)), fill=_BAND)

    def _axes(self) -> None:
        for ms in range(self._low, self._high + 1, self._step):
            y = self._y(ms)
            self._pen.line((_LEFT, y, _WIDTH - _RIGHT, y), fill=_GRID)
            self._pen.text((12, y - 8), f"{ms} ms", fill=_INK, font=self._font)
        every = max(len(self._nights) // _DATES, 1)
        for place in range(0, len(self._nights), every):
            text = self._nights[place].night.isoformat()
            at = (self._x(place) - 36, _HEIGHT - _BOTTOM + 10)
            self._pen.text(at, text, fill=_INK, font=self._font)
        legend = (
            "line: night   blue: own usual range   break: no value   alerts: circle"
            f" MEDIUM, triangle HIGH, square CRITICAL   {DISCLAIMER}"
        )
        self._pen.text((_LEFT, _HEIGHT - 22), legend, fill=_INK, font=self._font)

    def _values(self) -> None:
        before: tuple[float, float] | None = None
        for place, night in enumerate(self._nights):
            if night.value_ms is None:
                before = None
                continue
            here = self._x(place), self._y(night.value_ms)
            if before is not None:
                self._pen.line((*before, *here), fill=_LINE, width=2)
            self._pen.circle(here, 3, fill=_LINE)
            before = here

    def _alerts(self) -> None:
        for place, night in enumerate(self._nights):
            if night.alert is None:
                continue
            x = self._x(place)
            y = _TOP + 4 if night.value_ms is None else self._y(night.value_ms) + 10
            self._mark(night.alert, x, y)

    def _mark(self, severity: str, x: float, y: float) -> None:
        """Draw an alert by its shape: colours alone are lost on many readers."""
        colour = _ALERT.get(severity, _INK)
        if severity == "CRITICAL":
            self._pen.rectangle((x - 7, y, x + 7, y + 14), fill=colour)
        elif severity == "HIGH":
            corners = [(x, y), (x - 8, y + 14), (x + 8, y + 14)]
            self._pen.polygon(corners, fill=colour)
        else:
            self._pen.ellipse((x - 6, y + 1, x + 6, y + 13), fill=colour)
