"""Running the safeguards: for Django's checks, for a starting process, for staff."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register
from django.core.exceptions import ImproperlyConfigured

from auren import forks
from auren.safety.configured import CONFIGURED
from auren.safety.running import RUNNING
from auren.safety.safeguard import Safeguard, UnknowableError

logger = logging.getLogger(__name__)


class Outcome(StrEnum):
    """How a safeguard was found."""

    WELL = "well"
    WRONG = "wrong"
    ACCEPTED = "accepted"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What was found about one safeguard; `said` is empty when all is well."""

    safeguard: Safeguard
    outcome: Outcome
    said: str = ""


def examine(safeguards: Iterable[Safeguard]) -> list[Verdict]:
    """Look at each safeguard once, in order."""
    return [_verdict(safeguard) for safeguard in safeguards]


def examine_all() -> list[Verdict]:
    """Look at settings and services alike."""
    return examine((*CONFIGURED, *RUNNING))


def _verdict(safeguard: Safeguard) -> Verdict:
    try:
        said = safeguard.wrong()
    except UnknowableError as error:
        return Verdict(safeguard=safeguard, outcome=Outcome.UNKNOWN, said=str(error))
    if said is None:
        return Verdict(safeguard=safeguard, outcome=Outcome.WELL)
    accepted = safeguard.id in settings.AUREN_ACCEPTED_RISKS
    outcome = Outcome.ACCEPTED if accepted else Outcome.WRONG
    return Verdict(safeguard=safeguard, outcome=outcome, said=said)


@register("auren")
def check_configured(**_: Any) -> list[CheckMessage]:
    """Every command of a production bridge stops at an unsafe setting."""
    if settings.AUREN_MODE != "production":
        return []
    found: list[CheckMessage] = [
        Error(verdict.said, hint=verdict.safeguard.fix, id=verdict.safeguard.id)
        for verdict in examine(CONFIGURED)
        if verdict.outcome is Outcome.WRONG
    ]
    return found + _unknown_risks()


def _unknown_risks() -> list[CheckMessage]:
    known = {safeguard.id for safeguard in (*CONFIGURED, *RUNNING)}
    return [
        Error(
            f"AUREN_ACCEPTED_RISKS names {risk!r}, which is no safeguard.",
            hint="manage.py doctor prints the ids.",
            id="auren.E000",
        )
        for risk in settings.AUREN_ACCEPTED_RISKS
        if risk not in known
    ]


def refuse_unsafe() -> None:
    """Let a production process go on only when nothing is known to be wrong.

    Raises ImproperlyConfigured with one line for each wrong thing. A service that is
    away is logged and stops nobody: intake must start while Kafka is down.
    """
    if settings.AUREN_MODE != "production":
        return
    try:
        verdicts = examine_all()
    finally:
        # A forked child must not share what was opened here.
        forks.close_before_fork()
    wrong = [f"{error.id}: {error.msg} {error.hint}" for error in _unknown_risks()]
    for verdict in verdicts:
        safeguard = verdict.safeguard
        if verdict.outcome is Outcome.WRONG:
            wrong.append(f"{safeguard.id}: {verdict.said} {safeguard.fix}")
        elif verdict.outcome is not Outcome.WELL:
            logger.warning(
                "start.%s",
                verdict.outcome.value,
                extra={"check": safeguard.id, "detail": verdict.said},
            )
    if wrong:
        raise ImproperlyConfigured("\n".join(["This would not be safe:", *wrong]))
