"""One thing that must hold before a production bridge takes anybody's data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


class UnknowableError(Exception):
    """It could not be found out now, for instance because a service is away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Safeguard:
    """`wrong()` says what is wrong and names the setting; None when nothing is.

    `id` is stable: staff accept a risk by it (AUREN_ACCEPTED_RISKS). `fix` says what to
    do. `wrong` raises UnknowableError where only a service that is away could tell.
    """

    id: str
    promise: str
    wrong: Callable[[], str | None]
    fix: str
