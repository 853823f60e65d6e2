"""Terra's ping mode: what an address leads to is fetched once, and only from Terra."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import orjson
import pytest
from aiohttp import web
from celery.exceptions import SoftTimeLimitExceeded
from django.db import connection
from django.test.utils import CaptureQueriesContext

from biometrics import deliveries, payload_rows, payloads, pipeline, stopping
from biometrics.admin import as_command
from biometrics.connections import registry
from biometrics.models import Reading, WebhookDelivery
from biometrics.vendors.registry import get_adapter
from biometrics.vendors.terra.adapter import Terra
from biometrics.vendors.wire import Envelope
from resilience import get_breaker
from tests.pipeline.bucket import (
    DAILY,
    HOST,
    SECRET,
    URL,
    Bucket,
    payload,
    ping,
    push,
    run,
)
from tests.pipeline.world import World
from tests.vendors.deliveries import NOW

pytestmark = pytest.mark.usefixtures("fresh_breakers")


@pytest.mark.parametrize("why", ["stopped", "late"])
def test_a_batch_that_is_stopped_or_takes_long_leaves_the_rest_as_it_was(
    world: World, bucket: Bucket, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    for _ in range(9):
        ping(world)
    if why == "late":
        monkeypatch.setattr(payloads, "SECONDS", 0.0)
    else:

        def told_to_stop() -> web.Response:
            stopping.ask()
            return web.Response(body=DAILY)

        bucket.answer = told_to_stop
    try:
        world.run()
    finally:
        stopping.forget()
    assert len(bucket.asked) == payloads.AT_ONCE
    left = WebhookDelivery.objects.filter(event_type="s3_payload", status="pending")
    assert [row.unfinished for row in left] == [0] * 5


@pytest.mark.parametrize(
    "addresses", [("127.0.0.1",), ("52.95.150.1", "10.1.2.3"), ("::ffff:10.0.0.1",)]
)
def test_no_download_goes_to_an_address_that_is_not_public(
    world: World, monkeypatch: pytest.MonkeyPatch, addresses: tuple[str, ...]
) -> None:
    asked, real = [], socket.getaddrinfo

    def lookup(host: str, port: int, *given: Any, **named: Any) -> list[Any]:
        if host != HOST:
            return real(host, port, *given, **named)
        asked.append(host)
        kind = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
        return [(*kind, (address, port)) for address in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    delivery = run(world, ping(world))
    assert (delivery.status, delivery.error_code) == ("retrying", "vendor_unavailable")
    # Not tried at all: a refused connection would be another error.
    assert "leads into a network of ours" in delivery.error
    assert asked == [HOST]


def test_the_payload_is_fetched_and_goes_the_way_of_its_person(
    world: World, bucket: Bucket
) -> None:
    delivery = run(world, ping(world))
    assert (delivery.status, delivery.error) == ("processed", "")
    # The signature as it was written, or S3 would not take it.
    assert bucket.asked == [f"/payloads/1/daily.json?{SECRET}"]
    found = payload()
    account = orjson.loads(DAILY)["user"]["user_id"]
    assert (found.account_id, found.event_type) == (account, "daily")
    assert found.origin == "announced"
    assert bytes(found.body or b"") == DAILY
    assert found.status == "processed"
    assert registry.lookup([("terra", account)])
    assert Reading.objects.exists()


def test_a_replay_needs_no_network_and_fetches_nothing_twice(
    world: World, bucket: Bucket
) -> None:
    delivery = run(world, ping(world))
    world.wait(days=1)
    deliveries.make_due(WebhookDelivery.objects.filter(id=delivery.id))
    assert run(world, delivery).status == "processed"
    assert len(bucket.asked) == 1
    assert payload().status == "processed"


def test_what_opens_the_address_is_kept_until_it_was_used_and_never_shown(
    world: World, bucket: Bucket
) -> None:
    delivery = ping(world)
    assert SECRET.encode() in bytes(delivery.body or b"")
    assert SECRET.encode() not in (payload_rows.shown_body(delivery) or b"")
    assert SECRET not in as_command.curl(delivery)
    assert SECRET.encode() not in as_command.body_file(delivery).content
    delivery = run(world, delivery)
    assert SECRET.encode() not in bytes(delivery.body or b"")
    assert HOST.encode() in bytes(delivery.body or b"")
    assert bucket.asked


def test_an_address_that_ran_out_is_parked_with_advice_unasked(
    world: World, bucket: Bucket
) -> None:
    delivery = ping(world)
    world.wait(seconds=300)
    delivery = run(world, delivery)
    assert (delivery.status, delivery.error_code) == ("parked", "payload_expired")
    assert "manage.py backfill" in delivery.error
    assert not bucket.asked


def test_a_bucket_that_is_away_is_asked_again_before_the_address_runs_out(
    world: World, bucket: Bucket, caplog: pytest.LogCaptureFixture
) -> None:
    bucket.answer = lambda: web.Response(status=503)
    delivery = run(world, ping(world))
    assert (delivery.status, delivery.error_code) == ("retrying", "vendor_unavailable")
    assert SECRET not in delivery.error
    assert delivery.next_attempt_at is not None
    assert delivery.next_attempt_at < NOW + timedelta(seconds=300)
    bucket.answer = lambda: web.Response(body=DAILY)
    world.now = delivery.next_attempt_at
    assert run(world, delivery).status == "processed"
    assert payload().status == "processed"
    assert SECRET not in caplog.text


@pytest.mark.parametrize("status", [429, 503])
def test_a_bucket_is_left_alone_for_as_long_as_it_says(
    world: World, bucket: Bucket, status: int
) -> None:
    headers = {"Retry-After": "60"}
    bucket.answer = lambda: web.Response(status=status, headers=headers)
    delivery = run(world, ping(world))
    assert delivery.status == "retrying"
    assert delivery.next_attempt_at is not None
    wait = (delivery.next_attempt_at - NOW).total_seconds()
    assert 60 <= wait <= 75


def test_an_open_circuit_is_not_passed(world: World, bucket: Bucket) -> None:
    get_breaker("vendor:terra").trip(retry_after=60)
    delivery = run(world, ping(world))
    assert (delivery.status, delivery.error_code) == ("retrying", "vendor_unavailable")
    assert not bucket.asked
    assert SECRET.encode() in bytes(delivery.body or b"")


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (lambda: web.Response(status=403), "payload_refused"),
        (lambda: web.Response(status=404), "payload_refused"),
        (lambda: web.Response(body=b'{"type":"s3_payload"}'), "unreadable"),
    ],
    ids=["forbidden", "gone", "another"],
)
def test_what_is_no_payload_is_parked(
    world: World, bucket: Bucket, answer: Callable[[], web.Response], code: str
) -> None:
    bucket.answer = answer
    delivery = run(world, ping(world))
    assert (delivery.status, delivery.error_code) == ("parked", code)
    assert SECRET not in delivery.error
    assert WebhookDelivery.objects.count() == 1


@pytest.mark.parametrize(
    "body",
    [
        DAILY,
        b"<html>",
        b'{"type":"daily","data":[]}',
        b'{"type":"processing","user":{"user_id":"u1"}}',
        b'{"type":"daily","user":{"user_id":"u1"},"data":"none"}',
    ],
    ids=["of a stranger", "no JSON", "of nobody", "without data", "unusable"],
)
def test_what_is_fetched_ends_as_if_it_had_been_pushed(
    world: World, bucket: Bucket, settings: Any, body: bytes
) -> None:
    settings.AUTO_PROVISION_SUBJECTS = False
    pushed = push(body)
    bucket.answer = lambda: web.Response(body=body)
    assert run(world, ping(world)).status == "processed"
    found = payload(pushed)
    pushed.refresh_from_db()
    for name in (
        *("account_id", "reference", "event_type", "shard"),
        *("status", "error_code", "error", "next_attempt_at"),
    ):
        assert getattr(found, name) == getattr(pushed, name), name
    assert found.status in {"unlinked", "parked", "ignored"}
    assert bytes(found.body or b"") == body


def test_no_payload_can_pass_for_what_we_listed(world: World, bucket: Bucket) -> None:
    """Lists of our own are trusted to be what they say, and name their type so."""
    said = {**orjson.loads(DAILY), "type": "connection.listed", "change": "revoked"}
    bucket.answer = lambda: web.Response(body=orjson.dumps(said))
    run(world, ping(world))
    assert payload().status == "ignored"
    deliveries.make_due(WebhookDelivery.objects.filter(id=payload().id))
    world.run()
    assert (payload().status, payload().error_code) == ("ignored", "ignored")


def test_the_payload_of_a_stranger_waits_and_goes_on_once_it_is_linked(
    world: World, bucket: Bucket, settings: Any
) -> None:
    settings.AUTO_PROVISION_SUBJECTS = False
    delivery = run(world, ping(world))
    # Asked for again before anybody knew whose it is.
    deliveries.make_due(WebhookDelivery.objects.filter(id=delivery.id))
    assert run(world, delivery).status == "processed"
    assert payload().status == "unlinked"
    account = payload().account_id
    registry.add_connection(vendor="terra", account_id=account, label="Ada")
    world.run()
    assert payload().status == "processed"
    readings = Reading.objects.count()
    assert readings
    world.wait(days=1)
    deliveries.make_due(WebhookDelivery.objects.filter(id=delivery.id))
    assert run(world, delivery).status == "processed"
    assert payload().processed_at == world.now
    assert Reading.objects.count() == readings
    assert len(bucket.asked) == 1


def test_workers_are_told_of_what_was_fetched_and_of_nothing_else(
    world: World, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[int] = []
    monkeypatch.setattr("biometrics.nudges.nudge_processing", told.extend)
    delivery = ping(world)
    for _ in range(2):
        # The first time it is fetched, the second time it is here.
        deliveries.make_due(WebhookDelivery.objects.filter(id=delivery.id))
        pipeline.process_shard(shard=delivery.shard, now=world.clock, budget_s=0)
        assert told == [payload().shard]
        run(world, delivery)
        told.clear()
    bucket.answer = lambda: web.Response(body=b"<html>")
    first = payload()
    run(world, ping(world))
    assert payload(first).error_code == "malformed"
    assert told == []


def test_what_the_database_refuses_of_a_payload_parks_its_announcement_alone(
    world: World, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Terra.envelope

    def envelope(*given: Any, **named: Any) -> Envelope:
        return replace(real(*given, **named), reference="\ud800")

    monkeypatch.setattr(Terra, "envelope", envelope)
    delivery = run(world, ping(world))
    assert (delivery.status, delivery.error_code) == ("parked", "not_stored")
    assert WebhookDelivery.objects.count() == 1


def test_a_task_whose_time_is_up_parks_no_announcement(
    world: World, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [ping(world), ping(world)]

    def up(*_: object, **__: object) -> None:
        raise SoftTimeLimitExceeded

    with monkeypatch.context() as patched:
        patched.setattr(Terra, "envelope", up)
        with pytest.raises(SoftTimeLimitExceeded):
            world.run()
    for row in rows:
        row.refresh_from_db()
        assert row.status == "pending"
        assert SECRET.encode() in bytes(row.body or b"")
    assert [run(world, row).status for row in rows] == ["processed"] * 2


def test_a_batch_of_announcements_asks_the_database_no_more_than_one(
    world: World, bucket: Bucket
) -> None:
    # Its leases and its person are made by the first.
    run(world, ping(world))
    asked = []
    for count in (1, payloads.AT_ONCE):
        rows = [ping(world) for _ in range(count)]
        with CaptureQueriesContext(connection) as queries:
            pipeline.process_shard(shard=rows[0].shard, now=world.clock, budget_s=0)
        asked.append(len(queries))
        world.run()
    assert WebhookDelivery.objects.filter(status="processed").count() == 12
    assert asked[0] == asked[1]


def test_no_redirect_is_followed(world: World, bucket: Bucket) -> None:
    bucket.answer = lambda: web.Response(status=307, headers={"Location": URL})
    assert run(world, ping(world)).status != "processed"
    assert len(bucket.asked) == 1


def test_a_payload_beyond_the_limit_is_not_read_to_its_end(
    world: World, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(get_adapter("terra")), "max_body_bytes", 1000)
    bucket.answer = lambda: web.Response(body=b"x" * 1001)
    delivery = run(world, ping(world))
    assert (delivery.status, delivery.error_code) == ("parked", "payload_refused")
    assert "larger" in delivery.error


@pytest.mark.parametrize(
    "url",
    [
        f"http://{HOST}/a?{SECRET}",
        f"https://{HOST}:8443/a?{SECRET}",
        f"https://me@{HOST}/a?{SECRET}",
        f"https://{HOST}@127.0.0.1/a?{SECRET}",
        f"https://{HOST}.evil.example/a?{SECRET}",
        f"https://evil.example/{HOST}?{SECRET}",
        f"https://evil.example\\@{HOST}/a?{SECRET}",
        f"https://127.0.0.1/a?{SECRET}",
        f"https://[::1]/a?{SECRET}",
        f"https://169.254.169.254/a?{SECRET}",
        f"file:///etc/passwd?{SECRET}",
        f"https://[/a?{SECRET}",
        "",
        7,
        None,
    ],
)
def test_no_other_address_is_asked(world: World, bucket: Bucket, url: object) -> None:
    delivery = run(world, ping(world, url=url))
    assert (delivery.status, delivery.error_code) == ("parked", "unreadable")
    assert SECRET not in delivery.error
    assert SECRET.encode() not in bytes(delivery.body or b"")
    assert not bucket.asked


def test_the_hosts_are_a_setting(world: World, bucket: Bucket, settings: Any) -> None:
    settings.AUREN_VENDORS = {"terra": {"payload_hosts": ["elsewhere.example"]}}
    delivery = run(world, ping(world))
    assert delivery.status == "parked"
    assert "AUREN_TERRA_PAYLOAD_HOSTS" in delivery.error
    assert not bucket.asked
