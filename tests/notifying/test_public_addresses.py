"""No webhook leads into our own network, by whatever spelling or name."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from biometrics.notifying import posting
from biometrics.public_addresses import ForbiddenAddressError, check_url
from resilience import get_breaker

FORBIDDEN = (
    "http://example.org/x",
    "ftp://example.org/x",
    "//example.org/x",
    "https:///x",
    "https://user@example.org/",
    "https://example.org/#x",
    "https://example.org:0/",
    "https://example.org:99999/",
    "https://127.0.0.1/",
    "https://127.1/",
    "https://2130706433/",
    "https://0x7f000001/",
    "https://0177.0.0.1/",
    "https://10.0.0.8/",
    "https://192.168.1.1/",
    "https://169.254.169.254/latest/meta-data",
    "https://100.64.0.1/",
    "https://0.0.0.0/",
    "https://224.0.0.1/",
    "https://[::1]/",
    "https://[fe80::1]/",
    "https://[fd00::1]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[64:ff9b::7f00:1]/",
    "https://[2002:7f00:1::]/",
)


@pytest.mark.parametrize("url", FORBIDDEN)
def test_an_address_of_ours_is_refused(url: str) -> None:
    with pytest.raises(ForbiddenAddressError):
        check_url(url, is_open=False)


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org/alerts?a=b",
        "https://example.org:8443/",
        "https://93.184.215.14/",
        "https://[2606:2800:220:1::1]/",
    ],
)
def test_the_public_internet_is_not(url: str) -> None:
    check_url(url, is_open=False)


def test_a_development_machine_may_reach_itself() -> None:
    check_url("http://127.0.0.1:8000/", is_open=True)
    with pytest.raises(ForbiddenAddressError):
        check_url("ftp://127.0.0.1/", is_open=True)


def _answer(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    def found(_host: str, port: int, *_args: Any, **_options: Any) -> list[Any]:
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
            for address in addresses
        ]

    monkeypatch.setattr(socket, "getaddrinfo", found)


@pytest.mark.parametrize(
    "addresses", [("127.0.0.1",), ("10.1.2.3",), ("93.184.215.14", "169.254.169.254")]
)
def test_a_name_that_leads_to_us_is_refused_before_a_connection(
    monkeypatch: pytest.MonkeyPatch, addresses: tuple[str, ...]
) -> None:
    _answer(monkeypatch, *addresses)
    with pytest.raises(ForbiddenAddressError, match="not on the public internet"):
        posting.post(
            "https://hooks.example.org/x",
            body=b"{}",
            headers={},
            breaker="alert-webhook:1",
            is_open=False,
        )
    assert get_breaker("alert-webhook:1").snapshot().state == "closed"
