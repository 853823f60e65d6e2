"""Deliveries for tests: what a vendor sends and what its API answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from biometrics.vendors.wire import ApiResponse, InboundRequest

FIXTURES = Path(__file__).parents[1] / "fixtures"
NOW = datetime(2026, 8, 12, 9, 0, tzinfo=UTC)
SECRET = "a-secret-of-the-tests"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One delivery as the vendor sends it, with what enrichment fetched for it.

    `fixtures` names the files of `tests/fixtures/<slug>/` that it was made of.
    """

    name: str
    body: bytes
    fixtures: tuple[str, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    documents: tuple[ApiResponse, ...] = ()


def answer(body: bytes, *, url: str = "/document", status: int = 200) -> ApiResponse:
    """Return what the vendor's API said, fetched half a minute after receipt."""
    at = NOW + timedelta(seconds=30)
    return ApiResponse(url=url, status=status, body=body, fetched_at=at)


def fixture(slug: str, name: str) -> bytes:
    return (FIXTURES / slug / name).read_bytes()


def make_request(
    slug: str,
    *,
    body: bytes = b"",
    headers: Sequence[tuple[str, str]] = (),
    at: datetime = NOW,
    method: str = "POST",
    query: Mapping[str, str] | None = None,
) -> InboundRequest:
    return InboundRequest(
        method=method,
        path=f"/webhooks/{slug}",
        headers=headers,
        query=query or {},
        body=body,
        received_at=at,
    )
