"""What a WHOOP webhook says: that a record changed, and which one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from biometrics.errors import UnreadableDeliveryError
from biometrics.vendors.fields import text

# "updated" also announces what is new. Cycles and body measurements have no events.
EVENT_TYPES = frozenset(
    f"{data_type}.{event}"
    for data_type in ("workout", "sleep", "recovery")
    for event in ("updated", "deleted")
)

# A UUID today; it becomes a segment of a URL, so what means something in a path is none.
_SAFE_ID = re.compile(r"[A-Za-z0-9-]{1,100}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One notification; `ignored` says why nothing is done with it.

    For a recovery, `object_id` is the id of its sleep.
    """

    account_id: str
    event_type: str
    object_id: str
    version: str
    trace_id: str | None
    ignored: str | None

    @property
    def data_type(self) -> str:
        return self.event_type.partition(".")[0]

    @property
    def is_deletion(self) -> bool:
        return self.event_type.endswith(".deleted")


def read_notice(body: dict[str, Any]) -> Notice:
    """Read a notification; raises UnreadableDeliveryError naming the field at fault."""
    event_type = _required(body, "type", limit=60)
    object_id = _required(body, "id", limit=100)
    if not is_safe_id(object_id):
        raise UnreadableDeliveryError("no usable id", field="id")
    version = "v1" if object_id.isdigit() else "v2"
    ignored = None
    if version == "v1":
        ignored = "a number as id: webhooks of version 1 have ended"
    elif event_type not in EVENT_TYPES:
        ignored = f"unknown type {event_type}"
    return Notice(
        account_id=_required(body, "user_id", limit=100),
        event_type=event_type,
        object_id=object_id,
        version=version,
        trace_id=text(body, "trace_id", limit=100),
        ignored=ignored,
    )


def is_safe_id(written: str) -> bool:
    """Say whether an id can be a segment of a URL and nothing else."""
    return _SAFE_ID.fullmatch(written) is not None


def _required(body: dict[str, Any], field: str, *, limit: int) -> str:
    value = text(body, field, limit=limit)
    if value is None:
        raise UnreadableDeliveryError("missing or no short text", field=field)
    return value
