"""One delivery of our own, from the web process through to Kafka and back."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit
from uuid import NAMESPACE_URL, uuid5

import orjson
from django.conf import settings
from django.db import DatabaseError

from biometrics.errors import PublishError
from biometrics.models import Subject, VendorConnection
from biometrics.publishing.producers.kafka_reader import Tail
from biometrics.vendors.registry import all_adapters

# Reserved: nobody's data ever has this id. Consumers may leave its records out.
SUBJECT = uuid5(NAMESPACE_URL, "urn:auren:self-test")
_LABEL = "Self-test (nobody)"
_HTTP_S = 10.0


class RoundtripError(Exception):
    """The delivery did not come back; the message says where it was lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Roundtrip:
    """How long it took, from before it was sent, and where the record lies."""

    accepted_s: float
    published_s: float
    topic: str
    partition: int
    offset: int


def make(*, url: str, patience_s: float, now: Callable[[], datetime]) -> Roundtrip:
    """Send a heart rate for the reserved subject and wait for its record.

    It is told from others by its traceparent, which must come through as well. Raises
    RoundtripError.
    """
    adapter = next(one for one in all_adapters() if one.personal_tokens)
    token = _token()
    try:
        _connect(vendor=adapter.slug, token=token)
        tail = Tail(topics=[adapter.topic])
    except DatabaseError as error:
        message = f"The database did not answer: {type(error).__name__}."
        raise RoundtripError(message) from error
    except PublishError as error:
        raise RoundtripError(str(error)) from error
    traceparent = f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"
    try:
        started = time.monotonic()
        _deliver(
            f"{url.rstrip('/')}/webhooks/{adapter.slug}",
            body=_body(now()),
            headers={"Authorization": f"Bearer {token}", "traceparent": traceparent},
        )
        accepted = time.monotonic()
        found = tail.find(
            header=("traceparent", traceparent.encode()),
            deadline=started + patience_s,
        )
    except PublishError as error:
        raise RoundtripError(str(error)) from error
    finally:
        tail.close()
    if found is None:
        message = (
            f"Accepted, but not on {adapter.topic} after {patience_s:g} s: look at "
            "manage.py outbox status, and whether workers and beat run."
        )
        raise RoundtripError(message)
    return Roundtrip(
        accepted_s=accepted - started,
        published_s=time.monotonic() - started,
        topic=adapter.topic,
        partition=found.partition,
        offset=found.offset,
    )


def _token() -> str:
    """Return the reserved subject's token: the same each time, known to nobody else."""
    key = settings.SECRET_KEY.encode()
    return hmac.new(key, b"auren.self-test", hashlib.sha256).hexdigest()


def _connect(*, vendor: str, token: str) -> None:
    subject, _ = Subject.objects.get_or_create(id=SUBJECT, defaults={"label": _LABEL})
    VendorConnection.objects.update_or_create(
        vendor=vendor,
        account_id=str(SUBJECT),
        defaults={
            "subject": subject,
            "status": "active",
            "personal_token_sha256": hashlib.sha256(token.encode()).hexdigest(),
        },
    )


def _body(at: datetime) -> bytes:
    moment = at.strftime("%Y-%m-%dT%H:%M:%SZ")
    record = {
        "id": secrets.token_hex(8),
        "type": "HKQuantityTypeIdentifierHeartRate",
        "startDate": moment,
        "endDate": moment,
        # Another one each time, so that there is something new to publish.
        "value": 50 + secrets.randbelow(5000) / 100,
        "unit": "bpm",
    }
    return orjson.dumps(
        {
            "provider": "apple",
            "sdkVersion": "self-test",
            "syncTimestamp": moment,
            "data": {"records": [record], "sleep": [], "workouts": []},
        }
    )


def _deliver(url: str, *, body: bytes, headers: dict[str, str]) -> None:
    parts = urlsplit(url)
    kind = (
        http.client.HTTPSConnection
        if parts.scheme == "https"
        else http.client.HTTPConnection
    )
    connection = kind(parts.hostname or "", parts.port, timeout=_HTTP_S)
    try:
        connection.request(
            "POST",
            parts.path,
            body=body,
            headers={"Content-Type": "application/json", **headers},
        )
        answer = connection.getresponse()
        said = answer.read()
    except (OSError, http.client.HTTPException) as error:
        message = f"{url} did not answer: {type(error).__name__}."
        raise RoundtripError(message) from error
    finally:
        connection.close()
    if answer.status not in {200, 202}:
        message = (
            f"{url} answered {answer.status}: {said[:200].decode(errors='replace')}"
        )
        raise RoundtripError(message)
