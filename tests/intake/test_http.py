"""Webhooks over a real socket: what senders are told, and what lies on disk after it."""

from __future__ import annotations

import hashlib
import http.client
import re
import select
import socket
from collections import Counter
from contextlib import ExitStack, suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import orjson
import pytest
from django.db import OperationalError

from biometrics import secret_use, selectors
from biometrics.models import (
    IntakeCount,
    Subject,
    VendorConnection,
    WebhookDelivery,
)
from resilience import registry as circuits
from resilience.registry import get_breaker
from tests.bridge import RunningBridge

TOKEN = "a-personal-token-of-32-random-bytes"
VENDORS = ("oura", "whoop", "terra", "healthkit")


def oura(**changes: Any) -> bytes:
    return orjson.dumps(
        {
            "event_type": "update",
            "data_type": "sleep",
            "object_id": str(uuid4()),
            "event_time": "2026-11-24T06:00:00+00:00",
            "user_id": "user-1",
            **changes,
        }
    )


def whoop(**changes: Any) -> bytes:
    return orjson.dumps(
        {
            "user_id": 10129,
            "id": str(uuid4()),
            "type": "sleep.updated",
            "trace_id": str(uuid4()),
            **changes,
        }
    )


def terra(**changes: Any) -> bytes:
    return orjson.dumps(
        {
            "type": "athlete",
            "user": {"user_id": str(uuid4()), "provider": "GARMIN"},
            "athlete": {},
            **changes,
        }
    )


def healthkit(**changes: Any) -> bytes:
    record = {
        "id": str(uuid4()),
        "type": "HKQuantityTypeIdentifierHeartRate",
        "startDate": "2026-11-24T06:00:00Z",
        "endDate": "2026-11-24T06:00:00Z",
        "value": 61,
        "unit": "bpm",
    }
    return orjson.dumps(
        {
            "provider": "apple",
            "sdkVersion": "0.6.0",
            "syncTimestamp": "2026-11-24T06:01:00Z",
            "data": {"records": [record], "sleep": [], "workouts": []},
            **changes,
        }
    )


BODIES = {"oura": oura, "whoop": whoop, "terra": terra, "healthkit": healthkit}


@pytest.fixture
def person(transactional_db: None) -> Subject:
    """Return somebody whose HealthKit app holds TOKEN."""
    subject = Subject.objects.create(label="Robin")
    VendorConnection.objects.create(
        subject=subject,
        vendor="healthkit",
        account_id=str(subject.id),
        personal_token_sha256=hashlib.sha256(TOKEN.encode()).hexdigest(),
    )
    return subject


def secret_of(vendor: str) -> str | None:
    return TOKEN if vendor == "healthkit" else None


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_genuine_delivery_is_on_disk_when_it_is_accepted(
    bridge: RunningBridge, person: Subject, vendor: str
) -> None:
    body = BODIES[vendor]()
    answer = bridge.deliver(vendor, body, secret=secret_of(vendor))
    assert answer.status == (202 if vendor == "healthkit" else 200), answer.body
    assert answer.json["status"] == "accepted"
    stored = WebhookDelivery.objects.get(public_id=answer.json["id"])
    assert bytes(stored.body or b"") == body
    assert stored.vendor == vendor
    assert stored.status == "pending"


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_duplicate_is_answered_like_the_original(
    bridge: RunningBridge, person: Subject, vendor: str
) -> None:
    body = BODIES[vendor]()
    first = bridge.deliver(vendor, body, secret=secret_of(vendor))
    second = bridge.deliver(vendor, body, secret=secret_of(vendor))
    assert second.status == first.status
    assert second.json["id"] == first.json["id"]
    assert second.json["status"] == "duplicate"
    assert WebhookDelivery.objects.count() == 1
    counts = dict(IntakeCount.objects.values_list("outcome", "count"))
    assert counts == {"stored": 1, "duplicate": 1}


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_forged_delivery_is_refused_and_leaves_nothing_but_a_count(
    bridge: RunningBridge, person: Subject, vendor: str
) -> None:
    answer = bridge.deliver(vendor, BODIES[vendor](), secret="not-the-secret")
    assert answer.status == 401
    assert answer.json["error"] == "unauthenticated"
    bridge.stop()
    assert WebhookDelivery.objects.count() == 0
    assert list(IntakeCount.objects.values_list("vendor", "outcome", "count")) == [
        (vendor, "rejected", 1)
    ]


