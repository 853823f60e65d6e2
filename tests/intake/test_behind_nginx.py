"""ops/nginx/auren.conf in Debian's nginx: what vendors and staff send comes through."""

from __future__ import annotations

import http.client
import os
import re
import signal
import sqlite3
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlencode

import orjson
import pytest

from auren.devstack.process import ManagedProcess
from auren.devstack.services import accepts, free_port
from tests.bridge import SECRETS
from tests.intake.restarting import PATIENCE_S, Senders, Web, delivery, until
from tests.signer import terra, unix_seconds

ROOT = Path(__file__).resolve().parents[2]
NAME = "bridge.example.org"
BEHIND = {
    "AUREN_TLS": "true",
    "ALLOWED_HOSTS": NAME,
    "PUBLIC_URL": f"https://{NAME}",
    "CSRF_TRUSTED_ORIGINS": f"https://{NAME}",
}
# The whole server around the example; nothing outside of the folder is used.
MAIN = """
{user}
daemon off;
pid {home}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 512; }}
http {{
    client_body_temp_path {home}/body;
    proxy_temp_path {home}/proxy;
    fastcgi_temp_path {home}/fastcgi;
    uwsgi_temp_path {home}/uwsgi;
    scgi_temp_path {home}/scgi;
    include {home}/auren.conf;
}}
"""


