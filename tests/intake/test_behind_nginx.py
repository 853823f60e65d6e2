"""ops/nginx/auren.conf in Debian's nginx: what vendors and staff send comes through."""

from __future__ import annotations

import http.client
import re
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlencode

import orjson
import pytest
import uvicorn

from tests.bridge import SECRETS
from tests.intake.restarting import Senders, Web, delivery, until
from tests.nginx import EXAMPLE, NAME, ROOT, Proxy
from tests.signer import terra, unix_seconds

BEHIND = {
    "AUREN_TLS": "true",
    "ALLOWED_HOSTS": NAME,
    "PUBLIC_URL": f"https://{NAME}",
    "CSRF_TRUSTED_ORIGINS": f"https://{NAME}",
}


@pytest.fixture(scope="module")
def home(services_dir: Path) -> Path:
    folder = services_dir / "behind-nginx"
    folder.mkdir()
    return folder


@pytest.fixture(scope="module")
def webs(home: Path) -> Iterator[list[Web]]:
    # As long an idle time as the documented commands have, and not nginx's own: who
    # lets go first must be the one that sends.
    started = [Web(home, processes=2, extra=BEHIND, options=()) for _ in range(2)]
    yield started
    for web in started:
        web.kill()


@pytest.fixture(scope="module")
def proxy(home: Path, webs: list[Web], nginx: str) -> Iterator[Proxy]:
    running = Proxy(home, nginx=nginx, ports=[web.port for web in webs])
    checked = running.check()
    assert checked.returncode == 0, checked.stderr
    assert "[warn]" not in checked.stderr
    # pytest shows what is printed where a test fails: the reason of a 502.
    running.start(on_line=lambda line: print(f"nginx: {line}"))  # noqa: T201
    yield running
    running.stop()


def test_nginx_lets_go_of_idle_connections_well_before_the_web_process() -> None:
    """With the same second 13 of 2,800 POSTs were answered 502, with these times none."""
    (theirs,) = re.findall(r"keepalive_timeout (\d+)s;", EXAMPLE.read_text())
    ours = uvicorn.Config("auren.asgi:application").timeout_keep_alive
    assert ours >= 3 * int(theirs)
    for page in ("docker-compose.yml", "docs/deploy.md", "README.md"):
        text = (ROOT / page).read_text()
        assert not re.search(r"--timeout-keep-alive\W+\d", text), page


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
