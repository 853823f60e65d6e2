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
from django.db.models import CharField, F, Q, Value
from django.db.models.functions import Cast, Concat

from biometrics import audit, forgetting, nudges, outbox
from biometrics.connections.registry import account_digest
from biometrics.models import (
    BiometricEvent,
    DeliveryDocument,
    ErasedAccount,
    HrvAlert,
    HrvNight,
    OutboxMessage,
    Reading,
    StaffAlarm,
    Subject,
    ToldChange,
    VendorConnection,
    WebhookDelivery,
)
from biometrics.models.intake import DeliveryStatus
from biometrics.models.people import ConnectionStatus
from biometrics.publishing.envelope import subject_erased_message
from biometrics.vendors.registry import get_adapter


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
        subject, connections = _locked(subject_id)
        topics = _topics(subject_id, connections)
        withdrawn = outbox.withdraw(subject=subject_id)
        deliveries = forgetting.deliveries_about(subject, connections)
        _blank_traces(subject, connections, {str(key) for key in deliveries.values()})
        erased = Erased(
            connections=len(connections),
            deliveries=_blank_deliveries(list(deliveries)),
            events=_delete_history(subject_id),
            messages=withdrawn + _delete_messages(subject_id),
        )
        _keep_digests(connections, now=now)
        _delete_alarms(connections)
        _delete_connections(connections)
        Subject.objects.filter(id=subject_id).delete()
        shards = outbox.append(
            messages=[
                subject_erased_message(subject=subject_id, topic=topic, time=now)
                for topic in topics
            ],
            now=now,
        )
        audit.note(
            actor=actor,
            verb="subject.erase",
            target=audit.of_subject(subject_id),
            reason=reason,
            now=now,
        )
        transaction.on_commit(lambda: nudges.nudge_publishing(shards))
    return erased


def preview(*, subject_id: UUID) -> dict[str, int]:
    """Return by name how many rows an erasure would delete or empty; changes nothing."""
    subject = Subject.objects.get(id=subject_id)
    connections = list(subject.connections.order_by("id"))
    about = forgetting.deliveries_about(subject, connections)
    mine = {"subject_id": subject_id}
    return {
        "Connections, with their tokens": len(connections),
        "Deliveries, emptied": len(about),
        "Events": BiometricEvent.objects.filter(**mine).count(),
        "Readings": Reading.objects.filter(**mine).count(),
        "HRV nights": HrvNight.objects.filter(**mine).count(),
        "Alerts": HrvAlert.objects.filter(**mine).count(),
        "Messages": OutboxMessage.objects.filter(subject=subject_id).count(),
    }


def _locked(subject_id: UUID) -> tuple[Subject, list[VendorConnection]]:
    """Lock the person's connections, then the person."""
    rows = VendorConnection.objects.filter(subject_id=subject_id).order_by("id")
    connections = list(rows.select_for_update())
    return Subject.objects.select_for_update().get(id=subject_id), connections


def _topics(subject_id: UUID, connections: Sequence[VendorConnection]) -> list[str]:
    """Return where consumers read of the person, by accounts of now and of before."""
    messages = OutboxMessage.objects.filter(subject=subject_id).order_by()
    topics = set(messages.values_list("topic", flat=True).distinct())
    topics |= {get_adapter(row.vendor).topic for row in connections}
    return [*sorted(topics - {settings.KAFKA_ALERT_TOPIC}), settings.KAFKA_ALERT_TOPIC]


def _blank_traces(
    subject: Subject, connections: Sequence[VendorConnection], deliveries: set[str]
) -> None:
    """Take the person out of what staff chose for replays, and out of the audit."""
    runs = forgetting.forget_replays(subject, connections, deliveries=deliveries)
    forgetting.blank_audit(subject, connections, deliveries=deliveries, runs=runs)


def _blank_deliveries(ids: Sequence[int]) -> int:
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


def _keep_digests(connections: Sequence[VendorConnection], *, now: datetime) -> None:
    """Keep what an account is known by, so that nothing creates the person again."""
    ErasedAccount.objects.bulk_create(
        [
            ErasedAccount(
                digest=account_digest((row.vendor, row.account_id)), erased_at=now
            )
            for row in connections
        ],
        ignore_conflicts=True,
    )


def _delete_alarms(connections: Sequence[VendorConnection]) -> None:
    for connection in connections:
        StaffAlarm.objects.filter(
            Q(key=str(connection.id)) | Q(key__startswith=f"{connection.id}/")
        ).delete()


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
    ToldChange.objects.filter(subject=subject_id).delete()
    HrvAlert.objects.filter(subject_id=subject_id).delete()
    HrvNight.objects.filter(subject_id=subject_id).delete()
    Reading.objects.filter(subject_id=subject_id).delete()
    events = BiometricEvent.objects.filter(subject_id=subject_id)
    count = events.count()
    events.delete()
    return count


def _delete_messages(subject_id: UUID) -> int:
    return OutboxMessage.objects.filter(subject=subject_id).delete()[0]
