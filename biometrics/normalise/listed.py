"""Listed documents as a stored delivery, and back.

What we list ourselves is kept as if it had been sent: as bytes, before it is understood.
"""

from __future__ import annotations

import orjson

from biometrics.errors import UnreadableDeliveryError
from biometrics.models import WebhookDelivery
from biometrics.models.intake import DeliveryOrigin
from biometrics.vendors.fields import load_object
from biometrics.vendors.listing import Listed
from biometrics.vendors.records import ConnectionChange
from biometrics.vendors.wire import StoredDelivery

_SUFFIX = ".listed"
# A change of the connection itself that nobody sent.
CHANGE = f"connection{_SUFFIX}"


def event_type(listed: Listed) -> str:
    """Return what such a delivery is called: `<data type>.listed`."""
    return f"{listed.data_type}{_SUFFIX}"


def is_listed(delivery: WebhookDelivery) -> bool:
    """Say whether a delivery holds listed documents; a sender cannot make it so."""
    is_ours = delivery.origin in {DeliveryOrigin.BACKFILL, DeliveryOrigin.RECOVERED}
    return is_ours and delivery.event_type.endswith(_SUFFIX)


def pack(listed: Listed) -> bytes:
    """Return the body of the delivery; the time of the fetch is its time of receipt."""
    return orjson.dumps(
        {
            "data_type": listed.data_type,
            "documents": listed.documents,
            "related": listed.related,
        }
    )


def pack_change(change: ConnectionChange) -> bytes:
    """Return the body of a delivery of type `CHANGE`."""
    return orjson.dumps(
        {
            "change": change.change,
            "reason": change.reason,
            "reference": change.reference,
        }
    )


def unpack_change(stored: StoredDelivery) -> ConnectionChange:
    """Return what `pack_change` packed; raises UnreadableDeliveryError."""
    try:
        return ConnectionChange(**orjson.loads(stored.body))
    except (orjson.JSONDecodeError, TypeError):
        message = "not as changes are stored"
        raise UnreadableDeliveryError(message, field="body") from None


def unpack(stored: StoredDelivery) -> Listed:
    """Return what was packed; raises UnreadableDeliveryError."""
    said = load_object(stored.body)
    for name, form in (("data_type", str), ("documents", list), ("related", list)):
        if not isinstance(said.get(name), form):
            message = "not as listed documents are stored"
            raise UnreadableDeliveryError(message, field=name)
    return Listed(
        data_type=said["data_type"],
        documents=said["documents"],
        related=said["related"],
        fetched_at=stored.received_at,
    )
