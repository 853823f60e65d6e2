"""Forgetting a person: everything that names or measures them, and a word to consumers.

What stays is a keyed digest for each vendor account, so that nothing creates the person
again, the bare rows of their deliveries, so that the ledger still adds up, and who did
what and when in the audit, under the person's opaque id.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import CharField, F, Q, QuerySet, Value
from django.db.models.functions import Cast, Concat

from biometrics import audit, nudges, outbox
from biometrics.connections.registry import account_digest
from biometrics.models import (
    AuditEntry,
    BiometricEvent,
    DeliveryDocument,
    ErasedAccount,
    HrvAlert,
    HrvNight,
    OutboxMessage,
    Reading,
    ReplayRun,
    StaffAlarm,
    Subject,
    VendorConnection,
    WebhookDelivery,
)
from biometrics.models.intake import DeliveryStatus
from biometrics.models.keyed import row_in
from biometrics.models.people import ConnectionStatus
from biometrics.publishing.envelope import subject_erased_message
from biometrics.vendors.registry import get_adapter

_ERASED_REASON = "Erased with the person."


@dataclass(frozen=True, slots=True, kw_only=True)
class Erased:
    """How much was forgotten."""

    connections: int
    deliveries: int
    events: int
    messages: int


def erase_subject(
    *, subject_id: UUID, actor: str, reason: str, now: datetime
) -> Erased:
    """Forget a person and tell the topics that carried their records.

    Raises OutboxError while some of their messages are on their way: try again in
    seconds. Raises Subject.DoesNotExist, ReasonMissingError.
    """
    with transaction.atomic():
        connections = _locked(subject_id)
        withdrawn = outbox.withdraw(subject=subject_id)
        _blank_audit(subject_id, connections)
        erased = Erased(
            connections=len(connections),
            deliveries=_blank_deliveries(connections),
            events=_delete_history(subject_id),
            messages=withdrawn + _delete_messages(subject_id),
        )
        ErasedAccount.objects.bulk_create(
            [
                ErasedAccount(
                    digest=account_digest((row.vendor, row.account_id)), erased_at=now
                )
                for row in connections
            ],
            ignore_conflicts=True,
        )
        # What staff chose for a replay may name the person or an account.
        ReplayRun.objects.filter(
            Q(selection__subject=str(subject_id))
            | Q(selection__account_id__in=[row.account_id for row in connections])
        ).delete()
        for connection in connections:
            StaffAlarm.objects.filter(
                Q(key=str(connection.id)) | Q(key__startswith=f"{connection.id}/")
            ).delete()
        _delete_connections(connections)
        Subject.objects.filter(id=subject_id).delete()
        shards = outbox.append(
            messages=[
                subject_erased_message(subject=subject_id, topic=topic, time=now)
                for topic in _topics(connections)
            ],
            now=now,
        )
        audit.note(
            actor=actor,
            verb="subject.erase",
            target=f"subject {subject_id}",
            reason=reason,
            now=now,
        )
        transaction.on_commit(lambda: nudges.nudge_publishing(shards))
    return erased


def preview(*, subject_id: UUID) -> dict[str, int]:
    """Return by name how many rows an erasure would delete or empty; changes nothing."""
    accounts = list(
        VendorConnection.objects.filter(subject_id=subject_id).values_list(
            "vendor", "account_id"
        )
    )
    mine = {"subject_id": subject_id}
    return {
        "Connections, with their tokens": len(accounts),
        "Deliveries, emptied": _deliveries_of(accounts).count(),
        "Events": BiometricEvent.objects.filter(**mine).count(),
        "Readings": Reading.objects.filter(**mine).count(),
        "HRV nights": HrvNight.objects.filter(**mine).count(),
        "Alerts": HrvAlert.objects.filter(**mine).count(),
        "Messages": OutboxMessage.objects.filter(subject=subject_id).count(),
    }


def _deliveries_of(accounts: Sequence[tuple[str, str]]) -> QuerySet[WebhookDelivery]:
    if not accounts:
        return WebhookDelivery.objects.none()
    return WebhookDelivery.objects.filter(
        row_in(columns=("vendor", "account_id"), keys=accounts)
    )


def _locked(subject_id: UUID) -> list[VendorConnection]:
    """Lock the person's connections, then the person."""
    rows = VendorConnection.objects.filter(subject_id=subject_id).order_by("id")
    connections = list(rows.select_for_update())
    Subject.objects.select_for_update().get(id=subject_id)
    return connections


