"""A bucket of payloads on the loopback, and the deliveries that announce them."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any, TypeAlias, cast

import aiohttp
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from biometrics import ingest
from biometrics.errors import MalformedPayloadError
from biometrics.intake.rows import DeliveryRow
from biometrics.intake.runtime import IntakeRuntime
from biometrics.models import WebhookDelivery
from biometrics.vendors.registry import get_adapter
from biometrics.vendors.wire import InboundRequest
from tests import signer
from tests.bridge import SECRETS
from tests.pipeline.world import World
from tests.vendors.deliveries import NOW, fixture

HOST = "terra-payload-bucket.s3.eu-west-2.amazonaws.com"
SECRET = "X-Amz-Signature=0123abcd%2Fef"
URL = f"https://{HOST}/payloads/1/daily.json?{SECRET}"
DAILY = fixture("terra", "webhook_daily.json")


Streaming: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Bucket:
    """A server of payloads on the loopback, known by the bucket's name alone."""

    def __init__(self, folder: Path) -> None:
        self.asked: list[str] = []
        self.answer: Callable[[], web.Response | Streaming] = lambda: web.Response(
            body=DAILY
        )
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
        return connector(port=self.port, trusted=self.trusted)

    async def _serve(self) -> None:
        async def answer(request: web.Request) -> web.StreamResponse:
            self.asked.append(request.raw_path)
            said = self.answer()
            if isinstance(said, web.Response):
                return said
            return await said(request)

        application = web.Application()
        application.router.add_get("/{path:.*}", answer)
        self._runner = web.AppRunner(
            application, access_log=None, handler_cancellation=True
        )
        await self._runner.setup()
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.trusted, self._folder / "key.pem")
        site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=context)
        await site.start()
        self.port = self._runner.addresses[0][1]


def connector(*, port: int, trusted: Path) -> aiohttp.TCPConnector:
    """Return what takes every name for a bucket at this port of the loopback."""
    context = ssl.create_default_context(cafile=str(trusted))
    return aiohttp.TCPConnector(ssl=context, resolver=_Resolver(port))


def in_pieces(
    pieces: Iterable[bytes], *, every_s: float = 0.0, size: int | None = None
) -> Streaming:
    """Answer piece by piece, as slowly as that; without its size where none is given."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.content_length = size
        await response.prepare(request)
        with contextlib.suppress(ConnectionError):
            for piece in pieces:
                await response.write(piece)
                await asyncio.sleep(every_s)
            await response.write_eof()
        return response

    return answer


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


def ping(
    world: World, *, columns: dict[str, Any] | None = None, **said: Any
) -> WebhookDelivery:
    """Store an announcement as Terra sends it; `said` changes what it says."""
    world.now = NOW
    body = {"type": "s3_payload", "status": "success", "url": URL, "expires_in": 300}
    delivery = world.store(
        {**body, **said}, vendor="terra", account="", **(columns or {})
    )
    delivery.event_type = "s3_payload"
    delivery.save()
    return delivery


def run(world: World, delivery: WebhookDelivery) -> WebhookDelivery:
    """Have the announcement worked off, and then what it led to."""
    world.run()
    world.run()
    delivery.refresh_from_db()
    return delivery


def payload(*others: WebhookDelivery) -> WebhookDelivery:
    """Return what an announcement led to: the one delivery that is none of these."""
    rest = WebhookDelivery.objects.exclude(event_type="s3_payload")
    return rest.exclude(id__in=[one.id for one in others]).get()


class _Writer:
    """Takes rows as the writer of intake does, into Django's own connection."""

    def __init__(self) -> None:
        self.rows: list[DeliveryRow] = []

    async def write(self, row: DeliveryRow) -> bool:
        self.rows.append(row)
        return True


def push(body: bytes) -> WebhookDelivery:
    """Take a body in as Terra's webhook does."""
    proof = signer.headers("terra", secret=SECRETS["terra"], body=body, at=NOW)
    request = InboundRequest(
        method="POST",
        path="/webhooks/terra",
        headers=list(proof.items()),
        query={},
        body=body,
        received_at=NOW,
    )
    writer = _Writer()
    runtime = cast("IntakeRuntime", SimpleNamespace(writer=writer))
    with contextlib.suppress(MalformedPayloadError):
        asyncio.run(
            ingest.admit(request, adapter=get_adapter("terra"), runtime=runtime)
        )
    (row,) = writer.rows
    named = {field.name: getattr(row, field.name) for field in fields(row)}
    return WebhookDelivery.objects.create(**named)
