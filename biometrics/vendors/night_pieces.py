"""Nights of vendors whose sleeps and samples come apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from biometrics.vendors.records import NightSignals, Record


@dataclass(frozen=True, slots=True, kw_only=True)
class GatheredNight:
    """A night made of several records; `ended` is the end of the sleep, aware.

    `zone_offset` is the sleep's own, as in a record: without one `ended` is wall time.
    """

    signals: NightSignals
    sleep_s: float
    ended: datetime
    zone_offset: str | None


class NightPieces(Protocol):
    """How a vendor's sleeps and samples, which come apart, make nights together.

    The pieces are records of type `sleep` and those whose ids begin with one of
    `id_prefixes`.
    """

    id_prefixes: Sequence[str]

    def nights(self, pieces: Sequence[Record]) -> Sequence[GatheredNight]:
        """Return the nights that the pieces make, one for each series and date.

        Depends on what the pieces say, not on how many records say it or when they
        came; of two values of one moment the one with the later stamp counts. Only what
        is in a record's published value is used.
        """
        ...
