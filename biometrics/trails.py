"""From a delivery to all that became of it, and back.

Every lookup is a look into an index. Which messages are a delivery's own is not stored:
those of its events name the event; an alert's message stands in the person's queue right
behind the event that caused it, from the same transaction; the id of a connection's is
made of the delivery's.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Max, OuterRef, Q, QuerySet, Subquery

from biometrics import payload_rows
from biometrics.intake.rows import announcement_in
from biometrics.models import (
    AuditEntry,
    BiometricEvent,
    DeliveryDocument,
    HrvAlert,
    OutboxMessage,
    Reading,
    VendorConnection,
    WebhookDelivery,
)
from biometrics.models.intake import DeliveryOrigin
from biometrics.models.keyed import row_in
from biometrics.publishing.envelope import change_id

# So many rows of each kind are loaded.
MOST = 200
# Of one delivery: vendors tell one change of a connection at a time.
_MOST_CHANGES = 8
# Received at one and the same microsecond.
_MOST_TWINS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What became of a delivery, each in its order; `told` are the alerts' messages.

    `announcement` is what named the address of this delivery, `payload` what lay at the
    address that this delivery names.
    """

    delivery: WebhookDelivery
    announcement: WebhookDelivery | None
    payload: WebhookDelivery | None
    documents: Sequence[DeliveryDocument]
    events: Sequence[BiometricEvent]
    readings: Sequence[Reading]
    alerts: Sequence[HrvAlert]
    messages: Sequence[OutboxMessage]

    @property
    def told(self) -> list[OutboxMessage]:
        """Return the messages about alerts."""
        return [one for one in self.messages if one.alert_id is not None]


def found_of(delivery: WebhookDelivery) -> Found:
    """Collect the whole way of one delivery in a fixed number of queries."""
    said = delivery.events.defer("data", "problems")
    events = list(said.order_by("created_at", "id")[:MOST])
    ids = [event.pk for event in events]
    own = _own(delivery, ids)
    told = _told_by(events, own)
    messages = sorted([*own, *told], key=lambda message: message.pk)
    return Found(
        delivery=delivery,
        announcement=_announcement(delivery),
        payload=_payload(delivery),
        documents=list(delivery.documents.defer("body").order_by("id")[:MOST]),
        events=events,
        readings=list(
            Reading.objects.filter(event__in=ids).order_by("event", "metric")[:MOST]
        ),
        alerts=_alerts(ids, told),
        messages=messages,
    )


def _announcement(delivery: WebhookDelivery) -> WebhookDelivery | None:
    if delivery.origin != DeliveryOrigin.ANNOUNCED:
        return None
    return _known(announcement_in(delivery.dedupe_key))


def _payload(delivery: WebhookDelivery) -> WebhookDelivery | None:
    if not payload_rows.is_announcement(delivery):
        return None
    return _known(payload_rows.id_of(delivery))


def _known(public_id: UUID | None) -> WebhookDelivery | None:
    if public_id is None:
        return None
    rows = WebhookDelivery.objects.defer("body", "headers")
    return rows.filter(public_id=public_id).first()


def deliveries_of(alert: HrvAlert) -> list[WebhookDelivery]:
    """Return what brought the alert's night, and what caused each of its messages."""
    messages = with_cause(OutboxMessage.objects.filter(alert=alert))
    causes = {cause for cause in messages.values_list("cause", flat=True) if cause}
    if alert.hrv_night is not None and alert.hrv_night.event_id is not None:
        causes.add(alert.hrv_night.event_id)
    events = BiometricEvent.objects.filter(pk__in=causes)
    rows = WebhookDelivery.objects.filter(pk__in=events.values("delivery"))
    return list(rows.defer("body", "headers").order_by("id")[:MOST])


def delivery_of(message: OutboxMessage) -> WebhookDelivery | None:
    """Return the delivery that a message goes back to; None for what staff caused."""
    if message.event is not None:
        return message.event.delivery
    if message.alert_id is not None:
        row = with_cause(OutboxMessage.objects.filter(pk=message.pk)).get()
        event = BiometricEvent.objects.filter(pk=row.cause).first()
        return None if event is None else event.delivery
    return _changed_by(message)


