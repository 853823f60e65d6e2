"""Looking back at what webhooks should have brought, connection by connection."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from biometrics.models import VendorConnection
from biometrics.models.intake import DeliveryOrigin
from biometrics.models.people import ConnectionStatus
from biometrics.recovery import backfill, silence
from biometrics.recovery.fetching import Found, fetch
from biometrics.recovery.streams import Stream, streams_of
from biometrics.vendors.base import VendorAdapter
from biometrics.vendors.listing import Window
from biometrics.vendors.registry import get_adapter

LOOK_BACK = timedelta(hours=48)


def make_due(*, now: datetime, ids: Collection[int] | None = None) -> int:
    """Have these connections compared with their vendors soon; return how many.

    Without `ids` all whose vendor can be asked what there is.
    """
    rows = VendorConnection.objects.filter(reconcile_due_at=None)
    if ids is None:
        rows = rows.filter(
            status=ConnectionStatus.ACTIVE, vendor__in=backfill.listing_vendors()
        )
    else:
        rows = rows.filter(id__in=ids)
    return rows.update(reconcile_due_at=now)


def due(*, now: datetime, limit: int | None = None) -> list[int]:
    """Return the connections that are to be compared now, oldest wish first."""
    rows = VendorConnection.objects.filter(reconcile_due_at__lte=now)
    ids = rows.order_by("reconcile_due_at", "id").values_list("id", flat=True)
    return list(ids[:limit])


def reconcile_due(*, connection_id: int, now: Callable[[], datetime]) -> Found | None:
    """Compare a connection where that is due, else return None.

    Whoever is ended in the middle leaves it due again in some minutes.
    """
    started = now()
    mine = VendorConnection.objects.filter(id=connection_id)
    claimed = mine.filter(reconcile_due_at__lte=started)
    if not claimed.update(reconcile_due_at=started + backfill.CLAIM):
        return None
    found = reconcile(connection_id=connection_id, now=now)
    mine.filter(reconcile_due_at=started + backfill.CLAIM).update(reconcile_due_at=None)
    return found


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
    streams = streams_of(connection, now=started)
    found = Found()
    if connection.status == ConnectionStatus.ACTIVE and adapter.listed_types:
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
    ordered = rows.filter(id__gt=after).order_by("id").only("id", "vendor")
    wanted, until = [], time.monotonic() + budget_s
    for connection in ordered.iterator():
        if _has_changed(connection, now=now):
            wanted.append(connection.id)
        if time.monotonic() >= until:
            return wanted, connection.id
    return wanted, None


def _has_changed(connection: VendorConnection, *, now: datetime) -> bool:
    known = silence.open_streams(connection.id)
    return any(
        stream.is_quiet(now=now) != (stream.name in known)
        for stream in streams_of(connection, now=now)
    )


def _windows(
    adapter: VendorAdapter, *, streams: list[Stream], now: datetime
) -> dict[str, Window]:
    usual = now - LOOK_BACK
    quiet = {s.name: s.newest for s in streams if s.is_quiet(now=now)}
    return {
        data_type: Window(
            since=max(min(quiet.get(said, usual), usual), now - backfill.HISTORY),
            until=now,
        )
        for data_type, said in adapter.listed_types.items()
    }


def _heard(stream: Stream, newest: Mapping[str, datetime]) -> Stream:
    """Return the stream as it is once what was just found has been processed."""
    latest = newest.get(stream.name, stream.newest)
    return replace(stream, newest=max(stream.newest, latest))
