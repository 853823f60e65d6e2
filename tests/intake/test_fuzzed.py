"""Genuine and forged requests of any content against PostgreSQL, over real HTTP.

A proven sender may say anything: it is stored, ignored or malformed, never a fault of
ours. PostgreSQL is asked because it refuses what SQLite keeps, NUL in a text for one.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import NamedTuple
from urllib.parse import quote, urlencode

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests import signer
from tests.bridge import SECRETS
from tests.intake.attacked import (
    LIVE,
    ROOT,
    SECRET_KEY,
    Web,
    assert_harmless,
    assert_nothing_failed,
    request,
    statuses,
)
from tests.vendors import test_healthkit, test_oura, test_terra, test_whoop
from tests.vendors.contract import VendorContract
from tests.vendors.mutations import mutated, reordered

pytestmark = pytest.mark.postgres

TOKEN = "fuzzed-personal-token"
ACCOUNT = "fuzzed-person"
CONTRACTS: dict[str, VendorContract] = {
    "oura": test_oura.TestOura(),
    "whoop": test_whoop.TestWhoop(),
    "terra": test_terra.TestTerra(),
    "healthkit": test_healthkit.TestHealthKit(),
}
APP = ("fuzzed-app", "fuzzed-app-secret")
FUZZ = settings(
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
# Control characters that PostgreSQL, cookies or paths have views on, among any others.
TEXTS = st.one_of(
    st.text(max_size=40),
    st.sampled_from(
        ["\0", "a\0b", "\ud800", "x" * 3000, "%00", "'", "\r\nX: y", "\u202e"]
    ),
)


class Known(NamedTuple):
    """A web process on PostgreSQL, a person's phone and a staff member's session."""

    web: Web
    session: str


@pytest.fixture(scope="module")
def known(
    make_migrated_postgres: Callable[[], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Known]:
    url = make_migrated_postgres()
    session = _prepare(url)
    running = Web(
        tmp_path_factory.mktemp("fuzzed"),
        database=url,
        AUREN_HEALTHKIT_CLIENT_ID=APP[0],
        AUREN_HEALTHKIT_CLIENT_SECRET=APP[1],
        AUREN_OURA_VERIFICATION_TOKEN="verification-token",
    )
    assert running.deliver() == 200
    before = running.resident_mb
    yield Known(running, session)
    after = running.resident_mb
    running.stop()
    assert_nothing_failed(running)
    assert after < before + 60


@pytest.fixture
def pg(known: Known) -> Web:
    return known.web


def _prepare(url: str) -> str:
    """Connect a phone and sign a staff member in; return the session's key."""
    digest = hashlib.sha256(TOKEN.encode()).hexdigest()
    code = f"""
from django.contrib.auth.models import User
from django.test import Client
from biometrics.models import Subject, VendorConnection
VendorConnection.objects.create(
    vendor="healthkit", status="active", account_id="{ACCOUNT}",
    personal_token_sha256="{digest}", subject=Subject.objects.create(label="fuzzed"),
)
client = Client()
client.force_login(User.objects.create_superuser("fuzzed", password="x"))
print(client.session.session_key)
"""
    done = subprocess.run(
        [sys.executable, "manage.py", "shell", "-v", "0", "-c", code],
        check=True,
        timeout=60,
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tests.settings",
            "DATABASE_URL": url,
            "SECRET_KEY": SECRET_KEY,
        },
    )
    return done.stdout.strip().splitlines()[-1]


def jsons(slug: str) -> st.SearchStrategy[bytes]:
    """Return bodies: the vendor's samples spoilt and reordered, and anything else."""
    samples = [case.body for case in CONTRACTS[slug].cases()]
    return st.one_of(
        st.sampled_from(samples).flatmap(mutated),
        st.sampled_from(samples).flatmap(reordered),
        st.binary(max_size=200),
    )


@pytest.mark.parametrize("slug", CONTRACTS)
@FUZZ
@given(data=st.data())
def test_a_proven_sender_may_say_anything(
    pg: Web, slug: str, data: st.DataObject
) -> None:
    body = data.draw(jsons(slug), label="body")
    trace = data.draw(TEXTS, label="traceparent").encode("utf-8", "replace")
    proof = signer.headers(
        slug, secret=SECRETS.get(slug, TOKEN), body=body, at=datetime.now(tz=UTC)
    )
    odd = {"traceparent": "".join(chr(b) for b in trace if b >= 32 and b != 127)}
    answer = pg.say(request("POST", f"/webhooks/{slug}", {**proof, **odd}, body))
    allowed = {200, 202, 400} | (set() if body else {401})
    assert set(statuses(answer)) <= allowed, answer
    assert statuses(answer)
    assert_harmless(answer)


@FUZZ
@given(
    user=TEXTS,
    body=st.one_of(
        st.builds(
            lambda *texts: dict(
                zip(("app_id", "app_secret", "refresh_token"), texts, strict=True)
            ),
            st.one_of(st.just(APP[0]), TEXTS),
            st.one_of(st.just(APP[1]), TEXTS),
            TEXTS,
        ),
        st.dictionaries(TEXTS, st.one_of(TEXTS, st.none(), st.integers(-9, 9))),
    ),
    which=st.sampled_from(["users/{}/token", "token/refresh", "token/revoke"]),
)
def test_an_app_that_asks_for_tokens_may_say_anything(
    pg: Web, user: str, body: dict[str, object], which: str
) -> None:
    path = which.format(quote(user.encode("utf-8", "replace"), safe=""))
    sent = orjson.dumps(_encodable(body))
    answer = pg.say(request("POST", f"/api/v1/{path}", {}, sent))
    assert_harmless(answer)
    assert statuses(answer)[0] < 500, answer