def person_of(delivery: WebhookDelivery) -> UUID | None:
    """Return whom a delivery speaks of; None where that is not known for certain."""
    return people_of([delivery]).get(delivery.pk)


def people_of(deliveries: Collection[WebhookDelivery]) -> dict[int, UUID]:
    """Return by its id whom each delivery speaks of; without those that are not certain.

    What it said is the person's to whom its account was linked then. Until it has said
    anything that is the account's person, unless staff linked the account to another one
    since: what came before is not theirs.
    """
    said: dict[int, set[UUID]] = {}
    events = BiometricEvent.objects.filter(delivery__in=deliveries).order_by()
    for pk, subject in events.values_list("delivery", "subject").distinct():
        said.setdefault(pk, set()).add(subject)
    found = {pk: next(iter(mine)) for pk, mine in said.items() if len(mine) == 1}
    return found | _by_account([row for row in deliveries if row.pk not in said])


def _by_account(deliveries: Collection[WebhookDelivery]) -> dict[int, UUID]:
    keys = {(row.vendor, row.account_id) for row in deliveries}
    if not keys:
        return {}
    linked = VendorConnection.objects.filter(
        row_in(columns=("vendor", "account_id"), keys=keys)
    )
    connections = {(row.vendor, row.account_id): row for row in linked}
    relinks: dict[str, datetime] = dict(
        AuditEntry.objects.filter(
            verb="connection.relink",
            target__in=[f"connection {row.pk}" for row in connections.values()],
        )
        .values_list("target")
        .annotate(last=Max("at"))
    )
    found = {}
    for row in deliveries:
        connection = connections.get((row.vendor, row.account_id))
        if connection is None:
            continue
        relinked = relinks.get(f"connection {connection.pk}")
        if relinked is None or relinked < row.received_at:
            found[row.pk] = connection.subject_id
    return found


def with_cause(rows: QuerySet[OutboxMessage]) -> QuerySet[Any]:
    """Add to alerts' messages the id of the event that caused each, as `cause`."""
    before = OutboxMessage.objects.filter(
        subject=OuterRef("subject"),
        created_at=OuterRef("created_at"),
        pk__lt=OuterRef("pk"),
        event__isnull=False,
    )
    return rows.annotate(cause=Subquery(before.order_by("-pk").values("event")[:1]))


def _own(delivery: WebhookDelivery, events: Iterable[UUID]) -> list[OutboxMessage]:
    """Return the messages of its events and of the connection that it changed."""
    changes = [change_id(delivery.public_id, n) for n in range(_MOST_CHANGES)]
    rows = OutboxMessage.objects.filter(Q(event__in=events) | Q(ce_id__in=changes))
    return list(rows.defer("value", "headers").order_by("id")[:MOST])


def _told_by(
    events: Sequence[BiometricEvent], own: Sequence[OutboxMessage]
) -> list[OutboxMessage]:
    """Return the messages of alerts that these events caused, when theirs were made."""
    if not own or not events:
        return []
    rows = OutboxMessage.objects.filter(
        alert__subject__in={event.subject_id for event in events},
        created_at__in={message.created_at for message in own},
        event=None,
    )
    caused = with_cause(rows).filter(cause__in=[event.pk for event in events])
    return list(caused.defer("value", "headers").order_by("id")[:MOST])


def _alerts(events: Sequence[UUID], told: Sequence[OutboxMessage]) -> list[HrvAlert]:
    """Return the alerts that rest on these events, or of which they caused a message."""
    wanted = Q(hrv_night__event__in=events)
    wanted |= Q(pk__in={message.alert_id for message in told})
    rows = HrvAlert.objects.filter(wanted).select_related("subject")
    return list(rows.defer("evidence").order_by("raised_at")[:MOST])


def _changed_by(message: OutboxMessage) -> WebhookDelivery | None:
    """Return the delivery that changed a connection: the message has its time."""
    try:
        at = datetime.fromisoformat(message.headers["ce_time"])
    except (KeyError, ValueError):
        return None
    twins = WebhookDelivery.objects.filter(
        received_at=at, vendor=message.headers.get("source", "")
    )
    for row in twins.defer("body", "headers").order_by("id")[:_MOST_TWINS]:
        if message.ce_id in {change_id(row.public_id, n) for n in range(_MOST_CHANGES)}:
            return row
    return None
