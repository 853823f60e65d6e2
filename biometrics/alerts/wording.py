"""What people read: plain sentences, the evidence first, the limits always.

The bridge is not a medical device. No sentence here names a disease, a treatment or a
risk, and every message ends with the disclaimer.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from biometrics.alerts.baseline import Corroboration, Signal
from biometrics.alerts.emission import AlertEvent, EventKind
from biometrics.alerts.rules import Verdict
from biometrics.alerts.ruleset import Severity

DISCLAIMER: Final = "Wellness information, not a diagnosis."
LIMITS_OF_USE: Final = (
    "Wellness decision support for staff. Not a medical device: no diagnosis, no"
    " treatment advice, never the only safeguard."
)
COMMON_REASONS: Final = (
    "Common reasons: hard training, alcohol, poor sleep, travel, vaccination, starting"
    " illness."
)

_LABELS: Final[Mapping[Severity, str]] = MappingProxyType(
    {
        "CRITICAL": "Marked change from own baseline",
        "HIGH": "Clear change from own baseline",
        "MEDIUM": "Small change from own baseline",
        "NORMAL": "No alert",
    }
)
_ADVICE: Final[Mapping[Severity, str]] = MappingProxyType(
    {
        "CRITICAL": "Check in with the person.",
        "HIGH": "Check in with the person.",
        "MEDIUM": "Watch the next nights.",
        "NORMAL": "",
    }
)
_OPENINGS: Final[Mapping[EventKind, str]] = MappingProxyType(
    {
        "RAISED": "",
        "UPGRADED": "Judged again: this night stands out more than first seen.",
        "DOWNGRADED": "Judged again: this night stands out less than first seen.",
        "RETRACTED": "Judged again: the earlier alert does not hold.",
        "RESOLVED": "Back to usual: the last nights were ordinary.",
    }
)
_SIGNALS: Final[Mapping[Signal, tuple[str, int, str]]] = MappingProxyType(
    {
        "RHR": ("resting heart rate", 0, " bpm"),
        "RR": ("breathing rate", 1, " per minute"),
        "TEMP": ("skin temperature", 1, " °C"),
    }
)
_ORDINALS: Final = ("second", "third", "fourth", "fifth", "sixth", "seventh")


def label(*, verdict: Verdict) -> str:
    """Return the few words that stand for the verdict in a list or a subject line."""
    if verdict.limit_ms is not None and not (verdict.low_nights or verdict.low_week):
        return "Low value by a fixed limit"
    return _LABELS[verdict.severity]


def evidence(*, verdict: Verdict) -> str:
    """Return one sentence: the night's value, what is usual, and what goes with it."""
    if verdict.value_ms is None:
        return "There is no usable HRV value for this night."
    parts = [f"HRV was {verdict.value_ms:.0f} ms", _usual(verdict)]
    if verdict.limit_ms is not None:
        parts.append(f"below the fixed limit of {verdict.limit_ms:g} ms")
    if verdict.low_nights > 1:
        parts.append(f"{_ORDINALS[min(verdict.low_nights, 7) - 2]} low night")
    if verdict.low_week:
        parts.append("low on average over the last nights")
    parts += [_rise(item) for item in verdict.corroborators]
    return ", ".join(parts) + "."


def describe(*, verdict: Verdict) -> str:
    """Return the whole text for a verdict, disclaimer included."""
    sentences = [evidence(verdict=verdict)]
    if verdict.severity != "NORMAL":
        if verdict.limit_ms is not None:
            sentences.append("Such values are usual for many healthy people.")
        sentences += [COMMON_REASONS, _ADVICE[verdict.severity]]
    return " ".join([*sentences, DISCLAIMER])


def announce(*, event: AlertEvent) -> str:
    """Return the whole text of an alert message, disclaimer included."""
    opening = _OPENINGS[event.kind]
    text = describe(verdict=event.verdict)
    return f"{opening} {text}" if opening else text


def _usual(verdict: Verdict) -> str:
    if verdict.range_ms is None:
        nights = "1 night" if verdict.n == 1 else f"{verdict.n} nights"
        return f"own usual not known yet ({nights} so far)"
    low, high = verdict.range_ms
    usual = f"own usual {low:.0f}-{high:.0f} ms"
    if verdict.state == "ACTIVE":
        return usual
    return f"{usual} (estimate from {verdict.n} nights)"


def _rise(item: Corroboration) -> str:
    name, digits, unit = _SIGNALS[item.signal]
    return f"{name} {item.delta:+.{digits}f}{unit}"
