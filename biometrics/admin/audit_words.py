"""What lists and files say of an entry of the audit: never what was found of a person."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from biometrics import audit
from biometrics.admin.reveal import MASK
from biometrics.models import AuditEntry, HrvAlert
from biometrics.models.hrv import Feedback

_ANSWER = "alert.acknowledge"


def is_note(entry: AuditEntry) -> bool:
    """Say whether the reason is what somebody found after an alert."""
    known = {audit.ERASED, *Feedback.labels}
    return entry.verb == _ANSWER and entry.reason not in known


def reason_in_lists(entry: AuditEntry) -> str:
    """Return the reason; for an answer to an alert what the alert was worth."""
    if not is_note(entry):
        return entry.reason
    said = entry.detail.get("feedback", "")
    worth = Feedback(said).label if said in Feedback.values else "Answered"
    return f"{worth}. Note: {MASK}"


def people_of(entry: AuditEntry) -> Sequence[UUID]:
    """Return whose alerts an entry answers."""
    alerts = HrvAlert.objects.filter(pk__in=entry.detail.get("alerts", []))
    return sorted(set(alerts.values_list("subject_id", flat=True)))
