"""Giving a vendor account to another person; consumers are told, the past stays."""

from __future__ import annotations

from datetime import datetime
from uuid import uuid4

from django.db import transaction

from biometrics import audit, nudges, outbox
from biometrics.connections.registry import LinkError, lock_subjects
from biometrics.models import Subject, VendorConnection
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
        told = connection_message(
            change="relinked",
            change_id=uuid4(),
            subject=subject.id,
            vendor=connection.vendor,
            topic=get_adapter(connection.vendor).topic,
            reason="staff linked the account to another person",
            time=now,
            former_subject=former,
        )
        shards = outbox.append(messages=[told], now=now)
        audit.note(
            actor=actor,
            verb="connection.relink",
            target=f"connection {connection.id}",
            reason=reason,
            now=now,
            detail={"from": str(former), "to": str(subject.id)},
        )
        transaction.on_commit(lambda: nudges.nudge_publishing(shards))
    return connection