class Proxy:
    """nginx with the example, in which only ports and the certificate's place differ."""

    def __init__(self, home: Path, *, nginx: str, webs: list[Web]) -> None:
        self.home, self._nginx = home, nginx
        self.port, self.plain_port = free_port(), free_port()
        self._make_certificate()
        (home / "auren.conf").write_text(self._adapted(webs))
        user = "user root;" if os.geteuid() == 0 else ""
        (home / "nginx.conf").write_text(MAIN.format(user=user, home=home))

    def _adapted(self, webs: list[Web]) -> str:
        text = (ROOT / "ops" / "nginx" / "auren.conf").read_text()
        (line,) = re.findall(r"server 127\.0\.0\.1:8889.*;", text)
        lines = [line.replace("8889", str(web.port)) for web in webs]
        changes = {
            line: "\n".join(lines),
            "listen 443": f"listen 127.0.0.1:{self.port}",
            "listen 80": f"listen 127.0.0.1:{self.plain_port}",
            "/etc/ssl/bridge.example.org.pem": f"{self.home}/cert.pem",
            "/etc/ssl/private/bridge.example.org.key": f"{self.home}/key.pem",
        }
        for old, new in changes.items():
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        return text

    def _make_certificate(self) -> None:
        subprocess.run(
            [
                *("openssl", "req", "-x509", "-newkey", "ec"),
                *("-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
                *("-subj", f"/CN={NAME}", "-days", "2"),
                *("-keyout", self.home / "key.pem", "-out", self.home / "cert.pem"),
            ],
            check=True,
            capture_output=True,
        )

    def check(self) -> subprocess.CompletedProcess[str]:
        argv = [self._nginx, "-t", "-p", self.home, "-c", self.home / "nginx.conf"]
        return subprocess.run(argv, capture_output=True, text=True, check=False)

    def start(self) -> None:
        argv = [self._nginx, "-p", self.home, "-c", self.home / "nginx.conf"]
        self._process = ManagedProcess(name="nginx", argv=argv)
        until(lambda: accepts(self.port), "nginx listens")

    def stop(self) -> None:
        self._process.kill9()

    def connect(self, *, source: str = "127.0.0.1") -> http.client.HTTPSConnection:
        """Return an open connection of a client that keeps it."""
        trusting = ssl.create_default_context(cafile=str(self.home / "cert.pem"))
        trusting.check_hostname = False
        connection = http.client.HTTPSConnection(
            "127.0.0.1",
            self.port,
            timeout=PATIENCE_S,
            context=trusting,
            source_address=(source, 0),
        )
        connection.connect()
        return connection

    def ask(
        self, method: str, path: str, body: bytes = b"", **headers: str
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        with closing(self.connect(source="127.0.0.2")) as client:
            client.request(method, path, body or None, {"Host": NAME, **named})
            answer = client.getresponse()
            return answer.status, answer.headers, answer.read()


@pytest.fixture(scope="module")
def home(services_dir: Path) -> Path:
    folder = services_dir / "behind-nginx"
    folder.mkdir()
    return folder


@pytest.fixture(scope="module")
def webs(home: Path) -> Iterator[list[Web]]:
    started = [Web(home, processes=2, extra=BEHIND) for _ in range(2)]
    yield started
    for web in started:
        web.kill()


@pytest.fixture(scope="module")
def proxy(home: Path, webs: list[Web], nginx: str) -> Iterator[Proxy]:
    running = Proxy(home, nginx=nginx, webs=webs)
    checked = running.check()
    assert checked.returncode == 0, checked.stderr
    assert "[warn]" not in checked.stderr
    running.start()
    yield running
    running.stop()


def padded(*, size: int) -> bytes:
    """Return a delivery of Terra of exactly this size."""
    body = orjson.dumps({"type": "athlete", "user": {"user_id": "p"}, "athlete": {}})
    return body[:-1] + b" " * (size - len(body)) + b"}"


def signed(body: bytes) -> dict[str, str]:
    at = unix_seconds(datetime.now(tz=UTC))
    return terra(secret=SECRETS["terra"], body=body, timestamp=at)


def test_a_signed_delivery_comes_through_to_the_byte(proxy: Proxy) -> None:
    body, proof = delivery()
    status, _, said = proxy.ask("POST", "/webhooks/terra", body, **proof)
    assert status == 200, said
    status, _, said = proxy.ask("POST", "/webhooks/terra", body + b" ", **proof)
    assert status == 401, said


def test_bodies_have_the_size_that_the_bridge_takes(proxy: Proxy) -> None:
    body = padded(size=50 * 1024 * 1024)
    assert proxy.ask("POST", "/webhooks/terra", body, **signed(body))[0] == 200
    body += b" "
    assert proxy.ask("POST", "/webhooks/terra", body, **signed(body))[0] == 413


def test_staff_sign_in_and_are_known_by_their_own_address(
    proxy: Proxy, home: Path
) -> None:
    status, headers, _ = proxy.ask("GET", "/admin/login/")
    assert status == 200
    assert headers["strict-transport-security"]
    (cookie,) = re.findall(r"csrftoken=(\w+);.*Secure", headers["set-cookie"])
    form = {"username": "nobody", "password": "wrong", "csrfmiddlewaretoken": cookie}
    status, _, page = proxy.ask(
        "POST",
        "/admin/login/",
        urlencode(form).encode(),
        Content_Type="application/x-www-form-urlencoded",
        Cookie=f"csrftoken={cookie}",
        Referer=f"https://{NAME}/admin/login/",
        Origin=f"https://{NAME}",
        X_Forwarded_For="6.6.6.6",
    )
    assert (status, b"enter the correct" in page) == (200, True)
    with closing(sqlite3.connect(home / "bridge.sqlite3")) as session:
        query = "SELECT ip_address FROM axes_accessattempt WHERE username = 'nobody'"
        assert session.execute(query).fetchall() == [("127.0.0.2",)]


def test_the_live_socket_is_upgraded(proxy: Proxy) -> None:
    status, headers, _ = proxy.ask(
        "GET",
        "/ws/live/",
        Connection="Upgrade",
        Upgrade="websocket",
        Origin=f"https://{NAME}",
        Sec_WebSocket_Version="13",
        Sec_WebSocket_Key="dGhlIHNhbXBsZSBub25jZQ==",
    )
    assert (status, headers["upgrade"].lower()) == (101, "websocket")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/health"),
        ("GET", "/static/biometrics/icon.svg"),
        ("POST", "/webhooks/oura"),
        ("POST", "/api/v1/sdk/users/x/sync"),
        ("POST", "/api/v1/users/x/token"),
        ("POST", "/api/v1/token/refresh"),
        ("POST", "/api/v1/token/revoke"),
        ("GET", "/connect/x"),
        ("GET", "/admin/"),
    ],
)
def test_what_is_for_outside_is_reached(proxy: Proxy, method: str, path: str) -> None:
    _, headers, page = proxy.ask(method, path)
    # nginx's own pages name it; the bridge names nobody.
    assert "server" in headers
    assert b"<center>nginx" not in page


@pytest.mark.parametrize("path", ["/metrics", "/ready", "/", "/healthy"])
def test_what_is_for_the_host_alone_is_not(proxy: Proxy, path: str) -> None:
    status, _, page = proxy.ask("GET", path)
    assert (status, b"<center>nginx" in page) == (404, True)


def test_plain_http_is_sent_to_https(proxy: Proxy) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", proxy.plain_port)
    with closing(connection) as client:
        client.request("GET", "/admin/?next=1", headers={"Host": NAME})
        answer = client.getresponse()
    assert answer.status == 301
    assert answer.getheader("location") == f"https://{NAME}/admin/?next=1"


def test_hosts_that_restart_one_after_the_other_fail_no_request(
    proxy: Proxy, webs: list[Web]
) -> None:
    senders = Senders(proxy, keeping=4, new=2, host=NAME)
    senders.start()
    try:
        until(lambda: senders.outcomes.total() > 50, "the load is there")
        for web in webs:
            web.tell(signal.SIGTERM)
            assert web.wait_for_end() == 0
            web.start()
        so_far = senders.outcomes.total()
        until(lambda: senders.outcomes.total() > so_far + 50, "they serve again")
    finally:
        senders.stop()
    assert set(senders.outcomes) == {"200"}, senders.outcomes
