"""Looking back at what webhooks should have brought, connection by connection."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from django.db.models import QuerySet

from biometrics.models import VendorConnection
from biometrics.models.intake import DeliveryOrigin
from biometrics.models.people import ConnectionStatus
from biometrics.recovery import backfill, silence
from biometrics.recovery.fetching import Found, fetch
from biometrics.recovery.streams import Stream, streams_of
from biometrics.vendors.base import VendorAdapter, Window
from biometrics.vendors.registry import get_adapter

LOOK_BACK = timedelta(hours=48)


def reconciled() -> QuerySet[VendorConnection]:
    """Return the connections whose vendor can be asked what there is."""
    return VendorConnection.objects.filter(
        status=ConnectionStatus.ACTIVE, vendor__in=backfill.listing_vendors()
    ).order_by("id")


def reconcile(*, connection_id: int, now: Callable[[], datetime]) -> Found | None:
    """Fetch what no webhook brought, then say which streams are silent all the same.

    Looks back 48 hours, and for a stream that is quiet to its last record, 60 days at
    most. None for a connection that has ended.
    """
    connection = (
        VendorConnection.objects.filter(id=connection_id)
        .exclude(status=ConnectionStatus.REVOKED)
        .first()
    )
    if connection is None:
        return None
    adapter, started = get_adapter(connection.vendor), now()
    streams = streams_of(connection.id, now=started)
    found = Found()
    if connection.status == ConnectionStatus.ACTIVE and adapter.listings:
        found = fetch(
            connection,
            adapter=adapter,
            windows=_windows(adapter, streams=streams, now=started),
            origin=DeliveryOrigin.RECOVERED,
            now=now,
        )
        # The fetch may have found that the consent is gone.
        connection.refresh_from_db(fields=["status", "status_reason"])
    heard = [_heard(stream, found.newest) for stream in streams]
    silence.judge(connection, heard, errors=found.errors, now=now())
    return found


def watch(
    *, after: int, now: datetime, budget_s: float
) -> tuple[list[int], int | None]:
    """Look at connections behind the id `after` for up to `budget_s` seconds.

    Return those with a stream that has gone quiet and staff do not know of, or that
    speaks again, and where to go on (None at the end). Reads only what is stored.
    """
    rows = VendorConnection.objects.exclude(status=ConnectionStatus.REVOKED)
    ids = rows.filter(id__gt=after).order_by("id").values_list("id", flat=True)
    wanted, until = [], time.monotonic() + budget_s
    for connection_id in ids.iterator():
        if _has_changed(connection_id, now=now):
            wanted.append(connection_id)
        if time.monotonic() >= until:
            return wanted, connection_id
    return wanted, None


def _has_changed(connection_id: int, *, now: datetime) -> bool:
    known = silence.open_streams(connection_id)
    return any(
        stream.is_quiet(now=now) != (stream.record_type in known)
        for stream in streams_of(connection_id, now=now)
    )


def _windows(
    adapter: VendorAdapter, *, streams: list[Stream], now: datetime
) -> dict[str, Window]:
    usual = now - LOOK_BACK
    quiet = {s.record_type: s.newest for s in streams if s.is_quiet(now=now)}
    return {
        data_type: Window(
            since=max(min(quiet.get(said, usual), usual), now - backfill.HISTORY),
            until=now,
        )
        for data_type, said in adapter.listings.items()
    }


def _heard(stream: Stream, newest: Mapping[str, datetime]) -> Stream:
    """Return the stream as it is once what was just found has been processed."""
    latest = newest.get(stream.record_type, stream.newest)
    return replace(stream, newest=max(stream.newest, latest))
