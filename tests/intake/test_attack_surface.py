"""What strangers may throw at the web process, over raw sockets.

It runs as in production, a process of its own. Whatever comes, it says no more than the
documented 503 of the 5xx, shows nobody a traceback, and goes on serving good senders.
"""

from __future__ import annotations

import contextlib
import gzip
import threading
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from auren.protocol import HEAD_LIMIT
from tests import signer
from tests.bridge import SECRETS
from tests.intake.attacked import (
    PATIENCE_S,
    Web,
    assert_harmless,
    read_all,
    request,
    statuses,
)
from tests.services import open_files

SLOW_CONNECTIONS = 2000
PATHS = (
    "/webhooks/oura",
    "/webhooks/whoop/",
    "/webhooks/terra",
    "/webhooks/healthkit",
    "/webhooks/acme",
    "/api/v1/sdk/users/x/sync",
    "/api/v1/users/x/token",
    "/api/v1/token/refresh",
    "/api/v1/token/revoke",
    "/health",
    "/ready",
    "/metrics",
    "/admin/",
    "/admin/login/",
    "/connect/x",
    "/connect/x/start",
    "/connect/oura/callback",
    "/ws/live/",
    "/",
)
fuzz = settings(
    deadline=None,
    max_examples=100,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def test_a_good_sender_is_served(web: Web) -> None:
    assert web.deliver() == 200


odd_bytes = st.binary(max_size=60).filter(lambda b: b"\r\n\r\n" not in b)
names = st.sampled_from(
    [
        b"Host",
        b"Content-Length",
        b"Transfer-Encoding",
        b"Content-Encoding",
        b"Content-Type",
        b"Expect",
        b"Connection",
        b"Upgrade",
        b"Cookie",
        b"Authorization",
        b"Terra-Signature",
        b"X-Whoop-Signature",
        b"X-Whoop-Signature-Timestamp",
        b"X-Oura-Signature",
        b"X-Forwarded-For",
        b"X-Forwarded-Proto",
        b"Traceparent",
        b"Range",
    ]
)
values = st.one_of(
    st.sampled_from(
        [
            b"-1",
            b"0",
            b"2",
            b"99999999999999999999",
            b"chunked",
            b"chunked, gzip",
            b"gzip",
            b"100-continue",
            b"websocket",
            b"close",
            b"Bearer \xff\xfe",
            b"t=1,v1=ff",
            b"t=,v1=",
            b"\xc3\x28",
            b" folded\r\n\tvalue",
            b"multipart/form-data; boundary=",
            b"application/x-www-form-urlencoded; charset=no-such",
            b"evil.example",
            b"00-0-0-0",
        ]
    ),
    odd_bytes,
)
tricks = st.sampled_from(
    [
        "/../../etc/passwd",
        "/webhooks/../admin/",
        "/webhooks//terra",
        "//webhooks/terra",
        "/webhooks/terra%00",
        "/webhooks/%2e%2e/%2e%2e",
        "/webhooks/terra;x=y",
        "/webhooks/terra?" + "a=b&" * 300,
        "/webhooks/%ff%fe",
        "/static/../auren/settings.py",
        "/static/%2e%2e/%2e%2e/etc/passwd",
        "http://evil.example/webhooks/terra",
        "*",
        "/admin/?next=//evil.example",
        "/connect/%0d%0aset-cookie:%20a=b",
        "/webhooks/terra\\..\\..",
        "/api/v1/sdk/users/" + "x" * 3000 + "/sync",
    ]
)
paths = st.one_of(
    st.sampled_from(PATHS), tricks, st.text(max_size=40).map(lambda t: "/" + quote(t))
)
methods = st.sampled_from(["GET", "POST", "HEAD", "PUT", "OPTIONS", "TRACE", "CONNECT"])


@fuzz
@given(
    method=methods,
    path=paths,
    headers=st.lists(st.tuples(names, values), max_size=12),
    body=st.binary(max_size=200),
)
def test_odd_and_doubled_headers(
    web: Web, method: str, path: str, headers: list[tuple[bytes, bytes]], body: bytes
) -> None:
    lines = [f"{method} {path} HTTP/1.1".encode(), b"Host: 127.0.0.1"]
    lines += [name + b": " + value for name, value in headers]
    assert_harmless(web.provoke(b"\r\n".join([*lines, b"", b""]) + body))


@fuzz
@given(pieces=st.lists(st.binary(max_size=300), max_size=8))
def test_what_is_no_http_at_all(web: Web, pieces: list[bytes]) -> None:
    assert_harmless(web.provoke(*pieces))


@fuzz
@given(
    path=st.sampled_from(PATHS),
    chunks=st.lists(
        st.one_of(
            st.binary(max_size=50),
            st.sampled_from(
                [
                    b"5\r\nhello\r\n",
                    b"0\r\n\r\n",
                    b"ffffffffffffffff\r\n",
                    b"-5\r\nhello\r\n",
                    b"5;ext=" + b"x" * 200 + b"\r\nhello\r\n",
                    b"3\r\nhello\r\n",
                    b"0\r\nTrailer: x\r\n\r\n",
                    b"0x5\r\nhello\r\n",
                ]
            ),
        ),
        max_size=6,
    ),
    announced=st.sampled_from(
        [b"", b"Content-Length: 5\r\n", b"Content-Length: 0\r\n"]
    ),
)
def test_lies_about_length(
    web: Web, path: str, chunks: list[bytes], announced: bytes
) -> None:
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n"
    ).encode()
    assert_harmless(web.provoke(head + announced + b"\r\n", *chunks))


