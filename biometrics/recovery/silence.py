"""Alarms about connections: streams gone silent, consents that are gone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from biometrics import alarms
from biometrics.errors import BiometricsError, VendorRefusedError
from biometrics.models import StaffAlarm, VendorConnection
from biometrics.models.people import ConnectionStatus
from biometrics.recovery.streams import Stream
from biometrics.vendors.base import VendorAdapter
from biometrics.vendors.registry import get_adapter

SILENCE = "silence"
RECONNECT = "needs_reconnect"


def judge(
    connection: VendorConnection,
    streams: Sequence[Stream],
    *,
    errors: Mapping[str, BiometricsError],
    now: datetime,
) -> None:
    """Sound an alarm for each stream that is quiet, clear it for each that is not.

    `errors` says, by data type, why the vendor could not be asked just now.
    """
    known = open_streams(connection.id)
    adapter = get_adapter(connection.vendor)
    for stream in streams:
        key = _key(connection.id, stream.name)
        if stream.is_quiet(now=now):
            reason = _reason(
                connection,
                adapter,
                stream=stream,
                streams=streams,
                errors=errors,
                now=now,
            )
            text = f"{_told(connection, adapter, stream)} {reason}"
            alarms.sound(SILENCE, key=key, text=text, now=now)
        elif stream.name in known:
            alarms.clear(SILENCE, key=key, now=now)


def open_streams(connection_id: int) -> set[str]:
    """Return the streams of a connection whose silence staff know of."""
    prefix = _key(connection_id, "")
    keys = StaffAlarm.objects.filter(
        kind=SILENCE, cleared_at=None, key__startswith=prefix
    ).values_list("key", flat=True)
    return {key.removeprefix(prefix) for key in keys}


def check_connections(*, now: datetime) -> None:
    """Sound an alarm for each consent that is gone, clear what no longer holds.

    Looks at the connections as they are, whatever made them so.
    """
    lost = VendorConnection.objects.filter(status=ConnectionStatus.NEEDS_RECONNECT)
    found = {str(connection.id): connection for connection in lost}
    for key, connection in found.items():
        title = get_adapter(connection.vendor).title
        text = (
            f"{title}, connection {key}: nothing is fetched, since the consent is gone."
            f" {connection.status_reason} Send the person a new connect link."
        )
        alarms.sound(RECONNECT, key=key, text=text, now=now)
    for key in _open(RECONNECT) - found.keys():
        alarms.clear(RECONNECT, key=key, now=now)
    silent = {key: key.partition("/")[0] for key in _open(SILENCE)}
    kept = VendorConnection.objects.filter(id__in=[int(i) for i in silent.values()])
    live = kept.exclude(status=ConnectionStatus.REVOKED).values_list("id", flat=True)
    ids = {str(connection_id) for connection_id in live}
    for key, connection_id in silent.items():
        # Of a connection that was ended, or whose person was erased, nothing is expected.
        if connection_id not in ids:
            alarms.clear(SILENCE, key=key, now=now)


def _open(kind: str) -> set[str]:
    rows = StaffAlarm.objects.filter(kind=kind, cleared_at=None)
    return set(rows.values_list("key", flat=True))


def _key(connection_id: int, stream: str) -> str:
    return f"{connection_id}/{stream}"


def _told(connection: VendorConnection, adapter: VendorAdapter, stream: Stream) -> str:
    assert stream.usual_gap is not None  # it is quiet
    days = max(1, stream.usual_gap.days)
    usual = "every day" if days == 1 else f"every {days} days"
    return (
        f"{adapter.title}, connection {connection.id}: no {stream.name} since"
        f" {stream.newest:%Y-%m-%d %H:%M}, usually {usual}."
    )


def _reason(
    connection: VendorConnection,
    adapter: VendorAdapter,
    *,
    stream: Stream,
    streams: Sequence[Stream],
    errors: Mapping[str, BiometricsError],
    now: datetime,
) -> str:
    """Return the cause as far as it is known, and what to do."""
    if connection.status == ConnectionStatus.NEEDS_RECONNECT:
        return "The consent is gone: send the person a new connect link."
    mine = [kind for kind, said in adapter.listed_types.items() if said == stream.name]
    for error in (errors[kind] for kind in mine if kind in errors):
        if isinstance(error, VendorRefusedError) and not error.permanent:
            return f"Permission: {error} Ask the person to connect again and allow it."
        return f"The vendor could not be asked: {error}"
    if mine:
        return (
            "The vendor answers and has nothing: is the device worn, and has the app"
            " been opened?"
        )
    if any(one.limit is not None and not one.is_quiet(now=now) for one in streams):
        return "Other data arrives: may the app still read this, and is it measured?"
    return (
        "Nothing else arrives: has the app been opened, and is its token still right?"
    )
