"""The history of a connection: fetched once it has a grant, and on demand."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Q, QuerySet

from biometrics import audit
from biometrics.connections.access import is_callable
from biometrics.errors import (
    BiometricsError,
    ConfigurationError,
    VendorUnavailableError,
)
from biometrics.models import Subject, VendorConnection
from biometrics.models.intake import DeliveryOrigin
from biometrics.models.people import ConnectionStatus
from biometrics.recovery.fetching import Found, fetch
from biometrics.vendors.listing import Window
from biometrics.vendors.registry import all_adapters, get_adapter

HISTORY = timedelta(days=60)
# How long one attempt has; after it, somebody else may try.
CLAIM = timedelta(minutes=5)
_SHORTEST_WAIT_S = 60.0
_CONFIGURATION_WAIT_S = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a person asks to be fetched; without a subject everybody's at the vendor."""

    vendor: str
    subject: Subject | None
    window: Window

    def connections(self) -> QuerySet[VendorConnection]:
        """Return whose history is meant: connections that can be called for."""
        wanted = Q(vendor=self.vendor, status=ConnectionStatus.ACTIVE)
        if self.subject is not None:
            wanted &= Q(subject=self.subject)
        return VendorConnection.objects.filter(wanted).order_by("id")


def listing_vendors() -> list[str]:
    """Return the vendors whose data can be listed, as far as settings let us call."""
    return [
        adapter.slug
        for adapter in all_adapters()
        if adapter.listed_types and is_callable(adapter)
    ]


def backfill(
    order: Order,
    *,
    actor: str,
    reason: str,
    now: Callable[[], datetime],
    is_dry: bool,
) -> Mapping[VendorConnection, Found]:
    """Fetch what is meant, by connection; a dry run compares and stores nothing.

    Raises ReasonMissingError unless it is a dry run.
    """
    connections = list(order.connections())
    if not is_dry:
        audit.note(
            actor=actor,
            verb="connection.backfill",
            target=f"{len(connections)} connections",
            reason=reason,
            now=now(),
            detail={
                "vendor": order.vendor,
                "since": order.window.since.isoformat(),
                "until": order.window.until.isoformat(),
                "connections": [connection.id for connection in connections],
            },
        )
    return {
        connection: _fetch(connection, order.window, now=now, is_dry=is_dry)
        for connection in connections
    }


def due(*, now: datetime, limit: int | None = None) -> list[int]:
    """Return the connections whose history is to be fetched now, oldest wish first."""
    rows = VendorConnection.objects.filter(
        backfill_due_at__lte=now,
        status=ConnectionStatus.ACTIVE,
        vendor__in=listing_vendors(),
    )
    ids = rows.order_by("backfill_due_at").values_list("id", flat=True)
    return list(ids[:limit])


def fetch_history(*, connection_id: int, now: Callable[[], datetime]) -> Found | None:
    """Fetch the last 60 days of a connection where that is due, else return None.

    While the vendor cannot be asked, it stays due at the time that the vendor wishes.
    """
    started = now()
    mine = VendorConnection.objects.filter(id=connection_id)
    if not mine.filter(backfill_due_at__lte=started).update(
        backfill_due_at=started + CLAIM
    ):
        return None
    connection = mine.filter(status=ConnectionStatus.ACTIVE).first()
    if connection is None:
        return None
    window = Window(since=started - HISTORY, until=started)
    left = connection.backfill_left
    found = _fetch(connection, window, now=now, is_dry=False, only=left)
    waits = {
        data_type: wait
        for data_type, error in found.errors.items()
        if (wait := _wait_after(error)) is not None
    }
    again = now() + timedelta(seconds=max(waits.values())) if waits else None
    # A newer consent has made it due anew, and all of it.
    mine.filter(backfill_due_at=started + CLAIM).update(
        backfill_due_at=again, backfill_left=sorted(waits)
    )
    return found


def _wait_after(error: BiometricsError) -> float | None:
    """Return for how long to wait before a new attempt, None where none can help."""
    if isinstance(error, ConfigurationError):
        return _CONFIGURATION_WAIT_S
    if isinstance(error, VendorUnavailableError):
        return max(error.retry_after or 0.0, _SHORTEST_WAIT_S)
    return None


def _fetch(
    connection: VendorConnection,
    window: Window,
    *,
    now: Callable[[], datetime],
    is_dry: bool,
    only: Collection[str] = (),
) -> Found:
    adapter = get_adapter(connection.vendor)
    kinds = [kind for kind in adapter.listed_types if not only or kind in only]
    return fetch(
        connection,
        adapter=adapter,
        windows=dict.fromkeys(kinds, window),
        origin=DeliveryOrigin.BACKFILL,
        now=now,
        is_dry=is_dry,
    )