@pytest.mark.parametrize("vendor", VENDORS)
def test_no_proof_at_all_is_refused(
    bridge: RunningBridge, person: Subject, vendor: str
) -> None:
    answer = bridge.request("POST", f"/webhooks/{vendor}", body=BODIES[vendor]())
    assert answer.status == 401
    assert WebhookDelivery.objects.count() == 0


@pytest.mark.parametrize("vendor", ["oura", "whoop", "terra"])
def test_a_stale_signature_is_refused(bridge: RunningBridge, vendor: str) -> None:
    old = datetime.now(tz=UTC) - timedelta(hours=2)
    answer = bridge.deliver(vendor, BODIES[vendor](), at=old)
    assert answer.status == 401


@pytest.mark.parametrize("vendor", VENDORS)
def test_authenticated_garbage_is_kept_and_parked(
    bridge: RunningBridge, person: Subject, vendor: str
) -> None:
    body = b"\xff\xfe this is not JSON"
    answer = bridge.deliver(vendor, body, secret=secret_of(vendor))
    assert answer.status == 400
    assert answer.json["error"] == "malformed"
    stored = WebhookDelivery.objects.get()
    assert bytes(stored.body or b"") == body
    assert (stored.status, stored.error_code) == ("parked", "malformed")


@pytest.mark.parametrize(
    ("vendor", "body"),
    [
        ("oura", oura(data_type="horoscope")),
        ("whoop", whoop(type="cycle.updated")),
        ("terra", terra(type="horoscope")),
    ],
)
def test_an_unknown_type_is_stored_and_ignored(
    bridge: RunningBridge, vendor: str, body: bytes
) -> None:
    answer = bridge.deliver(vendor, body)
    assert answer.status == 200
    assert answer.json["status"] == "ignored"
    assert WebhookDelivery.objects.get().status == "ignored"


def test_a_trailing_slash_makes_no_difference(bridge: RunningBridge) -> None:
    answer = bridge.deliver("whoop", whoop(), path="/webhooks/whoop/")
    assert answer.status == 200


def test_an_unknown_vendor_is_not_found(bridge: RunningBridge) -> None:
    answer = bridge.request("POST", "/webhooks/acme", body=b"{}")
    assert answer.status == 404
    assert answer.json["error"] == "unknown_vendor"


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_other_methods_are_refused(bridge: RunningBridge, method: str) -> None:
    assert bridge.request(method, "/webhooks/whoop").status == 405


def test_oura_handshake(bridge: RunningBridge) -> None:
    query = "verification_token=oura-verification-token&challenge=abc-123"
    answer = bridge.request("GET", f"/webhooks/oura?{query}")
    assert (answer.status, answer.json) == (200, {"challenge": "abc-123"})


def test_oura_handshake_with_a_wrong_token(bridge: RunningBridge) -> None:
    query = "verification_token=wrong&challenge=abc-123"
    assert bridge.request("GET", f"/webhooks/oura?{query}").status == 401


def test_sdk_sync_path_and_both_key_sets(
    bridge: RunningBridge, person: Subject
) -> None:
    path = f"/api/v1/sdk/users/{person.id}/sync"
    answer = bridge.deliver("healthkit", healthkit(), secret=TOKEN, path=path)
    assert answer.status == 202
    assert answer.json["user_id"] == str(person.id)
    assert answer.json["status_code"] == 202
    assert answer.json["status"] == "accepted"


def test_a_token_does_not_speak_for_another_person(
    bridge: RunningBridge, person: Subject
) -> None:
    path = f"/api/v1/sdk/users/{uuid4()}/sync"
    answer = bridge.deliver("healthkit", healthkit(), secret=TOKEN, path=path)
    assert answer.status == 403
    assert WebhookDelivery.objects.count() == 0


def test_an_announced_body_over_the_cap_is_refused_unread(
    bridge: RunningBridge,
) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", bridge.port, timeout=10)
    connection.putrequest("POST", "/webhooks/whoop")
    connection.putheader("Content-Length", str(2 * 1024 * 1024))
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()


