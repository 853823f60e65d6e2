"""What waits for a person, by reason; looking at a million costs no more than at few."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from django.db import connection
from django.db.models import Count, Max, Min
from django.db.models.expressions import RawSQL

from biometrics import reasons, waiting
from biometrics.models import OutboxMessage, ParkedQueue, WebhookDelivery
from biometrics.models.intake import DeliveryStatus
from biometrics.models.outbox import MessageStatus, ParkCode
from biometrics.reasons import Reason
from biometrics.waiting import Number

# The first parked delivery of each vendor and reason: as many steps in the index as
# there are groups, however many deliveries lie in one.
_FIRSTS = """
    WITH RECURSIVE firsts(id) AS (
        SELECT * FROM (
            SELECT id FROM biometrics_webhookdelivery WHERE status = %s
            ORDER BY vendor, error_code, id LIMIT 1
        ) AS lowest
        UNION ALL
        SELECT (
            SELECT further.id FROM biometrics_webhookdelivery AS further
            WHERE further.status = %s
            AND (further.vendor, further.error_code) > (seen.vendor, seen.error_code)
            ORDER BY further.vendor, further.error_code, further.id LIMIT 1
        ) FROM firsts JOIN biometrics_webhookdelivery AS seen ON seen.id = firsts.id
    )
    SELECT id FROM firsts WHERE id IS NOT NULL
"""

# Asked for by their place in the index and not as equal: PostgreSQL takes vendor and
# reason for independent, expects few rows of both, and would read and sort them all.
_NEWEST = """
    SELECT %s, COUNT(*), COUNT(readable), MIN(readable), MAX(id) FROM (
        SELECT vendor, error_code, id, CASE WHEN body IS NULL THEN NULL ELSE id END
        AS readable FROM biometrics_webhookdelivery
        WHERE status = %s AND (vendor, error_code) <= (%s, %s)
        ORDER BY vendor DESC, error_code DESC, id DESC LIMIT %s
    ) AS newest WHERE vendor = %s AND error_code = %s
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """What is parked for one reason: deliveries of a vendor, or people's messages.

    `count` is deliveries or people, `messages` what waits with the latter; each count
    ends one beyond `waiting.MOST`. `readable` are those of the counted deliveries, which
    are the newest, whose bytes are still there. `oldest` is the one to try first.
    """

    code: str
    reason: Reason
    count: int
    first_at: datetime
    last_at: datetime
    oldest: Any
    vendor: str = ""
    readable: int = 0
    messages: int = 0


class _Look(NamedTuple):
    """What the newest deliveries of a group say; the ids are the lowest and highest."""

    counted: int
    readable: int
    first_readable: int | None
    last: int


def delivery_groups() -> list[Group]:
    """Return the parked deliveries by vendor and reason, the most first."""
    rows = WebhookDelivery.objects.defer("body")
    parked = [DeliveryStatus.PARKED.value] * 2
    # Nothing in the statement comes from outside.
    firsts = list(rows.filter(pk__in=RawSQL(_FIRSTS, parked)))  # noqa: S611
    looks = _looks(firsts)
    named = rows.in_bulk(
        [
            key
            for look in looks.values()
            for key in (look.first_readable, look.last)
            if key
        ]
    )
    groups = []
    for first in firsts:
        look = looks.get(first.pk)
        # Somebody may have retried or skipped them between the looks.
        if look is None or look.last not in named:
            continue
        groups.append(
            Group(
                code=first.error_code,
                reason=reasons.of_delivery(first.error_code),
                count=look.counted,
                first_at=first.received_at,
                last_at=named[look.last].received_at,
                # One that can be tried, where there is one.
                oldest=named.get(look.first_readable or 0, first),
                vendor=first.vendor,
                readable=look.readable,
            )
        )
    return sorted(groups, key=lambda one: (-one.count, one.vendor, one.code))


def waiting_for_accounts() -> Group | None:
    """Return the deliveries whose account nobody has connected, None without any.

    They are not parked, and wait for a person all the same.
    """
    rows = WebhookDelivery.objects.filter(status=DeliveryStatus.UNLINKED)
    counted = rows.order_by("vendor", "account_id")[: waiting.MOST + 1]
    said = counted.aggregate(
        n=Count("pk"), first=Min("received_at"), last=Max("received_at"), one=Min("pk")
    )
    example = rows.defer("body").filter(pk=said["one"]).first()
    if example is None:
        return None
    return Group(
        code=DeliveryStatus.UNLINKED,
        reason=reasons.of_delivery(DeliveryStatus.UNLINKED),
        count=said["n"],
        first_at=said["first"],
        last_at=said["last"],
        oldest=example,
    )


def queue_groups() -> list[Group]:
    """Return the people whose messages are parked, by reason, the most first."""
    found = waiting.ask(
        **{name: n for code in ParkCode.values for name, n in _of_code(code).items()}
    )
    ends = {name: key for name, key in found.items() if name.endswith("est")}
    named = ParkedQueue.objects.in_bulk([key for key in ends.values() if key])
    groups = []
    for code in ParkCode.values:
        oldest = named.get(found[f"{code} oldest"] or 0)
        newest = named.get(found[f"{code} newest"] or 0)
        # Somebody may have let them flow between the two looks.
        if oldest is None or newest is None:
            continue
        groups.append(
            Group(
                code=code,
                reason=reasons.of_queue(code),
                count=found[f"{code} people"] or 0,
                first_at=oldest.since,
                last_at=newest.since,
                oldest=oldest,
                messages=found[f"{code} messages"] or 0,
            )
        )
    return sorted(groups, key=lambda one: (-one.count, one.code))


def _of_code(code: str) -> dict[str, Number]:
    people = ParkedQueue.objects.filter(code=code).order_by("since", "id")
    messages = OutboxMessage.objects.filter(
        status=MessageStatus.PARKED,
        subject__in=people.values("subject")[: waiting.MOST + 1],
    )
    return {
        f"{code} people": waiting.up_to(people.values("id")),
        f"{code} messages": waiting.up_to(messages.values("id")),
        f"{code} oldest": waiting.value_of(people.values("id")[:1]),
        f"{code} newest": waiting.value_of(people.reverse().values("id")[:1]),
    }


def _looks(firsts: Sequence[WebhookDelivery]) -> dict[int, _Look]:
    """Look into each group, in one statement; by the id of its first delivery."""
    values: list[Any] = []
    for first in firsts:
        group = (first.vendor, first.error_code)
        bounds = (DeliveryStatus.PARKED.value, *group, waiting.MOST + 1)
        values += [first.pk, *bounds, *group]
    if not values:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join([_NEWEST] * len(firsts)), values)
        return {key: _Look(*told) for key, *told in cursor.fetchall() if told[0]}
