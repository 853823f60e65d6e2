"""Who is to be told of what, and telling them: each of each alert once.

One row for an alert and a subscriber is the claim; nobody makes a second. An attempt
first moves the row's time ahead, so that no other worker makes it too, then sends with
no transaction open. A worker that dies in between has it made again, under the same id,
by which receivers know a repetition.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.db.models import F

from biometrics import alarms
from biometrics.errors import BiometricsError
from biometrics.models import AlertNotice, AlertSubscription, HrvAlert
from biometrics.models.hrv import AlertStatus, Severity
from biometrics.models.notices import Channel, NoticeStatus
from biometrics.notifying import telling
from biometrics.notifying.posting import GoneError
from biometrics.notifying.quiet import may_go_at
from biometrics.notifying.subscribing import end
from biometrics.public_addresses import ForbiddenAddressError

logger = logging.getLogger(__name__)

ALARM = "notice"
VIEW = "biometrics.view_hrvalert"
# A night older than that is no news.
_NEWS = timedelta(days=1)
# Longer than any attempt takes.
_CLAIM = timedelta(minutes=2)
_AT_ONCE = 50
WAITS = tuple(
    timedelta(seconds=s) for s in (30, 120, 600, 1800, 3600, 10_800, 21_600, 43_200)
)


def make_due(*, now: datetime) -> int:
    """Note whom to tell of open alerts that are new to them; returns how many."""
    made = 0
    for one in AlertSubscription.objects.filter(ended_at=None).order_by("id"):
        alerts = (
            HrvAlert.objects.filter(
                status=AlertStatus.OPEN,
                severity__in=_from(one.least),
                raised_at__gte=max(one.created_at, now - _NEWS),
            )
            .exclude(notices__subscription=one)
            .only("id", "severity")
        )
        rows = [
            AlertNotice(
                alert=alert,
                subscription=one,
                created_at=now,
                due_at=_time(one, severity=alert.severity, at=now),
            )
            for alert in alerts
        ]
        AlertNotice.objects.bulk_create(rows, ignore_conflicts=True)
        made += len(rows)
    return made


def send_due(*, now: Callable[[], datetime], budget_s: float) -> int:
    """Make the attempts that are due, for `budget_s`; returns how many were told."""
    started, told = now(), 0
    due = AlertNotice.objects.filter(status=NoticeStatus.DUE, due_at__lte=started)
    for notice in due.order_by("due_at").select_related("subscription__owner", "alert")[
        :_AT_ONCE
    ]:
        if (now() - started).total_seconds() >= budget_s:
            break
        if _claim(notice, now=now()):
            told += _attempt(notice, now=now())
    return told


def _from(least: str) -> list[str]:
    return [Severity.CRITICAL] if least == Severity.CRITICAL else ["HIGH", "CRITICAL"]


def _time(one: AlertSubscription, *, severity: str, at: datetime) -> datetime:
    """Return when a subscriber may be told at the earliest."""
    if severity == Severity.CRITICAL and one.wakes_for_critical:
        return at
    return may_go_at(at, since=one.quiet_from, until=one.quiet_until, zone=one.zone)


def _claim(notice: AlertNotice, *, now: datetime) -> bool:
    """Make this attempt ours; False when another worker was quicker."""
    mine = AlertNotice.objects.filter(
        pk=notice.pk, status=NoticeStatus.DUE, due_at=notice.due_at
    )
    if not mine.update(due_at=now + _CLAIM, attempts=F("attempts") + 1):
        return False
    notice.attempts += 1
    return True


def _attempt(notice: AlertNotice, *, now: datetime) -> bool:
    pointless = _pointless(notice)
    if pointless:
        _end(notice, NoticeStatus.DROPPED, now=now, error=pointless)
        return False
    one = notice.subscription
    try:
        telling.tell(notice, now=now)
    except GoneError as error:
        _end(notice, NoticeStatus.GIVEN_UP, now=now, error=str(error))
        end(one.pk, actor="bridge", reason=str(error), now=now)
        return False
    except ForbiddenAddressError as error:
        _give_up(notice, now=now, error=error)
        return False
    except BiometricsError as error:
        _later(notice, now=now, error=error)
        return False
    _end(notice, NoticeStatus.SENT, now=now)
    alarms.clear(ALARM, key=str(one.pk), now=now)
    return True


def _pointless(notice: AlertNotice) -> str:
    """Return why there is nothing to tell any more, empty when there is."""
    one = notice.subscription
    if one.ended_at is not None:
        return "The subscription was ended."
    if not one.owner.is_active or not one.owner.has_perm(VIEW):
        return "Its owner may not see alerts any more."
    if notice.alert.status != AlertStatus.OPEN:
        return f"The alert is {notice.alert.status} by now."
    return ""


def _later(notice: AlertNotice, *, now: datetime, error: Exception) -> None:
    if notice.attempts > len(WAITS):
        _give_up(notice, now=now, error=error)
        return
    at = now + WAITS[notice.attempts - 1]
    severity = notice.alert.severity
    AlertNotice.objects.filter(pk=notice.pk, status=NoticeStatus.DUE).update(
        due_at=_time(notice.subscription, severity=severity, at=at),
        error=str(error)[:300],
    )


def _give_up(notice: AlertNotice, *, now: datetime, error: Exception) -> None:
    _end(notice, NoticeStatus.GIVEN_UP, now=now, error=str(error))
    one = notice.subscription
    kind = Channel(one.channel).label
    text = (
        f"{kind} of {one.owner.get_username()} was not told of an alert: {error} "
        "See Subscriptions; acknowledge the alert in the inbox."
    )
    alarms.sound(ALARM, key=str(one.pk), text=text, now=now)


def _end(
    notice: AlertNotice, status: NoticeStatus, *, now: datetime, error: str = ""
) -> None:
    changes: dict[str, Any] = {"ended_at": now, "error": error[:300]}
    AlertNotice.objects.filter(pk=notice.pk, status=NoticeStatus.DUE).update(
        status=status, **changes
    )
    logger.info("notice.ended", extra={"notice": str(notice.pk), "status": status})
