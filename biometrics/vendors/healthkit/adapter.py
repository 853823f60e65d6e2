"""Apple HealthKit: an app on the phone pushes, with a token that names the person.

Proof       a personal token of ours: Authorization (with or without "Bearer "),
            X-Open-Wearables-API-Key, or api-key; nothing is signed
Senders     the Open Wearables SDK, POST api/v1/sdk/users/<user id>/sync, and the app
            Health Auto Export, POST to any address
Delivery    late and in lumps, for a locked phone cannot read HealthKit; overlapping
            re-sends are normal; a 4xx makes the SDK drop a chunk for good
Reference   https://github.com/the-momentum/open_wearables_ios_sdk,
            https://help.healthyapps.dev
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any, ClassVar
from urllib.parse import unquote

from biometrics.errors import (
    ForbiddenAccountError,
    MalformedPayloadError,
    SignatureError,
    UnreadableDeliveryError,
)
from biometrics.vendors.base import TokenRoutes, VendorAdapter
from biometrics.vendors.coverage import Covered
from biometrics.vendors.fields import load_envelope, load_object, text
from biometrics.vendors.healthkit.auto_export import read_export
from biometrics.vendors.healthkit.coverage import COVERAGE
from biometrics.vendors.healthkit.harvest import Harvest
from biometrics.vendors.healthkit.night import HealthKitNights
from biometrics.vendors.healthkit.records import SAMPLES, records_of
from biometrics.vendors.healthkit.sdk import read_sync
from biometrics.vendors.night_pieces import NightPieces
from biometrics.vendors.records import JsonScalar, Understanding
from biometrics.vendors.wire import Envelope, InboundRequest, StoredDelivery

_SYNC = "sync"
_EXPORT = "export"
_SDK_KEYS = ("provider", "sdkVersion", "syncTimestamp")
_EXPORT_SECTIONS = ("metrics", "workouts")
_NOTHING = "no samples, sleep or workouts in it"

# The header that the token may be in, the likeliest first.
_BEARERS = ("authorization", "x-open-wearables-api-key", "api-key")
_TOKEN = re.compile(r"[\x21-\x7e]{1,512}")
_SYNC_PATH = re.compile(r"/?api/v1/sdk/users/([^/]+)/sync/?")
_BRANDS = frozenset({"apple", "samsung", "google"})


class HealthKit(VendorAdapter):
    """Adapter of phones that push what HealthKit or Health Connect holds."""

    slug: ClassVar[str] = "healthkit"
    title: ClassVar[str] = "Apple HealthKit"
    mapping_version: ClassVar[int] = 2
    coverage: ClassVar[tuple[Covered, ...]] = COVERAGE
    event_types: ClassVar[frozenset[str]] = frozenset({_SYNC, _EXPORT})
    night_pieces: ClassVar[NightPieces | None] = HealthKitNights()
    # Each metric is permitted, measured and sent by itself.
    id_streams: ClassVar[frozenset[str]] = frozenset({SAMPLES})
    personal_tokens: ClassVar[bool] = True
    # https://github.com/the-momentum/open-wearables: unchanged but for the host.
    token_routes: ClassVar[TokenRoutes | None] = TokenRoutes(
        issue="api/v1/users/<str:user_id>/token",
        refresh="api/v1/token/refresh",
        revoke="api/v1/token/revoke",
    )
    sender_setup: ClassVar[tuple[tuple[str, str], ...]] = (
        ("Health Auto Export, REST API automation: URL", "{url}/webhooks/healthkit"),
        ("Health Auto Export: header", "Authorization: Bearer {token}"),
        ("Open Wearables SDK: host", "{url}"),
        ("Open Wearables SDK: user id", "{user}"),
        ("Open Wearables SDK: access token, unless the app signs in itself", "{token}"),
    )
    max_body_bytes: ClassVar[int | None] = None
    accepted_status: ClassVar[int] = 202
    kept_headers: ClassVar[tuple[str, ...]] = (
        "session-id",
        "automation-id",
        "automation-aggregation",
        "automation-period",
    )
    proof_headers: ClassVar[tuple[str, ...]] = _BEARERS
    url_aliases: ClassVar[tuple[str, ...]] = ("api/v1/sdk/users/<str:user_id>/sync",)

    def presented_token(self, request: InboundRequest) -> str | None:
        """Return the token of the request, None where no header holds one.

        Raises SignatureError when a header came twice or two headers hold two tokens.
        """
        found = {
            token
            for name in _BEARERS
            if (token := _token(request.header(name))) is not None
        }
        if len(found) > 1:
            detail = "Two headers hold two different tokens; send one."
            raise SignatureError("doubled_header", detail)
        return found.pop() if found else None

    def envelope(self, request: InboundRequest, *, account_id: str | None) -> Envelope:
        """Return account, type and key of a push; see the base class.

        Raises ForbiddenAccountError when the path names another person.
        """
        if not account_id:
            raise SignatureError("missing_token", "Send the person's token.")
        path = _SYNC_PATH.fullmatch(request.path)
        if path is not None and unquote(path.group(1)) != account_id:
            detail = "The token belongs to another user than the path names."
            raise ForbiddenAccountError("other_account", detail)
        body = load_envelope(request.body)
        data = body.get("data")
        if not isinstance(data, dict):
            raise MalformedPayloadError("malformed", "Field data is no object.")
        kind = _kind(body, data)
        is_empty = kind == _EXPORT and not any(
            parent.get(key) for parent in (data, body) for key in _EXPORT_SECTIONS
        )
        digest = hashlib.sha256(request.body).hexdigest()
        return Envelope(
            account_id=account_id,
            event_type=kind,
            dedupe_key=f"{account_id}:{digest}",
            ignored=_NOTHING if is_empty else None,
        )

    def answer_extras(
        self, *, status: int, delivery_id: str, account_id: str
    ) -> Mapping[str, JsonScalar]:
        """Return the keys of the answer that the Open Wearables SDK knows."""
        return {"status_code": status, "response": "accepted", "user_id": account_id}

    def understand(self, delivery: StoredDelivery) -> Understanding:
        """Turn a push into records; see the base class.

        What is wrong or of an unknown kind is counted and skipped. Only a push in which
        nothing is right is unreadable.
        """
        body = load_object(delivery.body)
        data = body.get("data")
        if not isinstance(data, dict):
            raise UnreadableDeliveryError("not an object", field="data")
        is_sync = _kind(body, data) == _SYNC
        harvest = Harvest(
            brand=_brand(body),
            sender="sdk" if is_sync else "auto_export",
            stamp=delivery.received_at,
            now=delivery.received_at,
        )
        if is_sync:
            read_sync(data, harvest)
        else:
            read_export(body, data, harvest)
        records = records_of(harvest)
        problems = harvest.tally.problems()
        if records:
            return Understanding(records=records, problems=problems)
        error = harvest.tally.first_error()
        if error is not None:
            raise UnreadableDeliveryError(error[1], field=error[0])
        return Understanding(ignored=_NOTHING, problems=problems)


def _token(header: str | None) -> str | None:
    """Return a header's token; another scheme than Bearer holds none of ours."""
    if header is None:
        return None
    words = header.split()
    if words and words[0].lower() == "bearer":
        words = words[1:]
    if len(words) != 1 or not _TOKEN.fullmatch(words[0]):
        return None
    return words[0]


def _kind(body: dict[str, Any], data: dict[str, Any]) -> str:
    is_sync = any(key in body for key in _SDK_KEYS) or "records" in data
    return _SYNC if is_sync else _EXPORT


def _brand(body: dict[str, Any]) -> str:
    brand = (text(body, "provider", limit=40) or "apple").lower()
    return brand if brand in _BRANDS else "apple"
