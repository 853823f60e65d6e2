"""Which revision of a vendor record stands: the guard against stale overwrites."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TypeAlias
from uuid import UUID

from biometrics.models import BiometricEvent, VendorConnection, WebhookDelivery
from biometrics.models.events import EventStatus
from biometrics.models.keyed import row_in
from biometrics.normalise.content import Statement, event_id
from biometrics.vendors.base import VendorAdapter

Key: TypeAlias = tuple[int, str, str]


class Outcome(StrEnum):
    """What a statement does to what was known.

    `seen`: this very revision was stored before; `unchanged`: it repeats what stands;
    `stale`: a newer revision stands. None of them changes or publishes anything.
    """

    NEW = "new"
    UNCHANGED = "unchanged"
    STALE = "stale"
    SEEN = "seen"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A statement with who made it: not yet compared with what is known."""

    statement: Statement
    delivery: WebhookDelivery
    adapter: VendorAdapter
    connection: VendorConnection

    @property
    def key(self) -> Key:
        return (self.connection.id, *self.statement.key)

    @property
    def event_id(self) -> UUID:
        return event_id(
            vendor=self.adapter.slug,
            account_id=self.connection.account_id,
            statement=self.statement,
        )


@dataclass(slots=True, kw_only=True)
class Ruling:
    """What became of a claim. `replaces` is the stored event that it supersedes.

    `stamp` orders the revision; it grows when later deliveries repeat the content.
    `stands` is False for a revision that a later claim of the same call superseded.
    """

    claim: Claim
    event_id: UUID
    outcome: Outcome
    stamp: datetime
    replaces: UUID | None = None
    stands: bool = True


@dataclass(slots=True, kw_only=True)
class Judged:
    """The rulings in the order of the claims, and newer stamps for standing events."""

    rulings: list[Ruling] = field(default_factory=list)
    restamped: dict[UUID, datetime] = field(default_factory=dict)

    @property
    def new(self) -> list[Ruling]:
        return [r for r in self.rulings if r.outcome is Outcome.NEW]

    @property
    def replaced(self) -> dict[Key, UUID]:
        """The stored event that no longer stands, by the key of its record."""
        return {r.claim.key: r.replaces for r in self.rulings if r.replaces is not None}

    @property
    def superseded(self) -> list[UUID]:
        """The stored events that no longer stand."""
        return [r.replaces for r in self.rulings if r.replaces is not None]


@dataclass(slots=True, kw_only=True)
class _Head:
    """The revision that stands: a stored event, or a ruling of this call."""

    event_id: UUID
    stamp: datetime
    digest: str
    ruling: Ruling | None = None


def compare(claims: Sequence[Claim]) -> Judged:
    """Rule on every claim, in their order, against the stored events and each other.

    Reads two queries' worth of rows and writes nothing. The callers of a write hold the
    lock of the subjects, so that what was read still stands when it is written.
    """
    heads = _standing({claim.key for claim in claims})
    ids = [claim.event_id for claim in claims]
    known = set(BiometricEvent.objects.filter(id__in=ids).values_list("id", flat=True))
    judged = Judged()
    for claim, new_id in zip(claims, ids, strict=True):
        ruling = _rule(claim, new_id, heads=heads, known=known, judged=judged)
        judged.rulings.append(ruling)
        if ruling.outcome in {Outcome.NEW, Outcome.STALE}:
            known.add(new_id)
    return judged


def _rule(
    claim: Claim,
    new_id: UUID,
    *,
    heads: dict[Key, _Head],
    known: set[UUID],
    judged: Judged,
) -> Ruling:
    stamp, digest = claim.statement.record.stamp, claim.statement.digest
    ruling = Ruling(claim=claim, event_id=new_id, outcome=Outcome.NEW, stamp=stamp)
    head = heads.get(claim.key)
    if head is not None and head.digest == digest:
        ruling.outcome = Outcome.UNCHANGED
        if stamp > head.stamp:
            _restamp(head, stamp, judged=judged)
    elif new_id in known:
        ruling.outcome = Outcome.SEEN
    elif head is not None and stamp < head.stamp:
        ruling.outcome = Outcome.STALE
    else:
        _replace(head, ruling)
        heads[claim.key] = _Head(
            event_id=new_id, stamp=stamp, digest=digest, ruling=ruling
        )
    return ruling


def _restamp(head: _Head, stamp: datetime, *, judged: Judged) -> None:
    """Remember that the standing content was confirmed: what is older is now stale."""
    head.stamp = stamp
    if head.ruling is None:
        judged.restamped[head.event_id] = stamp
    else:
        head.ruling.stamp = stamp


def _replace(head: _Head | None, ruling: Ruling) -> None:
    if head is None:
        return
    if head.ruling is None:
        ruling.replaces = head.event_id
    else:
        head.ruling.stands = False


def _standing(keys: Iterable[Key]) -> dict[Key, _Head]:
    wanted = list(keys)
    if not wanted:
        return {}
    columns = ("connection_id", "record_type", "record_id")
    rows = BiometricEvent.objects.filter(
        row_in(columns=columns, keys=wanted), status=EventStatus.CURRENT
    ).values_list(*columns, "id", "revision_stamp", "content_sha256")
    return {
        (connection, record_type, record_id): _Head(
            event_id=known, stamp=stamp, digest=digest
        )
        for connection, record_type, record_id, known, stamp, digest in rows
    }
