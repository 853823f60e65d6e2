"""What the processes of this host have counted, as Prometheus reads it."""

from __future__ import annotations

import hmac
import ipaddress
import os
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from django.conf import settings
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST, ThreadingWSGIServer
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import REGISTRY

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

REFUSAL = "See METRICS_ALLOWED_IPS, METRICS_TOKEN."


def of_this_host() -> bytes:
    """Return the sums over all processes that share PROMETHEUS_MULTIPROC_DIR."""
    folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    if not folder:
        return generate_latest(REGISTRY)
    _forget_the_dead(Path(folder))
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)


def may_read(*, address: str, authorization: str) -> bool:
    """Say whether a caller may have the numbers: by its token, else by its address."""
    scheme, _, token = authorization.partition(" ")
    if settings.METRICS_TOKEN and scheme.lower() == "bearer":
        return hmac.compare_digest(token.encode(), settings.METRICS_TOKEN.encode())
    try:
        caller = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(
        caller in ipaddress.ip_network(allowed, strict=False)
        for allowed in settings.METRICS_ALLOWED_IPS
    )


def serve(port: int) -> WSGIServer:
    """Answer /metrics on a port of its own, for hosts without a web process."""
    server = make_server(
        "", port, _application, ThreadingWSGIServer, handler_class=_Quiet
    )
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    return server


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Keep scrapes out of the log."""


def _application(
    environ: WSGIEnvironment, start_response: StartResponse
) -> Iterable[bytes]:
    allowed = may_read(
        address=environ.get("REMOTE_ADDR", ""),
        authorization=environ.get("HTTP_AUTHORIZATION", ""),
    )
    if not allowed:
        start_response("403 Forbidden", [("Content-Type", "text/plain")])
        return [REFUSAL.encode()]
    body = of_this_host()
    start_response("200 OK", [("Content-Type", CONTENT_TYPE_LATEST)])
    return [body]


def _forget_the_dead(folder: Path) -> None:
    """Take out the gauges of processes that were killed and could not do it.

    Without this, what such a process was in the middle of would count for ever.
    """
    for path in folder.glob("gauge_live*_*.db"):
        pid = path.stem.rpartition("_")[2]
        if pid.isdigit() and not _is_alive(int(pid)):
            path.unlink(missing_ok=True)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
