"""Linking accounts and people: by consent, or by staff.

Consumers are told; the past stays with whom it was.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Literal
from uuid import uuid4

from django.db import transaction

from biometrics import audit, nudges, outbox
from biometrics.connections import changes, invitations, tokens
from biometrics.connections.changes import Applied
from biometrics.connections.consent import Consent
from biometrics.connections.grants import NewTokens
from biometrics.connections.registry import LinkError, release_linked
from biometrics.models import Subject, VendorConnection
from biometrics.models.people import ConnectionStatus, lock_subjects
from biometrics.publishing.envelope import connection_message
from biometrics.vendors.registry import get_adapter


def relink(
    *, connection_id: int, subject: Subject, actor: str, reason: str, now: datetime
) -> VendorConnection:
    """Link a connection to another person: what comes from now on is theirs.

    What came before stays with the person who had it. Raises LinkError when nothing
    would change, ReasonMissingError.
    """
    with transaction.atomic():
        rows = VendorConnection.objects.select_for_update(no_key=True)
        connection = rows.get(id=connection_id)
        former = connection.subject_id
        if former == subject.id:
            message = f"The account belongs to {subject.label!r} already."
            raise LinkError(message)
        lock_subjects([former, subject.id])
        connection.subject = subject
        connection.save(update_fields=["subject", "updated_at"])
        applied = Applied(
            change="relinked",
            subject=subject.id,
            reason="staff linked the account to another person",
            former_subject=former,
        )
        _tell(applied, vendor=connection.vendor, now=now)
        audit.note(
            actor=actor,
            verb="connection.relink",
            target=f"connection {connection.id}",
            reason=reason,
            now=now,
            detail={"from": str(former), "to": str(subject.id)},
        )
    return connection


@contextmanager
def telling(
    *, vendor: str, account_id: str, reason: str, now: datetime
) -> Iterator[None]:
    """Have consumers learn when what staff do inside begins or ends a connection.

    `reason` is published: nothing that staff typed. Everything is stored, or nothing.
    """
    account = VendorConnection.objects.filter(vendor=vendor, account_id=account_id)
    with transaction.atomic():
        rows = account.select_for_update(no_key=True)
        before = rows.values_list("status", flat=True).first()
        yield
        connection = rows.first()
        if connection is None or connection.status == before:
            return
        if connection.status == ConnectionStatus.ACTIVE:
            _announce(connection, "connected", reason=reason, now=now)
        elif connection.status == ConnectionStatus.REVOKED:
            _announce(connection, "revoked", reason=reason, now=now)
    if connection.status == ConnectionStatus.ACTIVE:
        # What came to wait meanwhile did not see the connection yet.
        nudges.nudge_processing(release_linked(accounts=[(vendor, account_id)]))


def store_consent(consent: Consent, *, now: datetime) -> VendorConnection:
    """Keep the grant of a person who consented; consumers learn of a new connection.

    The history of the account becomes due.

    Raises LinkError when the account is another person's: staff link it, not a browser;
    ConsentError when the link was used before.
    """
    vendor, account = consent.invitation.vendor, consent.account_id
    with transaction.atomic():
        subject = Subject.objects.filter(id=consent.invitation.subject).first()
        if subject is None:
            raise LinkError("The person whom this link was made for is gone.")
        invitations.use(consent.invitation, now=now)
        rows = VendorConnection.objects.select_for_update(no_key=True)
        known = rows.filter(vendor=vendor, account_id=account).first()
        if known is not None and known.subject_id != subject.id:
            raise LinkError("This account is connected to another person already.")
        was_active = known is not None and known.status == ConnectionStatus.ACTIVE
        lock_subjects([subject.id])
        connection = known or VendorConnection(
            vendor=vendor, account_id=account, subject=subject
        )
        connection.status, connection.status_reason = ConnectionStatus.ACTIVE, ""
        connection.status_at = now
        connection.scopes = consent.scopes[:500]
        if consent.reference:
            connection.reference = consent.reference[:200]
        if consent.new is not None:
            _keep(consent.new, connection)
        if get_adapter(vendor).listed_types:
            connection.backfill_due_at, connection.backfill_left = now, []
        connection.save()
        audit.note(
            actor="the person",
            verb="connection.consent",
            target=f"connection {connection.id}",
            reason="consented at the vendor through a connect link",
            now=now,
            detail={"vendor": vendor, "scopes": connection.scopes},
        )
        if not was_active:
            reason = "the person consented at the vendor"
            _announce(connection, "connected", reason=reason, now=now)
    nudges.nudge_processing(release_linked(accounts=[(vendor, account)]))
    return connection


def _keep(new: NewTokens, connection: VendorConnection) -> None:
    connection.access_token = tokens.encrypt(new.access_token)
    refresh = new.refresh_token
    connection.refresh_token = tokens.encrypt(refresh) if refresh else None
    connection.token_expires_at = new.expires_at
    connection.refresh_claim = connection.refresh_claimed_until = None


def _announce(
    connection: VendorConnection,
    change: Literal["connected", "revoked"],
    *,
    reason: str,
    now: datetime,
) -> None:
    lock_subjects([connection.subject_id])
    applied = Applied(change=change, subject=connection.subject_id, reason=reason)
    _tell(applied, vendor=connection.vendor, now=now)


def _tell(applied: Applied, *, vendor: str, now: datetime) -> None:
    """Have consumers learn of a change, the person's row locked."""
    told = connection_message(
        change=applied.change,
        change_id=uuid4(),
        subject=applied.subject,
        vendor=vendor,
        topic=get_adapter(vendor).topic,
        reason=applied.reason,
        time=now,
        former_subject=applied.former_subject,
    )
    changes.note(applied, change_id=told.ce_id, vendor=vendor, now=now)
    shards = outbox.append(messages=[told], now=now)
    transaction.on_commit(lambda: nudges.nudge_publishing(shards))
