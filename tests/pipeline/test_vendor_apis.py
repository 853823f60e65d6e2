"""Where the real vendors' documents and tokens are, as their own pages say."""

from __future__ import annotations

import pytest

from biometrics.connections.refresh import endpoint_of
from biometrics.vendors.registry import all_adapters, get_adapter


@pytest.mark.parametrize(
    ("slug", "documents", "tokens"),
    [
        (
            "oura",
            "https://api.ouraring.com/v2/",
            "https://api.ouraring.com/oauth/token",
        ),
        (
            "whoop",
            "https://api.prod.whoop.com/developer/v2/",
            "https://api.prod.whoop.com/oauth/oauth2/token",
        ),
    ],
)
def test_the_addresses_are_those_that_the_vendor_publishes(
    slug: str, documents: str, tokens: str
) -> None:
    spec = get_adapter(slug).api
    assert spec is not None
    assert spec.base + spec.prefix + "/v2/" == documents
    assert endpoint_of(slug=slug, spec=spec, base=spec.base).url == tokens


def test_whoop_keeps_the_right_to_renew() -> None:
    spec = get_adapter("whoop").api
    assert spec is not None
    assert spec.refresh_fields == {"scope": "offline"}


def test_every_vendor_that_only_notifies_has_an_api() -> None:
    silent = [a.slug for a in all_adapters() if a.notifies_only and a.api is None]
    assert silent == []
