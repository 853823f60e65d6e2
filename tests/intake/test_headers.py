"""The headers of a production bridge, behind a proxy that speaks HTTPS."""

from __future__ import annotations

import http.client
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from http.cookies import SimpleCookie
from urllib.parse import urlencode

import pytest

from tests.intake.attacked import ROOT, SECRET_KEY, Web

pytestmark = pytest.mark.postgres
PRODUCTION = {
    "AUREN_MODE": "production",
    "AUREN_TLS": "true",
    "PUBLIC_URL": "https://bridge.example.org",
    "KAFKA_REPLICATION_FACTOR": "3",
}
PAGES = (
    "/health",
    "/admin/login/",
    "/admin/",
    "/connect/no-such-link",
    "/no-such-page",
    "/static/biometrics/console.css",
)
WEBHOOKS = ("/webhooks/terra", "/webhooks/no-such-vendor")


@pytest.fixture(scope="module")
def production(
    make_migrated_postgres: Callable[[], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Web]:
    home = tmp_path_factory.mktemp("production")
    url = make_migrated_postgres()
    changes = {**PRODUCTION, "STATIC_ROOT": str(home / "static")}
    # In production mode alone files have names with their digests.
    _manage("collectstatic", "--noinput", database=url, **changes)
    _manage("shell", "-c", MAKE_STAFF, database=url, AUREN_MODE="development")
    running = Web(home, database=url, **changes)
    yield running
    running.stop()


def _manage(*argv: str, database: str, **changes: str) -> None:
    subprocess.run(
        [sys.executable, "manage.py", *argv, "-v", "0"],
        check=True,
        timeout=120,
        cwd=ROOT,
        env={
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "auren.settings",
            "DATABASE_URL": database,
            "SECRET_KEY": SECRET_KEY,
            **changes,
        },
    )


MAKE_STAFF = (
    "from django.contrib.auth.models import User\n"
    "User.objects.create_superuser('staff', password='for-headers-only')"
)


def ask(
    web: Web,
    path: str,
    *,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", web.port, timeout=30)
    connection.request(
        "GET" if body is None else "POST",
        path,
        body=body,
        headers={"X-Forwarded-Proto": "https", **(headers or {})},
    )
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer


@pytest.mark.parametrize("path", PAGES)
def test_every_page_is_guarded(production: Web, path: str) -> None:
    answer = ask(production, path)
    assert answer.status < 500
    assert answer.headers["Strict-Transport-Security"] == (
        "max-age=31536000; includeSubDomains; preload"
    )
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "same-origin"
    assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
    if path.startswith("/static/"):
        return
    assert answer.headers["X-Frame-Options"] == "DENY"
    policy = answer.headers["Content-Security-Policy"]
    for directive in (
        "default-src 'self'",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    ):
        assert directive in policy


@pytest.mark.parametrize("path", WEBHOOKS)
def test_webhooks_are_answered_with_what_concerns_them(
    production: Web, path: str
) -> None:
    answer = ask(production, path, body=b"{}")
    assert answer.status in {401, 404}
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Strict-Transport-Security"].startswith("max-age=31536000")


def test_cookies_go_over_https_alone_and_to_nobody_else(production: Web) -> None:
    page = ask(production, "/admin/login/")
    token = SimpleCookie(page.headers["Set-Cookie"])["csrftoken"]
    assert token["secure"]
    assert token["samesite"] == "Lax"
    form = {
        "username": "staff",
        "password": "for-headers-only",
        "csrfmiddlewaretoken": token.value,
        "next": "/admin/",
    }
    answer = ask(
        production,
        "/admin/login/",
        body=urlencode(form).encode(),
        headers={
            "Cookie": f"csrftoken={token.value}",
            "Content-Type": "application/x-www-form-urlencoded",
            "Host": "127.0.0.1",
            "Referer": "https://127.0.0.1/admin/login/",
        },
    )
    assert answer.status == 302
    session = SimpleCookie("; ".join(answer.headers.get_all("Set-Cookie") or ()))[
        "sessionid"
    ]
    assert session["secure"]
    assert session["httponly"]
    assert session["samesite"] == "Lax"
