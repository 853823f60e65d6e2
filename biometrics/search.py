"""Finding a row by any id that somebody may hold in their hands.

Every lookup is one look into an index, so it costs the same with a year of history. Ids
of ours are found by their first eight characters too; what vendors name is found whole.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from uuid import UUID

from django.db.models import Model, Q

from biometrics.models import (
    BiometricEvent,
    HrvAlert,
    OutboxMessage,
    Subject,
    VendorConnection,
    WebhookDelivery,
)
from biometrics.vendors.registry import VENDORS

SHORTEST = 4
MOST = 10
_BEGINNING = re.compile(r"[0-9a-f]{8,32}")
_TRACE_ID = re.compile(r"[0-9a-f]{32}")


def find(term: str, *, models: Collection[type[Model]]) -> list[Model]:
    """Return at most ten rows of each of these models that the term names.

    Letters count as they are, except in a person's label. Bodies are not loaded.
    """
    term = term.strip()
    if len(term) < SHORTEST:
        return []
    found: list[Model] = []
    for model, named, order, heavy in _KINDS:
        if model in models:
            rows = model._default_manager.filter(named(term)).order_by(order)  # noqa: SLF001
            found += rows.defer(*heavy)[:MOST]
    return found


def deliveries_named(term: str) -> Q:
    """Return the condition for the deliveries that a term names, all by an index."""
    # The vendors are said twice: inside each branch the pair is an index's own.
    vendors = list(VENDORS)
    named = Q(vendor__in=vendors, account_id=term)
    named |= Q(vendor__in=vendors, dedupe_key=term)
    named |= Q(trace=term) & ~Q(trace="")
    named |= _begins("public_id", term)
    if _TRACE_ID.fullmatch(term.lower()):
        known = Q(traceparent__startswith=f"00-{term.lower()}-")
        named |= known & ~Q(traceparent="")
    return named


def _begins(field: str, term: str) -> Q:
    """Return the condition for ids that are, or begin with, what was typed."""
    digits = term.lower().replace("-", "")
    if not _BEGINNING.fullmatch(digits):
        return Q(pk__in=[])
    first, last = UUID(digits.ljust(32, "0")), UUID(digits.ljust(32, "f"))
    return Q(**{f"{field}__gte": first, f"{field}__lte": last})


def events_named(term: str) -> Q:
    """Return the condition for the events that a term names."""
    return _begins("id", term) | Q(record_id=term)


def _people(term: str) -> Q:
    return _begins("id", term) | Q(label__istartswith=term)


def _connections(term: str) -> Q:
    return Q(vendor__in=list(VENDORS), account_id=term)


def _alerts(term: str) -> Q:
    return _begins("id", term)


def messages_named(term: str) -> Q:
    """Return the condition for the messages that a term names."""
    return _begins("ce_id", term)


_Named = Callable[[str], Q]
# In the order in which they are shown; the last of each are columns not worth loading.
_KINDS: tuple[tuple[type[Model], _Named, str, tuple[str, ...]], ...] = (
    (Subject, _people, "label", ()),
    (VendorConnection, _connections, "id", ()),
    (WebhookDelivery, deliveries_named, "-id", ("body", "headers")),
    (BiometricEvent, events_named, "-created_at", ("data", "problems")),
    (HrvAlert, _alerts, "-raised_at", ("evidence",)),
    (OutboxMessage, messages_named, "-id", ("value", "headers")),
)
