"""Nights that come in pieces: what is stored of them and what is new, put together.

Some vendors tell a sleep and the samples in it apart, in any order and more than once.
Whichever piece comes, the nights that it can belong to are made anew of all of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import reduce
from operator import or_
from uuid import UUID

from django.db.models import Q

from biometrics.alerts.said import Gathered
from biometrics.models import BiometricEvent
from biometrics.models.events import EventStatus
from biometrics.normalise.revisions import Judged, Ruling
from biometrics.publishing.values import record_of
from biometrics.vendors.night_pieces import GatheredNight, NightPieces
from biometrics.vendors.records import Record

_SLEEP = "sleep"
_SAMPLES = "samples"
_DAY = timedelta(days=1)


def is_piece(ruling: Ruling) -> bool:
    """Say whether a statement's vendor tells nights in pieces."""
    return ruling.claim.adapter.night_pieces is not None


def gather(judged: Judged) -> dict[UUID, tuple[Gathered, ...]]:
    """Return the nights that new pieces change, by the event that speaks for each.

    That is the sleep itself when it is new, else the last new piece. Reads what is
    stored of the people's nights; call it with their subjects locked.
    """
    superseded = set(judged.superseded)
    found: dict[UUID, list[Gathered]] = {}
    for (connection_id, subject_id), hand in _hands(judged).items():
        stored, forgotten = _stored(
            hand.nights_touched(),
            connection_id=connection_id,
            subject_id=subject_id,
            pieces=hand.pieces,
            without=superseded,
        )
        record_id = f"gathered:{connection_id}"
        for event_id, night in hand.gathered(stored, record_id=record_id):
            # What retention left of it would make another night.
            if night.night not in forgotten:
                found.setdefault(event_id, []).append(night)
    return {event_id: tuple(nights) for event_id, nights in found.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Piece:
    """A new piece; `days` are the dates of it and of what it replaces."""

    event_id: UUID
    record: Record
    days: frozenset[date]

    @property
    def is_sleep(self) -> bool:
        return self.record.record_type == _SLEEP

    @property
    def nights(self) -> set[date]:
        """Return the nights that it can change."""
        return {night for day in self.days for night in _beside(day)}


@dataclass(slots=True, kw_only=True)
class _Hand:
    """The new pieces of one connection."""

    pieces: NightPieces
    new: list[_Piece] = field(default_factory=list)

    def nights_touched(self) -> set[date]:
        """Return the dates whose nights the new pieces can change."""
        return {night for piece in self.new for night in piece.nights}

    def gathered(
        self, stored: Iterable[Record], *, record_id: str
    ) -> Iterator[tuple[UUID, Gathered]]:
        """Yield what becomes of each of these nights, with the event behind it."""
        known = [*stored, *(piece.record for piece in self.new)]
        made: dict[date, list[GatheredNight]] = {}
        for night in self.pieces.nights(known):
            made.setdefault(night.signals.night, []).append(night)
        # Looked up by night: a phone's first push can hold ten years.
        touching: dict[date, list[_Piece]] = {}
        for piece in self.new:
            for day in piece.nights:
                touching.setdefault(day, []).append(piece)
        latest = _latest(known)
        for day, near in sorted(touching.items()):
            own = [piece for piece in near if day in piece.days]
            sleeps = [piece for piece in own if piece.is_sleep]
            # Samples add to what is known: only a sleep can take a night away.
            if day in made or any(piece.is_sleep for piece in near):
                cause = (sleeps or own or near)[-1]
                # Of this night's pieces alone: a newer one of another night must not
                # make what comes late to this one look old.
                stamps = [piece.record.stamp for piece in near]
                stamp = max([*stamps, latest.get(day, stamps[0])])
                yield (
                    cause.event_id,
                    Gathered(
                        night=day,
                        record_id=record_id,
                        stamp=stamp,
                        found=tuple(made.get(day, ())),
                        by_sleep=bool(sleeps),
                    ),
                )


def _hands(judged: Judged) -> dict[tuple[int, UUID], _Hand]:
    """Return the new pieces, by the connection and the person that they are of."""
    told = [
        (ruling, pieces)
        for ruling in judged.new
        if ruling.stands
        and (pieces := ruling.claim.adapter.night_pieces) is not None
        and _is_relevant(ruling.claim.statement.record, pieces)
    ]
    if not told:
        return {}
    former, replaced = _days_of(set(judged.superseded)), judged.replaced
    hands: dict[tuple[int, UUID], _Hand] = {}
    for ruling, pieces in told:
        connection = ruling.claim.connection
        hand = hands.setdefault(
            (connection.id, connection.subject_id), _Hand(pieces=pieces)
        )
        before = replaced.get(ruling.claim.key)
        days = {
            ruling.claim.statement.record.local_date,
            None if before is None else former.get(before),
        }
        hand.new.append(
            _Piece(
                event_id=ruling.event_id,
                record=ruling.claim.statement.record,
                days=frozenset(day for day in days if day is not None),
            )
        )
    return hands


def _is_relevant(record: Record, pieces: NightPieces) -> bool:
    prefixes = tuple(pieces.id_prefixes)
    return record.record_type == _SLEEP or record.record_id.startswith(prefixes)


def _latest(records: Iterable[Record]) -> dict[date, datetime]:
    """Return the latest stamp among the pieces of each night."""
    found: dict[date, datetime] = {}
    for record in records:
        for night in () if record.local_date is None else _beside(record.local_date):
            found[night] = max(record.stamp, found.get(night, record.stamp))
    return found


def _beside(day: date) -> tuple[date, date, date]:
    """Return the nights that a piece of this date can belong to.

    An evening's samples are of the next date's night, and the first half of a sleep is
    of the date before.
    """
    return day - _DAY, day, day + _DAY


def _days_of(event_ids: Iterable[UUID]) -> dict[UUID, date]:
    rows = BiometricEvent.objects.filter(
        id__in=list(event_ids), record_type=_SLEEP, local_date__isnull=False
    )
    return {
        event_id: day
        for event_id, day in rows.values_list("id", "local_date")
        if day is not None
    }


def _stored(
    days: Iterable[date],
    *,
    connection_id: int,
    subject_id: UUID,
    pieces: NightPieces,
    without: Iterable[UUID],
) -> tuple[list[Record], set[date]]:
    """Return the pieces that stand of these nights, those that are replaced left out.

    The dates are those of nights of which retention has forgotten a piece.
    """
    around = {beside for day in days for beside in _beside(day)}
    of_samples = reduce(
        or_, (Q(record_id__startswith=prefix) for prefix in pieces.id_prefixes)
    )
    rows = (
        BiometricEvent.objects.filter(
            Q(record_type=_SLEEP) | Q(record_type=_SAMPLES) & of_samples,
            # Said as the partial index says it.
            record_type__in=(_SLEEP, _SAMPLES),
            status=EventStatus.CURRENT,
            connection_id=connection_id,
            subject_id=subject_id,
            local_date__in=around,
        )
        .exclude(id__in=list(without))
        .values_list("data", "revision_stamp", "local_date")
    )
    stamped: Iterable[tuple[Mapping[str, object], datetime, date | None]] = rows
    records, forgotten = [], set[date]()
    for data, stamp, day in stamped:
        if data:
            records.append(record_of(data, stamp=stamp))
        elif day is not None:
            forgotten.update(_beside(day))
    return records, forgotten
