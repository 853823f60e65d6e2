"""What is known of the subscriptions at a vendor: for staff, and for the next look."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction

from biometrics.errors import ConfigurationError
from biometrics.models import VendorSubscription
from biometrics.vendors.base import VendorAdapter
from biometrics.vendors.subscriptions import Subscription, Topic

# How long before its end a subscription that was not renewed alarms staff.
ALARM_AHEAD = timedelta(days=7)


def name_of(topic: Topic) -> str:
    """Return a topic as staff read and write it, such as daily_sleep.update."""
    return ".".join(reversed(topic))


def wanted(adapter: VendorAdapter) -> Sequence[Topic]:
    """Return what AUREN_<SLUG>_SUBSCRIPTIONS wants to be told of, without it everything.

    Raises ConfigurationError for what the vendor does not tell.
    """
    known = adapter.subscriptions.topics if adapter.subscriptions else ()
    said = settings.AUREN_VENDORS.get(adapter.slug, {}).get("subscriptions") or []
    if not said:
        return known
    names = {name for topic in known for name in (topic[1], name_of(topic))}
    unknown = [one for one in said if one not in names]
    if unknown:
        message = (
            f"AUREN_{adapter.slug.upper()}_SUBSCRIPTIONS: {adapter.title} does not tell"
            f" of {', '.join(unknown)}."
        )
        raise ConfigurationError(message)
    return [one for one in known if one[1] in said or name_of(one) in said]


def note(
    adapter: VendorAdapter,
    found: Mapping[Topic, Subscription],
    *,
    token: str,
    untold: Collection[Topic],
    now: datetime,
) -> None:
    """Keep what was found, and nothing that is not there any more.

    `token` is the fingerprint of the verification token that all but `untold` hold.
    """
    rows = [
        VendorSubscription(
            vendor=adapter.slug,
            event_type=topic[0],
            data_type=topic[1],
            remote_id=one.remote_id,
            callback_url=one.callback_url,
            expires_at=one.expires_at,
            token_fingerprint="" if topic in untold else token,
            seen_at=now,
        )
        for topic, one in found.items()
    ]
    changing = [
        "remote_id",
        "callback_url",
        "expires_at",
        "token_fingerprint",
        "seen_at",
    ]
    with transaction.atomic():
        VendorSubscription.objects.bulk_create(
            rows,
            update_conflicts=True,
            unique_fields=["vendor", "event_type", "data_type"],
            update_fields=changing,
        )
        known = VendorSubscription.objects.filter(vendor=adapter.slug)
        gone = [
            row_id
            for row_id, *topic in known.values_list("id", "event_type", "data_type")
            if tuple(topic) not in found
        ]
        known.filter(id__in=gone).delete()


def holding(adapter: VendorAdapter, *, token: str) -> set[str]:
    """Return the vendor's ids of subscriptions that hold the token of a fingerprint."""
    rows = VendorSubscription.objects.filter(
        vendor=adapter.slug, token_fingerprint=token
    )
    return set(rows.values_list("remote_id", flat=True))


def noted(adapter: VendorAdapter) -> dict[Topic, Subscription]:
    """Return what the vendor listed last, for as long as it does not answer."""
    rows = VendorSubscription.objects.filter(vendor=adapter.slug)
    return {
        (row.event_type, row.data_type): Subscription(
            remote_id=row.remote_id,
            topic=(row.event_type, row.data_type),
            callback_url=row.callback_url,
            expires_at=row.expires_at,
        )
        for row in rows
    }


def uncovered(
    topics: Sequence[Topic], found: Mapping[Topic, Subscription], *, now: datetime
) -> list[str]:
    """Say which of the topics nobody tells us of, or soon will not."""
    told = []
    for topic in topics:
        one = found.get(topic)
        if one is None:
            told.append(f"{name_of(topic)} is not subscribed.")
        elif one.expires_at is None or one.expires_at <= now + ALARM_AHEAD:
            told.append(f"{name_of(topic)} ends within {ALARM_AHEAD.days} days.")
    return told