@pytest.mark.parametrize("path", PATHS)
def test_a_flood_of_headers_is_refused(web: Web, path: str) -> None:
    before = web.resident_mb
    flood = (f"X-Flood-{n}: {'x' * 1000}\r\n".encode() for n in range(20_000))
    answer = web.say(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n".encode(), *flood)
    # The refusal may be lost with the connection, since we were still sending.
    assert set(statuses(answer)) <= {431}
    assert web.resident_mb < before + 20


def test_a_head_that_came_at_once_is_refused_in_words(web: Web) -> None:
    answer = web.say(request("GET", "/health", {"X-Large": "x" * HEAD_LIMIT}))
    assert statuses(answer) == [431]
    assert orjson.loads(answer.partition(b"\r\n\r\n")[2])["error"] == "too_large"


def test_a_connection_is_used_again_whatever_its_bodies_weigh(web: Web) -> None:
    """Bytes of a body are not taken for a head, in one piece or in many."""
    body = b"x" * (3 * HEAD_LIMIT)
    head = "POST /webhooks/whoop HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    kept = f"{head}Content-Length: {len(body)}\r\n\r\n".encode()
    with closing(web.connect()) as peer:
        for piece in (len(body), 10_000, len(body)):
            peer.sendall(kept)
            for start in range(0, len(body), piece):
                peer.sendall(body[start : start + piece])
            answer = b""
            while not answer.endswith(b"}"):
                answer += peer.recv(65_536)
            assert statuses(answer) == [401]
        peer.sendall(kept + body + request("POST", "/webhooks/whoop", body=body))
        assert statuses(read_all(peer)) == [401, 401]


def test_one_header_without_an_end_is_refused(web: Web) -> None:
    endless = (b"x" * 60_000 for _ in range(300))
    answer = web.say(b"GET /health HTTP/1.1\r\nHost: a\r\nX-Endless: ", *endless)
    assert set(statuses(answer)) <= {431}
    assert web.deliver() == 200


@pytest.mark.parametrize("path", PATHS)
def test_a_hundred_megabytes_are_refused_without_being_kept(
    web: Web, path: str
) -> None:
    """Announced, and not announced; the page that is asked makes no difference."""
    before = web.resident_mb
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n".encode()
    megabyte = b"x" * 2**20
    said = web.say(
        head + b"Content-Length: 104857600\r\n\r\n", *(megabyte for _ in range(100))
    )
    assert_harmless(said)
    chunk = b"100000\r\n" + megabyte + b"\r\n"
    chunked = web.say(
        head + b"Transfer-Encoding: chunked\r\n\r\n", *(chunk for _ in range(100))
    )
    assert_harmless(chunked)
    assert 200 not in statuses(chunked)
    # A vendor that pushes may send 50 MiB, which are not given back at once.
    assert web.resident_mb < before + 160


def test_a_large_form_is_answered_as_such(web: Web) -> None:
    head = b"POST /admin/login/ HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    with closing(web.connect()) as peer:
        peer.sendall(head + b"Transfer-Encoding: chunked\r\n\r\n")
        for _ in range(3):
            peer.sendall(b"100000\r\n" + b"x" * 2**20 + b"\r\n")
        assert statuses(read_all(peer)) == [413]


@pytest.mark.parametrize("path", ["/webhooks/terra", "/admin/login/", "/health"])
def test_a_body_that_does_not_come_is_given_up(web: Web, path: str) -> None:
    with closing(web.connect()) as peer:
        head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n\r\n"
        peer.sendall(head.encode() + b"{")
        answer = read_all(peer)
    assert statuses(answer) == [503]
    assert b"retry-after: 1" in answer.lower()


@pytest.fixture(scope="module")
def bomb() -> bytes:
    return gzip.compress(b"\0" * 200_000_000, 9)


@pytest.mark.parametrize("path", PATHS)
def test_a_compressed_bomb_is_not_opened(web: Web, bomb: bytes, path: str) -> None:
    """Genuine or not, nothing is decompressed before it is understood as what it is."""
    slug = path.strip("/").rpartition("/")[2]
    proof = (
        signer.headers(slug, secret=SECRETS[slug], body=bomb, at=datetime.now(tz=UTC))
        if slug in SECRETS
        else {}
    )
    before = web.resident_mb
    for headers in ({}, proof):
        encoded = {**headers, "Content-Encoding": "gzip"}
        answer = web.say(request("POST", path, encoded, bomb))
        assert_harmless(answer)
        assert 200 not in statuses(answer) or path == "/health"
    assert web.resident_mb < before + 50


def test_requests_without_end_on_one_connection_are_not_kept(web: Web) -> None:
    """Whoever asks and reads no answer is read no further."""
    before = web.resident_mb
    asked = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 1000
    with closing(web.connect()) as peer:
        peer.settimeout(1)
        with contextlib.suppress(TimeoutError, ConnectionError):
            for _ in range(1000):
                peer.sendall(asked)
        assert web.resident_mb < before + 30
    assert web.deliver() == 200


def test_two_thousand_slow_connections_do_not_stop_a_good_sender(
    tmp_path: Path,
) -> None:
    """They say nothing, never end a head, a body, or a body that began in a hurry."""
    beginnings = (
        b"",
        b"POST /webhooks/terra HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ",
        b"POST /webhooks/terra HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n{",
        b"POST /webhooks/terra HTTP/1.1\r\nHost: a\r\nContent-Length: 99999\r\n\r\n"
        + b"x" * 10_000,
    )
    with open_files(SLOW_CONNECTIONS + 500), ExitStack() as stack:
        web = Web(tmp_path)
        stack.callback(web.stop)
        slow = []
        for number in range(SLOW_CONNECTIONS):
            peer = stack.enter_context(closing(web.connect()))
            peer.sendall(beginnings[number % len(beginnings)])
            slow.append(peer)
        served = [web.deliver() for _ in range(20)]
        assert served == [200] * 20
        # All of them are let go: nobody holds a connection by being slow.
        ends = [threading.Thread(target=read_all, args=(peer,)) for peer in slow[:30]]
        for end in ends:
            end.start()
        for end in ends:
            end.join(PATIENCE_S)
        assert not any(end.is_alive() for end in ends)


def test_it_still_serves(web: Web) -> None:
    assert web.deliver() == 200
