"""The request of the webhook paths is Django's, made only as far as it is asked for."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from django.core.handlers.asgi import ASGIRequest
from django.urls import resolve
from rest_framework.request import Request

from biometrics.slim_request import SlimRequest


def _scope(**others: Any) -> Mapping[str, Any]:
    return {
        "type": "http",
        "method": "post",
        "path": "/webhooks/whoop",
        "query_string": b"a=1&b=2",
        "headers": [(b"content-type", b"application/json"), (b"x-thing", b"one")],
        "client": ("192.0.2.7", 4711),
        "server": ("bridge.example.org", 443),
        "scheme": "https",
        **others,
    }


def _request() -> SlimRequest:
    return SlimRequest(_scope(), b'{"id": 1}')


def test_what_a_webhook_needs_is_there_and_nothing_more() -> None:
    request = _request()
    wrapped = Request(request)
    assert (request.method, request.path, request.body) == (
        "POST",
        "/webhooks/whoop",
        b'{"id": 1}',
    )
    assert wrapped.method == "POST"
    assert "META" not in vars(request)


_QUESTIONS: Mapping[str, Callable[[ASGIRequest], Any]] = {
    "META": lambda request: request.META,
    "headers": lambda request: dict(request.headers),
    "query": lambda request: request.GET.dict(),
    "origin": lambda request: (request.scheme, request.get_port()),
    "content type": lambda request: (request.content_type, request.content_params),
    "full path": lambda request: request.get_full_path(),
}


@pytest.mark.parametrize("asked", _QUESTIONS)
def test_the_rest_comes_as_in_any_request_of_django(asked: str) -> None:
    ask = _QUESTIONS[asked]
    whole = ASGIRequest(_scope(), io.BytesIO())
    assert ask(_request()) == ask(whole)


def test_what_was_resolved_stays_when_the_rest_comes() -> None:
    request = _request()
    request.resolver_match = match = resolve(request.path)
    assert request.META["REMOTE_ADDR"] == "192.0.2.7"
    assert request.resolver_match is match
    assert request.body == b'{"id": 1}'


def test_an_unknown_attribute_is_refused_by_name() -> None:
    with pytest.raises(AttributeError, match="'nothing_like_it'"):
        _request().nothing_like_it  # noqa: B018 - the asking is the test
