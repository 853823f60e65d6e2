"""What staff can do about a delivery from its own page: the next step is a link."""

from __future__ import annotations

from urllib.parse import urlencode
from uuid import UUID

from django.http import HttpRequest
from django.urls import reverse

from biometrics.admin.parked_cards import CHANGE
from biometrics.admin.person_page import CONNECT
from biometrics.models import ParkedQueue, Subject, VendorConnection, WebhookDelivery
from biometrics.models.intake import DeliveryStatus
from biometrics.models.outbox import MessageStatus, ParkCode
from biometrics.trails import Found

# The account is known, but the vendor does not let us in without a new consent.
_CONSENT_GONE = ("needs_reconnect", "refused")

Verb = dict[str, str]


def verbs(request: HttpRequest, found: Found) -> list[Verb]:
    """Return what this person may do about it, as links to pages that ask for a reason."""
    may = request.user.has_perm
    here, row = request.path, found.delivery
    offered: list[Verb] = []
    if may(CONNECT):
        offered += _connecting(row)
    if may(CHANGE["deliveries"]) and row.status == DeliveryStatus.PARKED:
        offered += _of_delivery(row, here=here)
    if may(CHANGE["queues"]):
        offered += _of_queue(found, here=here)
    return offered


def _connecting(row: WebhookDelivery) -> list[Verb]:
    """Lead to where its account is connected: its person's page, or the list of people."""
    is_unlinked = row.status == DeliveryStatus.UNLINKED
    if not is_unlinked and row.error_code not in _CONSENT_GONE:
        return []
    known = VendorConnection.objects.filter(
        vendor=row.vendor, account_id=row.account_id
    ).values_list("subject", flat=True)
    subject = known.first() or _referred(row.reference)
    if subject is not None:
        page = reverse("admin:biometrics_subject_connect", args=[subject])
        return [{"text": "Connect the account again", "url": page}]
    people = reverse("admin:biometrics_subject_changelist")
    return [{"text": "Choose the person to connect", "url": people}]


def _referred(reference: str) -> UUID | None:
    """Return the person whose id the vendor echoes, where there is one."""
    try:
        key = UUID(reference)
    except ValueError:
        return None
    return Subject.objects.filter(pk=key).values_list("pk", flat=True).first()


def _of_delivery(row: WebhookDelivery, *, here: str) -> list[Verb]:
    wanted = {"id": row.public_id, "next": here}
    # Without its bytes there is nothing to be read again.
    names = ("skip",) if row.body is None else ("retry", "skip")
    return [_verb("deliveries", name, name.capitalize(), wanted) for name in names]


def _of_queue(found: Found, *, here: str) -> list[Verb]:
    held = [m for m in found.messages if m.status == MessageStatus.PARKED]
    if not held:
        return []
    queue = ParkedQueue.objects.filter(subject=held[0].subject).first()
    if queue is None:
        return []
    is_refused = queue.code != ParkCode.HELD_BACK
    names = ("fix", "retry", "skip") if is_refused else ("retry", "skip")
    wanted = {"id": queue.pk, "next": here}
    return [
        _verb("queues", name, f"{name.capitalize()} the messages", wanted)
        for name in names
    ]


def _verb(kind: str, name: str, text: str, wanted: dict[str, object]) -> Verb:
    page = reverse("admin:biometrics_parked_verb", args=[kind, name])
    return {"text": text, "url": f"{page}?{urlencode(wanted)}"}
