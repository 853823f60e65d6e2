"""The OpenAPI document is right: it has every address, and over HTTP its answers.

Schemathesis makes requests from it, right and wrong ones, with a fixed seed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import schemathesis
from django.urls import URLPattern, URLResolver
from schemathesis.config import (
    GenerationConfig,
    ProjectConfig,
    ProjectsConfig,
    SchemathesisConfig,
)

from auren.reference import openapi
from auren.urls import urlpatterns
from biometrics.vendors.registry import VENDORS, all_adapters
from tests.intake.attacked import (
    LIVE,
    Web,
    assert_harmless,
    read_all,
    request,
    statuses,
)

DOCUMENT = openapi.document()
api = schemathesis.openapi.from_dict(
    DOCUMENT,
    config=SchemathesisConfig(
        seed=20_261_128,
        projects=ProjectsConfig(
            default=ProjectConfig(
                continue_on_failure=True,
                generation=GenerationConfig(
                    max_examples=25, deterministic=True, database="none"
                ),
            )
        ),
    ),
)
# A stranger never gets so far that it would tell right data from wrong.
NOT_HELD: list[Any] = [
    schemathesis.checks.CHECKS.get_one(name)
    for name in (
        "positive_data_acceptance",
        "negative_data_rejection",
        "unsupported_method",
        # 503 is documented.
        "not_a_server_error",
    )
]


@api.parametrize()
def test_whatever_is_asked_is_answered_as_described(
    case: schemathesis.Case[Any], web: Web
) -> None:
    answer = case.call(base_url=f"http://127.0.0.1:{web.port}", allow_redirects=False)
    assert_harmless(f"HTTP/1.1 {answer.status_code} \r\n\r\n".encode() + answer.content)
    case.validate_response(answer, excluded_checks=NOT_HELD)


def test_without_a_database_nobody_hears_more_than_503(tmp_path: Path) -> None:
    away = Web(tmp_path, database="postgres://nobody:planted@127.0.0.1:1/none")
    try:
        asked = [
            *(
                (method, path)
                for path, its in DOCUMENT["paths"].items()
                for method in its
            ),
            *(("get", "/admin/"), ("get", "/admin/login/"), ("get", "/no-such-page")),
        ]
        for method, path in asked:
            body = orjson.dumps(
                {"app_id": "a", "app_secret": "b", "refresh_token": "c"}
            )
            said = away.say(
                request(
                    method.upper(),
                    path.replace("{", "").replace("}", ""),
                    {
                        "Authorization": "Bearer token",
                        "Cookie": "sessionid=" + "x" * 32,
                    },
                    body if method == "post" else None,
                )
            )
            assert_harmless(said)
            assert b"planted" not in said, path
            (status,) = statuses(said)
            if path in DOCUMENT["paths"]:
                assert str(status) in described(path, method), (path, method)
            if status == 503 and path != "/ready":
                assert b"retry-after:" in said.lower(), path
        assert set(
            statuses(away.say(LIVE + b"x" * 32 + b"\r\n\r\n", patience_s=2))
        ) <= {101, 403}
    finally:
        away.stop()


def described(path: str, method: str = "post") -> set[str]:
    return set(DOCUMENT["paths"][path][method]["responses"])


def test_a_body_that_does_not_come_is_answered_as_described(web: Web) -> None:
    """503, since apps of phones give up for good on a 4xx: 408 is told nowhere."""
    waiting = {}
    for path in (path for path, its in DOCUMENT["paths"].items() if "post" in its):
        waiting[path] = web.connect()
        head = request("POST", path.replace("{", "").replace("}", ""), {}, b"x")
        waiting[path].sendall(head[:-1])
    assert len(waiting) > 6
    for path, peer in waiting.items():
        with peer:
            answer = read_all(peer)
        assert statuses(answer) == [503], path
        assert b"retry-after:" in answer.lower(), path
        assert "503" in described(path), path
        assert "408" not in described(path), path


def routes(patterns: list[Any], prefix: str = "") -> Iterator[str]:
    for one in patterns:
        if isinstance(one, URLResolver):
            if one.app_name != "admin":
                yield from routes(one.url_patterns, prefix + str(one.pattern))
        elif isinstance(one, URLPattern):
            yield "/" + prefix + str(one.pattern)


def plain(route: str) -> set[str]:
    """Return the paths of a route, without converters, one for each vendor."""
    path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", route).rstrip("/")
    return {path.replace("{vendor}", slug) for slug in VENDORS}


def test_every_address_is_described_and_no_other() -> None:
    there = {path for route in routes(urlpatterns) for path in plain(route)}
    # Nobody is sent back by a vendor that has no consent.
    unasked = [a for a in all_adapters() if a.api is None or a.api.consent is None]
    assert there - set(DOCUMENT["paths"]) == {
        f"/connect/{adapter.slug}/callback" for adapter in unasked
    }
    assert set(DOCUMENT["paths"]) <= there
