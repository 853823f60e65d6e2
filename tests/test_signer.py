"""The signer of the tests is held to the vectors before anything is held to it."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

import pytest

from tests import signer
from tests.vendors.vectors import Vector, load_vectors

GENUINE = [v for v in load_vectors() if v.valid]


def _lower(headers: dict[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _terra_parts(value: str) -> list[tuple[str, str]]:
    pairs = (part.strip().partition("=") for part in value.split(","))
    return [(key, text) for key, _, text in pairs]


def test_the_file_holds_every_vector() -> None:
    counts = Counter(v.vendor for v in load_vectors())

    assert counts == {"terra": 22, "whoop": 12, "oura": 10}


@pytest.mark.parametrize("vector", GENUINE, ids=lambda v: f"{v.vendor}-{v.name}")
def test_it_signs_like_every_genuine_vector(vector: Vector) -> None:
    sent = _lower(vector.headers)
    if vector.vendor == "oura":
        # One genuine vector is in lower case; the vendor writes upper case.
        sent["x-oura-signature"] = sent["x-oura-signature"].upper()
        stamp = sent["x-oura-timestamp"]
        made = signer.oura(secret=vector.secret, body=vector.body, timestamp=stamp)
        assert made == sent
    elif vector.vendor == "whoop":
        stamp = sent["x-whoop-signature-timestamp"]
        made = signer.whoop(secret=vector.secret, body=vector.body, timestamp=stamp)
        assert made == sent
    else:
        parts = _terra_parts(next(iter(sent.values())))
        stamp = dict(parts)["t"]
        made = signer.terra(secret=vector.secret, body=vector.body, timestamp=stamp)
        (signed,) = made.values()
        assert ("v1", dict(_terra_parts(signed))["v1"]) in parts


def test_times_are_written_in_the_unit_of_the_vendor() -> None:
    at = datetime(2026, 7, 1, 9, 0, 0, 123_456, tzinfo=UTC)

    assert signer.unix_seconds(at) == "1782896400"
    assert signer.unix_milliseconds(at) == "1782896400123"


def test_headers_pick_the_scheme_of_the_vendor() -> None:
    at = datetime(2026, 7, 1, 9, tzinfo=UTC)
    for vendor, name in [
        ("oura", "x-oura-signature"),
        ("whoop", "x-whoop-signature"),
        ("terra", "terra-signature"),
        ("healthkit", "authorization"),
    ]:
        assert name in signer.headers(vendor, secret="s", body=b"{}", at=at)
    with pytest.raises(ValueError, match="acme"):
        signer.headers("acme", secret="s", body=b"{}", at=at)