def _topics(connections: Sequence[VendorConnection]) -> list[str]:
    topics = {get_adapter(row.vendor).topic for row in connections}
    return [*sorted(topics), settings.KAFKA_ALERT_TOPIC]


def _blank_deliveries(connections: Sequence[VendorConnection]) -> int:
    mine = _deliveries_of([(row.vendor, row.account_id) for row in connections])
    ids = list(mine.values_list("id", flat=True))
    DeliveryDocument.objects.filter(delivery_id__in=ids).delete()
    return WebhookDelivery.objects.filter(id__in=ids).update(
        status=DeliveryStatus.ERASED,
        account_id="",
        reference="",
        trace="",
        # It holds the account; what takes its place is as unique.
        dedupe_key=Concat(Value("erased:"), Cast(F("id"), CharField())),
        body=None,
        headers={},
        error_code="erased",
        error="",
        next_attempt_at=None,
    )


def _blank_audit(subject_id: UUID, connections: Sequence[VendorConnection]) -> None:
    """Keep of what was done with this person's data who did what and when, not why.

    Reasons are free text, and what staff found may be said in one.
    """
    alerts = HrvAlert.objects.filter(subject_id=subject_id)
    seen = alerts.values_list("acknowledged_at", flat=True)
    mine = _deliveries_of([(row.vendor, row.account_id) for row in connections])
    revealed = AuditEntry.objects.filter(verb="values.reveal")
    keys = {str(key) for key in mine.values_list("public_id", flat=True)}
    named = Q(target__in=[f"subject {subject_id}", f"person {subject_id}"])
    named |= Q(
        target__in=[str(subject_id), *(f"connection {c.id}" for c in connections)]
    )
    named |= Q(target__in=keys & set(revealed.values_list("target", flat=True)))
    named |= Q(verb="alert.acknowledge", at__in=[at for at in seen if at is not None])
    AuditEntry.objects.filter(named).update(reason=_ERASED_REASON, detail={})


def _delete_connections(connections: Sequence[VendorConnection]) -> None:
    """Delete the connections; one that was another person's before becomes theirs.

    That person's records hang on it. It no longer names the account, so nothing comes.
    """
    for connection in connections:
        former = (
            BiometricEvent.objects.filter(connection_id=connection.id)
            .exclude(subject_id=connection.subject_id)
            .order_by("-created_at")
            .values_list("subject_id", flat=True)
            .first()
        )
        mine = VendorConnection.objects.filter(id=connection.id)
        if former is None:
            mine.delete()
        else:
            connection.sessions.all().delete()
            mine.update(
                subject_id=former,
                account_id=f"erased:{connection.id}",
                reference="",
                status=ConnectionStatus.REVOKED,
                status_reason="The person to whom it was linked last was erased.",
                access_token=None,
                refresh_token=None,
                personal_token_sha256=None,
            )


def _delete_history(subject_id: UUID) -> int:
    HrvAlert.objects.filter(subject_id=subject_id).delete()
    HrvNight.objects.filter(subject_id=subject_id).delete()
    Reading.objects.filter(subject_id=subject_id).delete()
    events = BiometricEvent.objects.filter(subject_id=subject_id)
    count = events.count()
    events.delete()
    return count


def _delete_messages(subject_id: UUID) -> int:
    return OutboxMessage.objects.filter(subject=subject_id).delete()[0]
