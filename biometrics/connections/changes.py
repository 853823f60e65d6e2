"""What deliveries say about connections themselves: connected, revoked, renamed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from biometrics.connections.provisioning import make_history_due
from biometrics.models import ToldChange, VendorConnection
from biometrics.models.people import ConnectionStatus, lock_subjects
from biometrics.vendors.records import ConnectionChange


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """A change that took place and that consumers are told of.

    For `relinked`, later events carry `subject`, earlier ones carried `former_subject`.
    """

    change: Literal["connected", "revoked", "relinked"]
    subject: UUID
    reason: str
    former_subject: UUID | None = None


def note(applied: Applied, *, change_id: UUID, vendor: str, now: datetime) -> None:
    """Store for the ledger that consumers are told of a change, in the record `change_id`.

    Call it in the transaction that stores the change.
    """
    ToldChange.objects.create(
        ce_id=change_id,
        subject=applied.subject,
        vendor=vendor,
        change=applied.change,
        at=now,
    )


def apply_all(
    changes: Sequence[ConnectionChange],
    *,
    connection: VendorConnection,
    received_at: datetime,
    is_new: bool,
) -> list[tuple[int, Applied]]:
    """Carry out what one delivery says; return what consumers are told, numbered.

    News that is not newer than what decided the status changes nothing: vendors promise
    no order, and a replay must not bring an old state back. Call it with the connection
    and its subject locked. `is_new` says that this delivery made the connection.
    """
    known = connection.status_at
    if known is not None and received_at <= known:
        return []
    applied = []
    for number, change in enumerate(changes):
        if connection.status == ConnectionStatus.REVOKED and change.change in _OF_LIVE:
            continue
        connection.status_at = received_at
        told = _apply(change, connection=connection, is_new=is_new)
        if told is not None:
            applied.append((number, told))
    return applied


def _apply(
    change: ConnectionChange, *, connection: VendorConnection, is_new: bool
) -> Applied | None:
    """Carry a change out; None when consumers need not know of it."""
    if change.change == "relinked":
        return _relink(change, connection, is_new=is_new)
    before = connection.status
    connection.status = _STATUS[change.change]
    is_active = connection.status == ConnectionStatus.ACTIVE
    connection.status_reason = "" if is_active else change.reason[:300]
    if change.reference:
        connection.reference = change.reference[:200]
    if is_active and (is_new or before != connection.status):
        make_history_due(connection)
    connection.save(
        update_fields=[
            "status",
            "status_reason",
            "status_at",
            "reference",
            "backfill_due_at",
            "backfill_left",
            "updated_at",
        ]
    )
    is_told = connection.status != ConnectionStatus.NEEDS_RECONNECT
    if not is_told or (before == connection.status and not is_new):
        return None
    return Applied(
        change="connected" if is_active else "revoked",
        subject=connection.subject_id,
        reason=change.reason,
    )


# What says nothing of a connection that has ended: it was late, or is not for us.
_OF_LIVE = frozenset({"restored", "needs_reconnect"})
# The end of an id, not of a consent: consumers are not told of it.
_RENAMED = "The vendor gave this account another id."
_STATUS: Mapping[str, ConnectionStatus] = {
    "connected": ConnectionStatus.ACTIVE,
    "restored": ConnectionStatus.ACTIVE,
    "revoked": ConnectionStatus.REVOKED,
    "needs_reconnect": ConnectionStatus.NEEDS_RECONNECT,
}


def _relink(
    change: ConnectionChange, connection: VendorConnection, *, is_new: bool
) -> Applied | None:
    """Carry a person's data over to the account id that the vendor gives it from now on.

    The connection takes the new id, so that its records stay comparable; what still
    comes under the old id finds the same person through a revoked row. Where data came
    under the new id first, that account is linked to the person who was there before.
    A connection that had ended, or that nobody knew, is connected by it.
    """
    old_id, new_id = connection.account_id, change.new_account_id
    if not new_id or new_id == old_id:
        return None
    rows = VendorConnection.objects.select_for_update(no_key=True)
    newer = rows.filter(vendor=connection.vendor, account_id=new_id).first()
    if newer is None:
        before = connection.status
        connection.account_id = new_id
        connection.status, connection.status_reason = ConnectionStatus.ACTIVE, ""
        if before != ConnectionStatus.ACTIVE:
            make_history_due(connection)
        connection.save()
        VendorConnection.objects.create(
            subject_id=connection.subject_id,
            vendor=connection.vendor,
            account_id=old_id,
            reference=connection.reference,
            status=ConnectionStatus.REVOKED,
            status_reason=_RENAMED,
        )
        if before != ConnectionStatus.REVOKED and not is_new:
            return None
        return Applied(
            change="connected", subject=connection.subject_id, reason=change.reason
        )
    return _merge(change, older=connection, newer=newer)


def _merge(
    change: ConnectionChange, *, older: VendorConnection, newer: VendorConnection
) -> Applied | None:
    former = newer.subject_id
    was_ended = _has_ended(older) or _has_ended(newer)
    older.status = ConnectionStatus.REVOKED
    older.status_reason = _RENAMED
    older.save()
    is_revived = _revive(newer, since=older.status_at)
    if former == older.subject_id:
        if not (was_ended and is_revived):
            return None
        # The last that consumers heard of this person was an end.
        return Applied(change="connected", subject=former, reason=change.reason)
    lock_subjects([former])
    newer.subject_id = older.subject_id
    newer.save()
    return Applied(
        change="relinked",
        subject=newer.subject_id,
        reason=change.reason,
        former_subject=former,
    )


def _has_ended(connection: VendorConnection) -> bool:
    """Say whether consumers were told of its end."""
    is_renamed = connection.status_reason == _RENAMED
    return connection.status == ConnectionStatus.REVOKED and not is_renamed


def _revive(connection: VendorConnection, *, since: datetime | None) -> bool:
    """Have an account that the vendor uses from now on asked again; say whether it was.

    What it said of its own end after that moment stands.
    """
    decided = connection.status_at
    is_newer = decided is not None and since is not None and decided >= since
    if connection.status == ConnectionStatus.ACTIVE or is_newer:
        return False
    connection.status, connection.status_reason = ConnectionStatus.ACTIVE, ""
    connection.status_at = since
    make_history_due(connection)
    connection.save()
    return True