def test_a_chunked_body_over_the_cap_is_refused_while_reading(
    bridge: RunningBridge,
) -> None:
    chunk = b"x" * 65_536
    with socket.create_connection(("127.0.0.1", bridge.port), 10) as peer:
        peer.sendall(
            b"POST /webhooks/whoop HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )
        for _ in range(17):
            peer.sendall(b"10000\r\n" + chunk + b"\r\n")
        assert peer.recv(100).startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize("path", ["/webhooks/whoop", "/api/v1/sdk/users/x/sync"])
def test_a_body_that_never_ends_is_given_up(
    bridge: RunningBridge, settings: Any, path: str
) -> None:
    """By an answer after which apps of phones try again: a 4xx would lose the chunk."""
    settings.INTAKE_READ_TIMEOUT_S = 0.2
    with socket.create_connection(("127.0.0.1", bridge.port), 10) as peer:
        peer.sendall(head(path, 100) + b"{")
        answer = peer.recv(1000)
    assert answer.startswith(b"HTTP/1.1 503")
    assert b"retry-after: 1" in answer.lower()


def head(path: str, length: int) -> bytes:
    return (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {TOKEN}\r\n"
        f"Connection: close\r\nContent-Length: {length}\r\n\r\n"
    ).encode()


def trickle(peer: socket.socket, body: bytes, *, every_s: float = 0.15) -> bytes:
    """Send a body in pieces of 1 KiB; return the answer, whenever it comes."""
    peer.settimeout(every_s)
    for start in range(0, len(body), 1024):
        try:
            peer.sendall(body[start : start + 1024])
            return peer.recv(1000)
        except TimeoutError:
            continue
    peer.settimeout(10)
    return peer.recv(1000)


def test_a_phone_on_a_slow_network_is_read_to_the_end(
    bridge: RunningBridge, person: Subject, settings: Any
) -> None:
    settings.INTAKE_READ_TIMEOUT_S = 1
    body = healthkit(padding="x" * 20_000)
    with socket.create_connection(("127.0.0.1", bridge.port), 10) as peer:
        peer.sendall(head("/webhooks/healthkit", len(body)))
        answer = trickle(peer, body)
    assert answer.startswith(b"HTTP/1.1 202")
    assert bytes(WebhookDelivery.objects.get().body or b"") == body


def test_nobody_is_read_for_longer_than_the_apps_wait(
    bridge: RunningBridge, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.INTAKE_READ_TIMEOUT_S = 0.2
    monkeypatch.setattr("biometrics.handler.LONGEST_READ_S", 0.6)
    with socket.create_connection(("127.0.0.1", bridge.port), 10) as peer:
        peer.sendall(head("/webhooks/healthkit", 100 * 1024))
        assert trickle(peer, b"x" * 99 * 1024).startswith(b"HTTP/1.1 503")


def test_slow_senders_leave_half_of_the_budget_to_the_others(
    bridge: RunningBridge,
    person: Subject,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from biometrics.intake import runtime  # noqa: PLC0415

    assert runtime._runtime is not None
    gate = runtime._runtime.gate
    monkeypatch.setattr(gate, "_max_bytes", 64 * 1024)
    settings.INTAKE_READ_TIMEOUT_S = 1
    address = ("127.0.0.1", bridge.port)
    with ExitStack() as stack:
        slow = [
            stack.enter_context(socket.create_connection(address, 10)) for _ in "12"
        ]
        for peer in slow:
            peer.sendall(head("/webhooks/healthkit", 60 * 1024) + b"x" * 20 * 1024)
        # One of the two is more than the share holds: it is not waited for.
        answered, _, _ = select.select(slow, [], [], 10)
        assert [peer.recv(1000)[:12] for peer in answered] == [b"HTTP/1.1 503"]
        body = healthkit(padding="x" * 30_000)
        assert bridge.deliver("healthkit", body, secret=TOKEN).status == 202
    assert WebhookDelivery.objects.count() == 1


def test_a_push_vendor_may_send_megabytes(bridge: RunningBridge) -> None:
    body = terra(padding="x" * (3 * 1024 * 1024))
    answer = bridge.deliver("terra", body)
    assert answer.status == 200, answer.body
    assert bytes(WebhookDelivery.objects.get().body or b"") == body


def test_doubled_signature_headers_are_refused(bridge: RunningBridge) -> None:
    with socket.create_connection(("127.0.0.1", bridge.port), 10) as peer:
        peer.sendall(
            b"POST /webhooks/whoop HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            b"X-WHOOP-Signature: abc\r\nX-WHOOP-Signature: def\r\n"
            b"X-WHOOP-Signature-Timestamp: 1\r\nContent-Length: 2\r\n\r\n{}"
        )
        assert peer.recv(100).startswith(b"HTTP/1.1 401")


def test_only_harmless_headers_are_kept(bridge: RunningBridge, person: Subject) -> None:
    bridge.deliver("healthkit", healthkit(), secret=TOKEN, headers={"x-odd": "1"})
    kept = WebhookDelivery.objects.get().headers
    assert "authorization" not in kept
    assert "x-odd" not in kept
    assert kept["content-type"] == "application/json"
    assert TOKEN not in str(kept)


def test_a_traceparent_is_kept_when_it_is_one(bridge: RunningBridge) -> None:
    good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    bridge.deliver("whoop", whoop(), headers={"traceparent": good})
    bridge.deliver("whoop", whoop(), headers={"traceparent": "nonsense"})
    kept = WebhookDelivery.objects.order_by("id").values_list("traceparent", flat=True)
    assert list(kept) == [good, ""]


def test_more_requests_than_allowed_are_sent_away_for_a_second(
    bridge: RunningBridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    from biometrics.intake import runtime  # noqa: PLC0415

    assert runtime._runtime is not None
    monkeypatch.setattr(runtime._runtime.gate, "_max_requests", 0)
    answer = bridge.deliver("whoop", whoop())
    assert answer.status == 503
    assert answer.headers["retry-after"] == "1"
    assert bridge.request("GET", "/health").status == 200


def test_health_says_exactly_this(bridge: RunningBridge) -> None:
    answer = bridge.request("GET", "/health")
    assert answer.status == 200
    assert answer.body == b'{"status":"healthy","service":"biometric-bridge"}'


def test_ready_degrades_without_redis_kafka_and_workers(bridge: RunningBridge) -> None:
    answer = bridge.request("GET", "/ready")
    assert answer.status == 200
    assert answer.json["status"] == "degraded"
    assert set(answer.json["reasons"]) == {"redis", "kafka", "workers"}


def test_metrics_count_deliveries(bridge: RunningBridge) -> None:
    bridge.deliver("whoop", whoop())
    text = bridge.request("GET", "/metrics").body.decode()
    assert 'biobridge_deliveries_total{outcome="accepted",vendor="whoop"}' in text
    assert 'biobridge_queue_depth{queue="deliveries",status="pending"} 1.0' in text


@pytest.mark.usefixtures("person")
def test_secrets_are_counted_from_0_and_a_persons_token_is_none_of_them(
    bridge: RunningBridge,
) -> None:
    """AUREN_WEBHOOK_SECRET_TERRA is terra-old-secret,terra-signing-secret here."""

    def used() -> Counter[str]:
        text = bridge.request("GET", "/metrics").body.decode()
        name = "biobridge_secret_slot_used_total"
        found = re.findall(rf"{name}\{{(.*)\}} (.*)", text)
        return Counter({labels: int(float(count)) for labels, count in found})

    before = used()
    for vendor, secret in (
        ("terra", "terra-old-secret"),
        ("terra", "terra-signing-secret"),
        ("terra", "terra-signing-secret"),
        ("healthkit", TOKEN),
    ):
        body = BODIES[vendor](mark=str(uuid4()))
        assert bridge.deliver(vendor, body, secret=secret).status in {200, 202}
    counted = used() - before
    assert counted == {'slot="0",vendor="terra"': 1, 'slot="1",vendor="terra"': 2}
    assert [
        secret_use.proof_of(row) for row in WebhookDelivery.objects.order_by("id")
    ] == [
        "secret 0 of terra (counted from 0)",
        "secret 1 of terra (counted from 0)",
        "secret 1 of terra (counted from 0)",
        "the person's own token",
    ]


def test_metrics_are_read_while_the_database_is_away(
    bridge: RunningBridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(**_: Any) -> None:
        raise OperationalError

    bridge.deliver("whoop", whoop())
    monkeypatch.setattr(selectors, "depths", away)
    answer = bridge.request("GET", "/metrics")
    assert answer.status == 200
    assert "biobridge_deliveries_total{" in answer.body.decode()
    assert "biobridge_queue_depth" not in answer.body.decode()


def test_metrics_do_not_ask_a_database_whose_circuit_is_open(
    bridge: RunningBridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(selectors, "depths", lambda **_: asked.append("tables"))
    breaker = get_breaker("database")
    for _ in range(3):
        with suppress(OperationalError), breaker:
            raise OperationalError
    assert breaker.snapshot().state == "open"
    try:
        assert bridge.request("GET", "/metrics").status == 200
    finally:
        circuits.clear()
    assert asked == []


def test_a_vendor_without_secret_is_told_to_wait(
    bridge: RunningBridge, settings: Any
) -> None:
    from biometrics import ingest  # noqa: PLC0415

    settings.AUREN_WEBHOOK_SECRETS = {}
    ingest.credentials_of.cache_clear()
    try:
        answer = bridge.deliver("whoop", whoop())
    finally:
        ingest.credentials_of.cache_clear()
    assert answer.status == 503
    assert "AUREN_WEBHOOK_SECRET_WHOOP" in answer.json["detail"]
    assert WebhookDelivery.objects.count() == 0
