"""Why an alert was raised: the figures as stored with it, and the rules that spoke."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from biometrics.admin.hrv_chart import between
from biometrics.admin.shown import NOTHING
from biometrics.alerts.explaining import Spoke, spoke
from biometrics.models import HrvAlert

_NONE = NOTHING
_UNITS = {
    "RHR": ("Resting heart rate", "bpm", 0),
    "RR": ("Breathing rate", "per minute", 1),
    "TEMP": ("Skin temperature", "°C", 1),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Corroborator:
    """Another signal that changed with the night's HRV."""

    name: str
    value: str
    usual: str
    delta: str
    z: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What the alert's page shows as tables."""

    figures: Sequence[tuple[str, str]]
    corroborators: Sequence[Corroborator]
    rules: Sequence[Spoke]


def evidence_of(alert: HrvAlert) -> Evidence:
    """Return the evidence stored with the alert, ready to be read."""
    said = alert.evidence
    return Evidence(
        figures=_figures(alert, said),
        corroborators=[_corroborator(item) for item in said.get("corroborators", [])],
        rules=spoke(alert, state=said.get("state")),
    )


def _figures(alert: HrvAlert, said: Mapping[str, Any]) -> list[tuple[str, str]]:
    method = alert.series_id.partition(":")[0]
    band = said.get("range_ms")
    lowest = said.get("limit_ms")
    return [
        (f"HRV of the night ({method})", _number(said.get("value_ms"), 1, " ms")),
        ("Own usual range", between(tuple(band) if band else None) or "not known yet"),
        ("Own baseline", _number(said.get("baseline_ms"), 1, " ms")),
        ("z1: this night, in own SD", _number(said.get("z1"), 2)),
        ("z7: last seven nights, in own SD", _number(said.get("z7"), 2)),
        ("Variation of the last seven nights", _number(said.get("cv7"), 1, " %")),
        ("Nights used for the baseline", str(said.get("nights", _NONE))),
        ("Baseline", str(said.get("state", _NONE))),
        ("Low nights in a row", str(said.get("low_nights", _NONE))),
        ("Fixed limit that spoke", _number(lowest, 0, " ms") if lowest else "none"),
        ("Threshold offset of the person", _number(said.get("threshold_offset"), 2)),
        ("Series", alert.series_id),
        ("Ruleset", alert.ruleset),
    ]


def _corroborator(item: Mapping[str, Any]) -> Corroborator:
    name, unit, digits = _UNITS.get(item["signal"], (item["signal"], "", 1))
    return Corroborator(
        name=name,
        value=_number(item.get("value"), digits, f" {unit}"),
        usual=_number(item.get("usual"), digits, f" {unit}"),
        delta=_number(item.get("delta"), digits, f" {unit}", sign="+"),
        z=_number(item.get("z"), 2, sign="+"),
    )


def _number(value: Any, digits: int, unit: str = "", *, sign: str = "") -> str:
    if value is None:
        return _NONE
    # z: a rounded nothing is 0.0, not -0.0.
    return f"{value:{sign}z.{digits}f}{unit}"
