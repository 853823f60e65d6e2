"""The simulator's signatures against signatures that others have made."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from auren.devstack.simulator import signing
from tests.vendors.vectors import Vector, load_vectors

Sign = Callable[..., dict[str, str]]
_SIGN: dict[str, tuple[Sign, str]] = {
    "oura": (signing.oura_headers, "x-oura-timestamp"),
    "whoop": (signing.whoop_headers, "x-whoop-signature-timestamp"),
    "terra": (signing.terra_headers, "terra-signature"),
}
# The plain cases: one signature, by the vendor's own format.
_PLAIN = re.compile(
    r"^(valid|valid_(ms_timestamp_)?compact_body|valid_large.*|.*pretty.*)$"
)


def _headers(raw: dict[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in raw.items()}


def _plain() -> list[Vector]:
    return [v for v in load_vectors() if v.valid and _PLAIN.match(v.name)]


def test_every_signing_vendor_has_plain_vectors() -> None:
    assert {vector.vendor for vector in _plain()} == {"oura", "whoop", "terra"}


@pytest.mark.parametrize("vector", _plain(), ids=lambda v: f"{v.vendor}-{v.name}")
def test_signs_as_the_vectors_do(vector: Vector) -> None:
    sign, stamp = _SIGN[vector.vendor]
    expected = _headers(vector.headers)
    number = re.search(r"\d{10,}", expected[stamp])
    assert number is not None
    divisor = 1000 if len(number[0]) == 13 else 1
    at = datetime.fromtimestamp(int(number[0]) / divisor, tz=UTC)

    made = _headers(sign(secret=vector.secret, body=vector.body, at=at))

    assert expected.items() <= made.items()


@pytest.mark.parametrize("vendor", sorted(_SIGN))
def test_another_body_gets_another_signature(vendor: str) -> None:
    sign, _ = _SIGN[vendor]
    at = datetime(2026, 11, 20, 6, 1, 2, 345_000, tzinfo=UTC)
    one = sign(secret="s", body=b'{"a":1}', at=at)
    two = sign(secret="s", body=b'{"a":2}', at=at)
    assert one.keys() == two.keys()
    assert one != two
