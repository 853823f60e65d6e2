"""Oura's webhook subscriptions: of the application, one for each event and data type.

https://cloud.ouraring.com/v2/docs#tag/Webhook-Subscription-Routes
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from urllib.parse import quote

import orjson

from biometrics.errors import UnreadableDeliveryError
from biometrics.vendors.fields import text
from biometrics.vendors.oura.mapping import KINDS
from biometrics.vendors.oura.notice import ACTIONS, is_announced
from biometrics.vendors.subscriptions import Call, Subscription, Topic

_BASE = "/v2/webhook/subscription"
# What is kept of a subscription, and no longer than it is kept.
_LONGEST = {"id": 500, "event_type": 40, "data_type": 40, "callback_url": 500}


class OuraSubscribing:
    """See Subscribing."""

    topics: tuple[Topic, ...] = tuple(
        (event, data_type)
        for data_type in KINDS
        if is_announced(data_type)
        for event in ACTIONS
    )

    def headers(self, *, client_id: str, client_secret: str) -> Mapping[str, str]:
        """See Subscribing: the application's own credentials, no bearer token."""
        return {"x-client-id": client_id, "x-client-secret": client_secret}

    def listing(self) -> Call:
        """See Subscribing."""
        return Call(method="GET", path=_BASE)

    def creating(self, topic: Topic, *, callback_url: str, token: str) -> Call:
        """See Subscribing."""
        event, data_type = topic
        payload = {
            "callback_url": callback_url,
            "verification_token": token,
            "event_type": event,
            "data_type": data_type,
        }
        return Call(method="POST", path=_BASE, payload=payload)

    def moving(self, one: Subscription, *, callback_url: str, token: str) -> Call:
        """See Subscribing."""
        payload = {"callback_url": callback_url, "verification_token": token}
        return Call(method="PUT", path=_of(one), payload=payload)

    def renewing(self, one: Subscription) -> Call:
        """See Subscribing."""
        return Call(method="PUT", path=f"{_BASE}/renew/{quote(one.remote_id, safe='')}")

    def ending(self, one: Subscription) -> Call:
        """See Subscribing."""
        return Call(method="DELETE", path=_of(one))

    def read_list(self, body: bytes) -> Sequence[Subscription]:
        """See Subscribing."""
        rows = _json(body)
        if not isinstance(rows, list):
            raise UnreadableDeliveryError("no list", field="subscriptions")
        return [_read(row) for row in rows]

    def read_one(self, body: bytes) -> Subscription:
        """See Subscribing."""
        return _read(_json(body))


def _of(one: Subscription) -> str:
    return f"{_BASE}/{quote(one.remote_id, safe='')}"


def _json(body: bytes) -> object:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        message = "not JSON"
        raise UnreadableDeliveryError(message, field="subscriptions") from None


def _read(row: object) -> Subscription:
    said = {name: text(row, name, limit=limit) for name, limit in _LONGEST.items()}
    for name, value in said.items():
        if value is None:
            raise UnreadableDeliveryError("missing or no short text", field=name)
    return Subscription(
        remote_id=str(said["id"]),
        topic=(str(said["event_type"]), str(said["data_type"])),
        callback_url=str(said["callback_url"]),
        expires_at=_moment(text(row, "expiration_time")),
    )


def _moment(written: str | None) -> datetime | None:
    """Return when it ends; a time without an offset is UTC (the documents show none)."""
    try:
        moment = datetime.fromisoformat(written or "")
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
