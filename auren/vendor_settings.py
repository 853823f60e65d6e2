"""What the environment says of vendors: AUREN_<SLUG>_<NAME>, without knowing any slug.

The registry of vendors is above the settings: a slug that it does not know is found by a
system check.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

from auren import environment as env

_NAMES = (
    "CLIENT_ID",
    "CLIENT_SECRET",
    "API_BASE",
    "DEV_ID",
    "API_KEY",
    "TOLERANCE_S",
    "PAYLOAD_HOSTS",
    "VERIFICATION_TOKEN",
    "SCOPES",
    "STATE_LENGTH",
    "SUBSCRIPTIONS",
)


def vendors() -> dict[str, dict[str, Any]]:
    """Return one entry per slug: client id and secret, API base, tolerance, ..."""
    return {slug: _vendor(slug) for slug in _slugs()}


def signing_secrets(
    *, of_vendors: Mapping[str, Mapping[str, Any]], by_client_secret: Iterable[str]
) -> dict[str, list[str]]:
    """Return the secrets that prove each vendor's deliveries, by slug.

    Vendors of `by_client_secret` sign with the OAuth client secret; a list of its own
    serves rotation.
    """
    secrets = env.webhook_secrets(os.environ)
    for slug in by_client_secret:
        client_secret = of_vendors.get(slug, {}).get("client_secret")
        if slug not in secrets and client_secret:
            secrets[slug] = [client_secret]
    return secrets


def _slugs() -> list[str]:
    """Return every slug that a variable AUREN_<SLUG>_<NAME> speaks of."""
    found = set()
    for key in os.environ:
        plain = key.removesuffix("_FILE")
        for name in _NAMES:
            if plain.startswith("AUREN_") and plain.endswith(f"_{name}"):
                found.add(plain.removeprefix("AUREN_").removesuffix(f"_{name}").lower())
    return sorted(found)


def _vendor(slug: str) -> dict[str, Any]:
    prefix = f"AUREN_{slug.upper()}"
    return {
        "client_id": env.text(f"{prefix}_CLIENT_ID"),
        "client_secret": env.text(f"{prefix}_CLIENT_SECRET"),
        "api_base": env.url(f"{prefix}_API_BASE", schemes=("http", "https")).rstrip(
            "/"
        ),
        "dev_id": env.text(f"{prefix}_DEV_ID"),
        "api_key": env.text(f"{prefix}_API_KEY"),
        "verification_token": env.text(f"{prefix}_VERIFICATION_TOKEN"),
        "scopes": env.text(f"{prefix}_SCOPES").split(),
        # WHOOP's documents want a `state` of exactly, or of at least, 8 characters.
        "state_length": env.integer(f"{prefix}_STATE_LENGTH", 0, low=8, high=43),
        # Empty: those that the vendor documents.
        "payload_hosts": [
            host.lower() for host in env.listing(f"{prefix}_PAYLOAD_HOSTS")
        ],
        "subscriptions": env.listing(f"{prefix}_SUBSCRIPTIONS"),
        "tolerance_s": env.number(f"{prefix}_TOLERANCE_S", -1, low=1, high=86_400),
    }
