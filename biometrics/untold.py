"""What was stored without the messages that tell consumers of it.

What is stored and its messages are of one transaction, and messages are never deleted
but with their person. Each query is one statement, so one snapshot.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db.models import (
    Count,
    Exists,
    F,
    OuterRef,
    QuerySet,
    Subquery,
    TextField,
)
from django.db.models.fields.json import KT
from django.db.models.functions import Cast

from biometrics.models import (
    BiometricEvent,
    HrvAlert,
    OutboxMessage,
    Subject,
    ToldChange,
)
from biometrics.models.events import EventStatus


def telling_events(*, since: datetime, until: datetime) -> QuerySet[BiometricEvent]:
    """Return the events of a period that say something new: all have messages."""
    events = BiometricEvent.objects.filter(created_at__gte=since, created_at__lt=until)
    return events.exclude(status=EventStatus.STALE)


def silent_events(*, since: datetime, until: datetime) -> QuerySet[BiometricEvent]:
    """Return the events of a period that say something new and have no message."""
    # Not by an outer join: PostgreSQL would read every message there is for it.
    told = OutboxMessage.objects.filter(event=OuterRef("pk"))
    return telling_events(since=since, until=until).exclude(Exists(told))


def partial_events(*, since: datetime, until: datetime) -> QuerySet[Any]:
    """Return those that have some of their messages, with their number as `told`.

    Apart from the silent ones: together they could not be found by indexes.
    """
    messages = OutboxMessage.objects.filter(event=OuterRef("pk")).order_by()
    told = messages.values("event").annotate(n=Count("pk")).values("n")
    cut = telling_events(since=since, until=until).filter(parts__gt=1)
    return cut.annotate(told=Subquery(told)).filter(told__lt=F("parts"))


def silent_alerts(*, since: datetime, until: datetime) -> QuerySet[HrvAlert]:
    """Return the alerts that changed in a period without a message about it.

    Earlier messages of the same alert do not count: the last change has one of its own.
    """
    told = OutboxMessage.objects.alias(change=KT("headers__revision")).filter(
        alert=OuterRef("pk"),
        created_at__gte=since,
        change=Cast(OuterRef("revision"), TextField()),
    )
    changed = HrvAlert.objects.filter(updated_at__gte=since, updated_at__lt=until)
    return changed.exclude(Exists(told))


def silent_changes(*, since: datetime, until: datetime) -> QuerySet[ToldChange]:
    """Return the changes of connections of a period that have no message.

    Not those of erased people, whose messages went with them.
    """
    changes = ToldChange.objects.filter(at__gte=since, at__lt=until)
    person = Subject.objects.filter(id=OuterRef("subject"))
    told = OutboxMessage.objects.filter(ce_id=OuterRef("ce_id"))
    return changes.filter(Exists(person)).exclude(Exists(told))
