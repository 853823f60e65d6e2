"""A verdict as JSON: what is stored beside an alert and sent with it."""

from __future__ import annotations

from typing import TypeAlias

from biometrics.alerts.rules import Verdict

Json: TypeAlias = "str | int | float | bool | list[Json] | dict[str, Json] | None"

# Enough to recompute a decision at its threshold, short enough to read.
_DIGITS = 6


def verdict_json(*, verdict: Verdict) -> dict[str, Json]:
    """Return everything that led to the verdict, in JSON types, keys for good."""
    return {
        "night": verdict.night.isoformat(),
        "kind": verdict.kind,
        "state": verdict.state,
        "severity": verdict.severity,
        "reasons": list(verdict.reasons),
        "value_ms": _rounded(verdict.value_ms),
        "baseline_ms": _rounded(verdict.baseline_ms),
        "range_ms": _range(verdict.range_ms),
        "z1": _rounded(verdict.z1),
        "z7": _rounded(verdict.z7),
        "cv7": _rounded(verdict.cv7),
        "nights": verdict.n,
        "low_nights": verdict.low_nights,
        "limit_ms": _rounded(verdict.limit_ms),
        "corroborators": [
            {
                "signal": item.signal,
                "value": _rounded(item.value),
                "usual": _rounded(item.usual),
                "delta": _rounded(item.delta),
                "z": _rounded(item.z),
            }
            for item in verdict.corroborators
        ],
        "threshold_offset": _rounded(verdict.threshold_offset),
        "ruleset": verdict.ruleset,
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, _DIGITS)


def _range(band: tuple[float, float] | None) -> list[Json] | None:
    return None if band is None else [_rounded(edge) for edge in band]
