"""Units that phones send, and what they are in catalogue units.

HealthKit lets every app choose: the same energy arrives as kJ, kcal or Cal. So a number
counts only together with its unit.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from biometrics.catalogue import Metric, plausible

# kJ per kcal (thermochemical calorie), as HealthKit and the vendors convert.
_KJ = 4.184


class Refusal(StrEnum):
    """Why a value is missing."""

    NO_NUMBER = "not a number"
    NO_UNIT = "no unit"
    UNKNOWN_UNIT = "unknown unit"
    IMPLAUSIBLE = "implausible"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dimension:
    """The units of one kind of quantity: catalogue value = value x scale + shift.

    `may_lack_unit` says that a missing unit cannot change the number.
    `is_fraction` says that up to 1.0 means a fraction of one, above it per cent.
    """

    scales: dict[str, float]
    shifts: dict[str, float]
    may_lack_unit: bool = False
    is_fraction: bool = False


def _table(rows: dict[str, float]) -> Dimension:
    return Dimension(scales=rows, shifts={})


def _same(*units: str, may_lack_unit: bool = False) -> Dimension:
    """Return a dimension whose spellings all mean the same."""
    scales = dict.fromkeys(units, 1.0)
    return Dimension(scales=scales, shifts={}, may_lack_unit=may_lack_unit)


RATE = _same(
    *("count/min", "/min", "bpm", "breaths/min", "brpm", "spm", "rpm", "steps/min"),
    may_lack_unit=True,
)
COUNT = _same("count", "steps", "flights", "floors", may_lack_unit=True)
INDEX = _same("count", "kg/m2", "kg/m\u00b2", may_lack_unit=True)
PERCENT = Dimension(scales={"%": 1.0}, shifts={}, may_lack_unit=True, is_fraction=True)
PRESSURE = _table({"mmhg": 1.0, "kpa": 7.50061683})
ENERGY = _table(
    {
        "kcal": 1.0,
        "Cal": 1.0,
        "cal": 0.001,
        "kj": 1 / _KJ,
        "j": 0.001 / _KJ,
    }
)
MILLISECONDS = _table({"ms": 1.0, "s": 1000.0, "sec": 1000.0})
SECONDS = _table(
    {
        "s": 1.0,
        "sec": 1.0,
        "ms": 0.001,
        "min": 60.0,
        "hr": 3600.0,
        "h": 3600.0,
    }
)
METRES = _table(
    {
        "m": 1.0,
        "km": 1000.0,
        "cm": 0.01,
        "mm": 0.001,
        "mi": 1609.344,
        "yd": 0.9144,
        "ft": 0.3048,
        "in": 0.0254,
    }
)
SPEED = _table(
    {
        "m/s": 1.0,
        "km/h": 1 / 3.6,
        "km/hr": 1 / 3.6,
        "kmph": 1 / 3.6,
        "mph": 0.44704,
        "mi/h": 0.44704,
        "mi/hr": 0.44704,
    }
)
KILOGRAMS = _table(
    {"kg": 1.0, "g": 0.001, "lb": 0.45359237, "oz": 0.028349523125, "st": 6.35029318}
)
GRAMS = _table({"g": 1.0, "mg": 0.001, "mcg": 0.000001, "kg": 1000.0, "oz": 28.349523})
MILLIGRAMS = _table({"mg": 1.0, "g": 1000.0, "mcg": 0.001})
MILLILITRES = _table(
    {"ml": 1.0, "l": 1000.0, "fl_oz_us": 29.5735296, "fl_oz": 29.5735296}
)
CELSIUS = Dimension(
    scales={
        "degc": 1.0,
        "\u00b0c": 1.0,
        "degf": 5 / 9,
        "\u00b0f": 5 / 9,
        "k": 1.0,
    },
    shifts={"degf": -160 / 9, "\u00b0f": -160 / 9, "k": -273.15},
)
GLUCOSE = _table({"mg/dl": 1.0, "mmol/l": 18.0156})
OXYGEN_UPTAKE = _same("ml/kg/min", "ml/min/kg", "ml/kgmin", "ml/minkg")
WATTS = _table({"w": 1.0, "kw": 1000.0})
METABOLIC = _same("met", "mets", "kcal/kg/hr", "kcal/hrkg", "kcal/kghr")

# HealthKit writes the molar mass into the unit: mmol<180.15588000005408>/L.
_MOLAR_MASS = re.compile(r"<[^>]*>")
_DOTS = re.compile(r"[()\u00b7*\u22c5]")


def convert(
    value: object, unit: object, *, metric: Metric, dimension: Dimension
) -> float | Refusal:
    """Return a value in the metric's unit, or why there is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return Refusal.NO_NUMBER
    scale_shift = _scale_shift(unit, dimension)
    if isinstance(scale_shift, Refusal):
        return scale_shift
    scale, shift = scale_shift
    try:
        number = float(value)
    except OverflowError:
        return Refusal.IMPLAUSIBLE
    if dimension.is_fraction and 0 <= number <= 1:
        scale = 100.0
    converted = plausible(metric, round(number * scale + shift, 9) + 0.0)
    return Refusal.IMPLAUSIBLE if converted is None else converted


def _scale_shift(unit: object, dimension: Dimension) -> tuple[float, float] | Refusal:
    if unit is None or unit == "":
        return (1.0, 0.0) if dimension.may_lack_unit else Refusal.NO_UNIT
    if not isinstance(unit, str):
        return Refusal.UNKNOWN_UNIT
    for spelling in _spellings(unit):
        scale = dimension.scales.get(spelling)
        if scale is not None:
            return scale, dimension.shifts.get(spelling, 0.0)
    return Refusal.UNKNOWN_UNIT


@lru_cache(maxsize=256)
def _spellings(unit: str) -> tuple[str, str]:
    """Return a unit without brackets and dots: as written (Cal is no cal) and lower."""
    plain = _DOTS.sub("", _MOLAR_MASS.sub("", unit)).strip()
    return plain, plain.lower()
