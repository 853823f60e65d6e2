"""Terra's ping mode: what an address leads to is fetched once, and only from Terra."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread
from typing import Any

import aiohttp
import orjson
import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from biometrics import deliveries, payloads, stopping
from biometrics.admin import as_command
from biometrics.connections import downloads, registry
from biometrics.models import Reading, WebhookDelivery
from biometrics.vendors.registry import get_adapter
from tests.pipeline.world import World
from tests.vendors.deliveries import NOW, fixture

HOST = "terra-payload-bucket.s3.eu-west-2.amazonaws.com"
SECRET = "X-Amz-Signature=0123abcd%2Fef"
URL = f"https://{HOST}/payloads/1/daily.json?{SECRET}"
DAILY = fixture("terra", "webhook_daily.json")

pytestmark = pytest.mark.usefixtures("fresh_breakers")


class Bucket:
    """A server of payloads on the loopback, known by the bucket's name alone."""

    def __init__(self, folder: Path) -> None:
        self.asked: list[str] = []
        self.answer: Callable[[], web.Response] = lambda: web.Response(body=DAILY)
        self.trusted = _certificate(folder)
        self._folder = folder
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, daemon=True)
        self.port = 0

    def start(self) -> None:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._serve(), self._loop).result(10)

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def connector(self) -> aiohttp.TCPConnector:
        context = ssl.create_default_context(cafile=str(self.trusted))
        return aiohttp.TCPConnector(ssl=context, resolver=_Resolver(self.port))

    async def _serve(self) -> None:
        async def answer(request: web.Request) -> web.Response:
            self.asked.append(request.raw_path)
            return self.answer()

        application = web.Application()
        application.router.add_get("/{path:.*}", answer)
        self._runner = web.AppRunner(application, access_log=None)
        await self._runner.setup()
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.trusted, self._folder / "key.pem")
        site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=context)
        await site.start()
        self.port = self._runner.addresses[0][1]


class _Resolver(AbstractResolver):
    def __init__(self, port: int) -> None:
        self._port = port

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host,
                host="127.0.0.1",
                port=self._port,
                family=socket.AF_INET,
                proto=0,
                flags=0,
            )
        ]

    async def close(self) -> None:
        pass


def _certificate(folder: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "bucket")])
    today = datetime.now(UTC)
    names = x509.SubjectAlternativeName([x509.DNSName(HOST)])
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(today - timedelta(days=1))
        .not_valid_after(today + timedelta(days=1))
        .add_extension(names, critical=False)
        .sign(key, hashes.SHA256())
    )
    form = serialization.Encoding.PEM
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            form,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    (folder / "certificate.pem").write_bytes(built.public_bytes(form))
    return folder / "certificate.pem"


@pytest.fixture
def bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    server = Bucket(tmp_path)
    server.start()
    monkeypatch.setattr(downloads, "connector", server.connector)
    yield server
    server.stop()


def ping(world: World, **said: Any) -> WebhookDelivery:
    world.now = NOW
    body = {"type": "s3_payload", "status": "success", "url": URL, "expires_in": 300}
    delivery = world.store({**body, **said}, vendor="terra", account="")
    delivery.event_type = "s3_payload"
    delivery.save()
    return delivery


def run(world: World, delivery: WebhookDelivery) -> WebhookDelivery:
    world.run()
    world.run()
    delivery.refresh_from_db()
    return delivery


def payload() -> WebhookDelivery:
    return WebhookDelivery.objects.exclude(event_type="s3_payload").get()


@pytest.mark.parametrize("why", ["stopped", "late"])
def test_a_batch_that_is_stopped_or_takes_long_leaves_the_rest_as_it_was(
    world: World, bucket: Bucket, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    for _ in range(9):
        ping(world)
    if why == "late":
        monkeypatch.setattr(payloads, "SECONDS", 0.0)
    else:
        real = payloads.fetch

        def told_to_stop(*given: Any, **named: Any) -> None:
            real(*given, **named)
            stopping.ask()

        monkeypatch.setattr(payloads, "fetch", told_to_stop)
    try:
        world.run()
    finally:
        stopping.forget()
    assert len(bucket.asked) == payloads.AT_ONCE
    left = WebhookDelivery.objects.filter(event_type="s3_payload", status="pending")
    assert [row.unfinished for row in left] == [0] * 5


def test_no_download_goes_to_an_address_that_is_not_public() -> None:
    async def ask() -> None:
        async with downloads.open_downloads() as http:
            await http.get("http://localhost:1/")

    # Not tried at all: a refused connection would be another error.
    with pytest.raises(aiohttp.ClientConnectorDNSError):
        asyncio.run(ask())


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
    assert SECRET.encode() not in (payloads.shown_body(delivery) or b"")
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


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (lambda: web.Response(status=403), "payload_refused"),
        (lambda: web.Response(status=404), "payload_refused"),
        (lambda: web.Response(body=b"<html>"), "unreadable"),
        (lambda: web.Response(body=b'{"type":"daily","data":[]}'), "unreadable"),
        (lambda: web.Response(body=b'{"type":"s3_payload"}'), "unreadable"),
    ],
    ids=["forbidden", "gone", "no JSON", "of nobody", "another"],
)
def test_what_is_no_payload_is_parked(
    world: World, bucket: Bucket, answer: Callable[[], web.Response], code: str
) -> None:
    bucket.answer = answer
    delivery = run(world, ping(world))
    assert (delivery.status, delivery.error_code) == ("parked", code)
    assert SECRET not in delivery.error
    assert WebhookDelivery.objects.count() == 1


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


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("169.254.169.254", False),
        ("::1", False),
        ("fd00::1", False),
        ("::ffff:10.0.0.1", False),
        ("224.0.0.1", False),
        ("52.95.150.1", True),
        ("2a05:d050::1", True),
    ],
)
def test_names_that_lead_into_our_network_are_not_followed(
    address: str,
    public: bool,  # noqa: FBT001
) -> None:
    assert downloads.is_public(address) is public


def test_a_name_of_the_loopback_is_refused() -> None:
    async def resolve() -> None:
        resolver = downloads.PublicResolver()
        try:
            await resolver.resolve("localhost", 443)
        finally:
            await resolver.close()

    with pytest.raises(OSError, match="not public"):
        asyncio.run(resolve())
