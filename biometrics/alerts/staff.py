"""What staff decide: what an alert was worth, how low is low, silence until a date.

Every act takes the person's lock, as judging does, so that neither overwrites the other,
and is written into the audit with its reason.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from math import isfinite
from uuid import UUID

from django.db import transaction

from biometrics import audit
from biometrics.alerts.configured import configured_ruleset
from biometrics.errors import BiometricsError
from biometrics.models import HrvAlert, HrvTuning
from biometrics.models.hrv import AlertStatus, Feedback
from biometrics.models.people import lock_subjects

OFFSET_STEP = 0.25
LONGEST_MUTE_DAYS = 90


class TuningError(BiometricsError):
    """A decision that cannot be stored; the text names the field."""


def acknowledge(
    ids: Iterable[UUID], *, feedback: Feedback, note: str, actor: str, now: datetime
) -> int:
    """Mark the open ones among these alerts as seen; returns how many there were.

    Raises ReasonMissingError without a note.
    """
    with transaction.atomic():
        rows = HrvAlert.objects.filter(id__in=list(ids), status=AlertStatus.OPEN)
        lock_subjects(rows.values_list("subject_id", flat=True))
        found = sorted(rows.values_list("id", flat=True))
        rows.filter(id__in=found).update(
            status=AlertStatus.ACKNOWLEDGED,
            acknowledged_at=now,
            acknowledged_by=actor,
            feedback=feedback,
            note=note[:500],
        )
        audit.note(
            actor=actor,
            verb="alert.acknowledge",
            target=audit.counted(found, "alert", "alerts"),
            reason=note,
            now=now,
            detail={"feedback": feedback, "alerts": [str(pk) for pk in found]},
        )
    return len(found)


def state_of(alert: HrvAlert) -> str:
    """Return what an answer on this alert rests on: its status and the last answer."""
    at = alert.acknowledged_at
    return f"{alert.status} {'' if at is None else at.isoformat()}"


def answer(
    key: UUID, *, feedback: Feedback, note: str, seen: str, actor: str, now: datetime
) -> AlertStatus | None:
    """Say what an alert was worth, or correct what was said.

    An open one is acknowledged by it, whatever is over stays so. Every answer is in the
    audit. Returns the status from before; None, and nothing is changed, where the alert
    is not as it was `seen` (`state_of`) any more: a colleague's answer must not be lost
    to a page that does not show it. Raises ReasonMissingError without a note.
    """
    with transaction.atomic():
        rows = HrvAlert.objects.filter(id=key)
        lock_subjects(rows.values_list("subject_id", flat=True))
        alert = rows.first()
        if alert is None or state_of(alert) != seen:
            return None
        before = AlertStatus(alert.status)
        rows.update(
            status=AlertStatus.ACKNOWLEDGED if before == AlertStatus.OPEN else before,
            acknowledged_at=now,
            acknowledged_by=actor,
            feedback=feedback,
            note=note[:500],
        )
        audit.note(
            actor=actor,
            verb="alert.acknowledge",
            target=f"alert {key}",
            reason=note,
            now=now,
            detail={"feedback": feedback, "alerts": [str(key)]},
        )
    return before


def set_offset(
    subject: UUID, *, offset: float, reason: str, actor: str, now: datetime
) -> HrvTuning:
    """Lower a person's thresholds by so many own SDs, for whatever is judged from now on.

    A night that is judged anew because another one came late counts as such: an alert
    of the last 14 nights that does not hold any more is taken back then, never raised.

    Raises TuningError unless `offset` is a step of 0.25 within the ruleset's limit, and
    ReasonMissingError.
    """
    limit = configured_ruleset().maximum_offset
    steps = offset / OFFSET_STEP if isfinite(offset) else 0.5
    if steps != round(steps) or not 0 <= offset <= limit:
        message = (
            f"threshold offset: must be 0 to {limit:g} in steps of {OFFSET_STEP:g}."
        )
        raise TuningError(message)
    return _tune(
        subject,
        {"threshold_offset": offset, "reason": reason[:300]},
        verb="hrv.offset",
        reason=reason,
        actor=actor,
        now=now,
    )


def mute(
    subject: UUID, *, until: date | None, reason: str, actor: str, now: datetime
) -> HrvTuning:
    """Raise nothing for this person up to and including a date; None ends that.

    Raises TuningError for a date that is past or more than 90 days ahead.
    """
    today = now.date()
    latest = today + timedelta(days=LONGEST_MUTE_DAYS)
    if until is not None and not today <= until <= latest:
        message = f"muted until: must be a date from {today} to {latest}."
        raise TuningError(message)
    return _tune(
        subject,
        {"muted_until": until, "muted_because": reason[:300]},
        verb="hrv.mute" if until is not None else "hrv.unmute",
        reason=reason,
        actor=actor,
        now=now,
    )


def _tune(
    subject: UUID,
    change: dict[str, object],
    *,
    verb: str,
    reason: str,
    actor: str,
    now: datetime,
) -> HrvTuning:
    signed = {"changed_by": actor, "changed_at": now}
    with transaction.atomic():
        lock_subjects([subject])
        tuning, _ = HrvTuning.objects.update_or_create(
            subject_id=subject, defaults={**change, **signed}
        )
        audit.note(
            actor=actor,
            verb=verb,
            target=audit.of_subject(subject),
            reason=reason,
            now=now,
            detail={
                name: str(change[name])
                for name in ("threshold_offset", "muted_until")
                if name in change
            },
        )
    return tuning