@FUZZ
@given(
    cookie=st.one_of(
        TEXTS,
        st.sampled_from(
            [
                '"\\000aaaaaaaaaaaa"',
                '"aaaaaaaa\\000"',
                '"' + "\\377" * 20 + '"',
                "x" * 40,
            ]
        ),
    ),
    name=st.sampled_from(["sessionid", "csrftoken", "messages", "auren_connect"]),
    path=st.sampled_from(
        [
            "/admin/",
            "/admin/login/",
            "/connect/x/start",
            "/connect/oura/callback?state=x",
        ]
    ),
)
def test_a_cookie_may_hold_anything(pg: Web, cookie: str, name: str, path: str) -> None:
    answer = pg.say(request("GET", path, {"Cookie": f"{name}={_header(cookie)}"}))
    assert_harmless(answer)
    assert statuses(answer)[0] < 500, answer


@FUZZ
@given(
    cookie=st.sampled_from(['"aaaaaaaa\\000"', '"' + "\\377" * 20 + '"', "", "x" * 40])
)
def test_a_live_socket_may_be_asked_for_with_anything(pg: Web, cookie: str) -> None:
    head = LIVE + cookie.encode("latin-1") + b"\r\n\r\n"
    answer = pg.say(head, patience_s=2)
    assert_harmless(answer)
    # Let in to be told by a code that it is nobody, as browsers show no status.
    assert statuses(answer)[0] in {101, 403}


@FUZZ
@given(
    fields=st.dictionaries(
        st.one_of(
            st.sampled_from(
                ["username", "password", "next", "otp", "csrfmiddlewaretoken"]
            ),
            TEXTS,
        ),
        TEXTS,
        max_size=6,
    ),
    kind=st.sampled_from(
        [
            "application/x-www-form-urlencoded",
            "application/x-www-form-urlencoded; charset=utf-16",
            "multipart/form-data; boundary=b",
            "multipart/form-data",
            "text/plain",
        ]
    ),
)
def test_a_form_may_hold_anything(pg: Web, fields: dict[str, str], kind: str) -> None:
    """With a token and cookie that fit each other, so that the form is looked at."""
    token = "a" * 32
    filled = {**fields, "csrfmiddlewaretoken": token}
    body = urlencode(
        {
            k.encode("utf-8", "replace"): v.encode("utf-8", "replace")
            for k, v in filled.items()
        }
    )
    if kind.startswith("multipart"):
        parts = "".join(
            f'--b\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n'
            for k, v in filled.items()
        )
        body = parts + "--b--\r\n"
    headers = {"Content-Type": kind, "Cookie": f"csrftoken={token}"}
    sent = request("POST", "/admin/login/", headers, body.encode("utf-8", "replace"))
    answer = pg.say(sent)
    assert_harmless(answer)
    assert statuses(answer)[0] < 500, answer


PAGES = (
    "",
    "search/",
    "biometrics/webhookdelivery/",
    "biometrics/webhookdelivery/1/change/",
    "biometrics/biometricevent/",
    "biometrics/outboxmessage/",
    "biometrics/hrvalert/",
    "biometrics/subject/",
    "biometrics/vendorconnection/{text}/change/",
    "biometrics/subject/{text}/change/",
    "auth/user/",
    "resilience/breakertransition/",
)
PARAMETERS = (
    *("q", "s", "p", "o", "e", "all", "status", "status__exact", "vendor", "shard"),
)


@pytest.mark.parametrize("page", PAGES)
def test_staff_may_ask_for_nul(known: Known, page: str) -> None:
    """PostgreSQL takes none; whoever asks for it is told that it makes no sense."""
    path = "/admin/" + page.replace("{text}", "a%00b")
    for name in PARAMETERS:
        cookie = {"Cookie": f"sessionid={known.session}"}
        answer = known.web.say(request("GET", f"{path}?{name}=a%00b", cookie))
        assert_harmless(answer)
        assert statuses(answer)[0] in {200, 302, 400, 404}, (name, answer[:100])


@FUZZ
@given(
    page=st.sampled_from(PAGES),
    names=st.lists(st.sampled_from(PARAMETERS), max_size=3),
    text=TEXTS,
)
def test_staff_may_ask_for_anything(
    known: Known, page: str, names: list[str], text: str
) -> None:
    plain = text.encode("utf-8", "replace")
    path = "/admin/" + page.replace("{text}", quote(plain, safe=""))
    asked = urlencode(dict.fromkeys(names, plain))
    answer = known.web.say(
        request("GET", f"{path}?{asked}", {"Cookie": f"sessionid={known.session}"})
    )
    assert_harmless(answer)
    assert statuses(answer)[0] in {200, 302, 400, 404}, answer


@FUZZ
@given(
    query=st.dictionaries(st.sampled_from(["verification_token", "challenge"]), TEXTS)
)
def test_a_handshake_may_hold_anything(pg: Web, query: dict[str, str]) -> None:
    asked = urlencode({k: v.encode("utf-8", "replace") for k, v in query.items()})
    answer = pg.say(request("GET", f"/webhooks/oura?{asked}"))
    assert set(statuses(answer)) <= {400, 401}, answer


def _encodable(value: dict[str, object]) -> dict[str, object]:
    return {
        _plain(key): _plain(one) if isinstance(one, str) else one
        for key, one in value.items()
    }


def _plain(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def _header(text: str) -> str:
    """Return what of a text can stand in a header at all."""
    return "".join(c for c in text if 32 <= ord(c) < 256 and ord(c) != 127)
