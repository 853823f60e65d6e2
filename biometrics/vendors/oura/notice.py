"""What an Oura webhook says: that a document changed, and which one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from biometrics.errors import UnreadableDeliveryError
from biometrics.vendors.fields import text
from biometrics.vendors.oura.mapping import KINDS, UNFETCHABLE
from biometrics.vendors.records import Action

ACTIONS: dict[str, Action] = {
    "create": "created",
    "update": "updated",
    "delete": "deleted",
}

# Oura's ids are opaque, not always UUIDs; they become a segment of a URL, so what means
# something in a path (`/`, `%`, `..`) is none.
_SAFE_ID = re.compile(r"(?!\.+$)[A-Za-z0-9._~:=+@-]{1,100}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One notification; `ignored` says why nothing is done with it."""

    account_id: str
    event: str
    data_type: str
    object_id: str | None
    event_time: str | None
    ignored: str | None


def read_notice(body: dict[str, Any]) -> Notice:
    """Read a notification; raises UnreadableDeliveryError naming the field at fault.

    Account, event type and data type must be there. Without an object id there is a
    notice, but nothing to fetch or delete.
    """
    event, data_type = _required(body, "event_type"), _required(body, "data_type")
    object_id = text(body, "object_id", limit=100)
    if body.get("object_id") is not None and not _SAFE_ID.fullmatch(object_id or ""):
        raise UnreadableDeliveryError("no usable id", field="object_id")
    return Notice(
        account_id=_required(body, "user_id", limit=120),
        event=event,
        data_type=data_type,
        object_id=object_id,
        event_time=text(body, "event_time", limit=64),
        ignored=_reason_to_ignore(event, data_type, object_id),
    )


def is_announced(data_type: str) -> bool:
    """Say whether webhooks bring this data type and its documents can be fetched."""
    return data_type in KINDS and KINDS[data_type].notifies


def _required(body: dict[str, Any], field: str, *, limit: int = 40) -> str:
    value = text(body, field, limit=limit)
    if value is None:
        raise UnreadableDeliveryError("missing or no short text", field=field)
    return value


def _reason_to_ignore(event: str, data_type: str, object_id: str | None) -> str | None:
    if event not in ACTIONS:
        return f"unknown event_type {event}"
    if data_type in UNFETCHABLE:
        return f"the API has no route for {data_type} documents"
    if not is_announced(data_type):
        return f"unknown data_type {data_type}"
    if object_id is None:
        return "no object_id, so no document is named"
    return None
