"""How often alerts disturb: what tells whether the rules fit the people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta

from django.core.cache import cache
from django.db.models import Count, F, Q, Sum
from django.db.models.functions import Coalesce

from biometrics import snapshots
from biometrics.models import HrvAlert, HrvNight

NIGHTS = 30
# More than so many HIGH or CRITICAL in these nights: raise the person's offset.
_MOST_HIGH = 2
_SEVERITIES = ("MEDIUM", "HIGH", "CRITICAL")
_KEPT_S = 60
_KEY = "hrv-rates"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Counts over the last 30 nights of everybody; shares are from 0 to 1.

    `per_30_user_nights` counts alerts by the highest severity that they had, taken back
    or not: they disturbed. A share is None where nobody can be counted.
    """

    user_nights: int
    people: int
    per_30_user_nights: Mapping[str, float]
    low_share: float | None
    often_share: float | None


def summary(*, now: datetime) -> Rates:
    """Return what was counted lately, by beat or by this process; else count."""
    found: Rates | None = cache.get(_KEY)
    if found is None:
        kept = snapshots.latest(_KEY)
        found = keep(now=now) if kept is None else Rates(**kept[1])
        cache.set(_KEY, found, _KEPT_S)
    return found


def keep(*, now: datetime) -> Rates:
    """Count now, and keep it for whoever asks within the next minutes."""
    found = counted(now=now)
    snapshots.keep(_KEY, asdict(found), now=now)
    return found


def counted(*, now: datetime) -> Rates:
    """Count nights and alerts of the last 30 dates by indexed queries."""
    since = now.date() - timedelta(days=NIGHTS - 1)
    nights, alerts = _nights(since), _alerts(since)
    user_nights = nights["user_nights"]
    return Rates(
        user_nights=user_nights,
        people=nights["people"],
        per_30_user_nights={
            severity: _per(alerts[f"all_{severity}"] * NIGHTS, user_nights) or 0.0
            for severity in _SEVERITIES
        },
        low_share=_per(nights["all_low"], nights["all_judged"]),
        often_share=_per(alerts["often"], nights["people"]),
    )


def _nights(since: date) -> dict[str, int]:
    """Count the nights with a value, the judged and the low ones, and their people."""
    return (
        HrvNight.objects.filter(is_main=True, value_ms__isnull=False, night__gte=since)
        .values("subject")
        # Somebody with a ring and a watch has one night, not two.
        .annotate(
            nights=Count("night", distinct=True),
            judged=Count("z1"),
            low=Count("id", filter=Q(z1__lte=-2)),
        )
        .aggregate(
            user_nights=Coalesce(Sum("nights"), 0),
            all_judged=Coalesce(Sum("judged"), 0),
            all_low=Coalesce(Sum("low"), 0),
            people=Count("subject"),
        )
    )


def _alerts(since: date) -> dict[str, int]:
    """Count the alerts by severity, and the people whom they disturb too often."""
    return (
        HrvAlert.objects.filter(night__gte=since)
        .values("subject")
        .annotate(
            **{
                severity: Count("id", filter=Q(max_severity=severity))
                for severity in _SEVERITIES
            }
        )
        .aggregate(
            often=Count("subject", filter=Q(HIGH__gt=_MOST_HIGH - F("CRITICAL"))),
            **{
                f"all_{severity}": Coalesce(Sum(severity), 0)
                for severity in _SEVERITIES
            },
        )
    )


def _per(part: float, whole: int) -> float | None:
    return part / whole if whole else None
