"""Circuits in words, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from resilience.states import Action, Mode, State

if TYPE_CHECKING:
    from datetime import datetime

    from resilience.snapshot import Snapshot

_MINUTE, _HOUR, _DAY = 60, 3600, 86_400

CAUSES = {
    "failures": "too many failures",
    "probe_failed": "the probe failed",
    "elapsed": "the wait was over",
    "recovered": "the probes succeeded",
    "tripped": "the dependency asked for a pause",
    "restored": "an operator's mode was put back after the store was emptied",
    str(Action.FORCE_OPEN): "an operator forced it open",
    str(Action.DISABLE): "an operator switched it off",
    str(Action.OBSERVE): "an operator made it observe only",
    str(Action.AUTO): "an operator gave it back to the machine",
    str(Action.RESET): "an operator closed it",
}


def cause_of(code: str) -> str:
    """Return why a circuit changed, in words."""
    return CAUSES.get(code, code)


def sentence(snapshot: Snapshot, *, now: datetime) -> str:
    """Return what a circuit does now, why, and until when."""
    parts = [_mode_part(snapshot, now=now), _state_part(snapshot, now=now)]
    if not snapshot.store_up:
        parts.append(
            "The shared store is away: this is what this process thinks by itself."
        )
    return " ".join(part for part in parts if part)


def age(seconds: float) -> str:
    """Return a duration with one unit: 45 s, 12 min, 5 h, 3 d."""
    if seconds < 2 * _MINUTE:
        return f"{max(0, seconds):.0f} s"
    if seconds < 2 * _HOUR:
        return f"{seconds / _MINUTE:.0f} min"
    if seconds < 2 * _DAY:
        return f"{seconds / _HOUR:.0f} h"
    return f"{seconds / _DAY:.0f} d"


def next_probe(snapshot: Snapshot) -> str:
    """Return when a call may pass again, or nothing when calls pass now."""
    if snapshot.mode is Mode.FORCED_OPEN:
        return "when an operator says so"
    if snapshot.mode is Mode.DISABLED or snapshot.state is State.CLOSED:
        return ""
    return (
        f"in {snapshot.retry_after:.0f} s"
        if snapshot.retry_after
        else "with the next call"
    )


def _mode_part(snapshot: Snapshot, *, now: datetime) -> str:
    since = age((now - snapshot.mode_since).total_seconds())
    why = f" ({snapshot.mode_reason})" if snapshot.mode_reason else ""
    return {
        Mode.AUTO: "",
        Mode.FORCED_OPEN: f"Forced open for {since}{why}: every call is refused.",
        Mode.DISABLED: f"Switched off for {since}{why}: every call passes, uncounted.",
        Mode.OBSERVE: f"Only observing for {since}{why}: no call is refused.",
    }[snapshot.mode]


def _state_part(snapshot: Snapshot, *, now: datetime) -> str:
    since = age((now - snapshot.since).total_seconds())
    head = "The machine itself says: " if snapshot.mode is not Mode.AUTO else ""
    if snapshot.state is State.CLOSED:
        word = "failure" if snapshot.failures == 1 else "failures"
        counted = f", {snapshot.failures} {word} so far" if snapshot.failures else ""
        return f"{head}Closed for {since}{counted}."
    why = cause_of(snapshot.reason)
    if snapshot.state is State.OPEN:
        wait = (
            f"next probe {next_probe(snapshot)}" if snapshot.mode is Mode.AUTO else ""
        )
        return f"{head}Open for {since}: {why}{'; ' + wait if wait else ''}."
    return f"{head}Half open for {since}: one call after another is tried."
