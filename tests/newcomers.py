"""What a bridge of the tests says of vendors that its settings do not speak of."""

from __future__ import annotations

from collections.abc import Collection

from biometrics.vendors.registry import VENDORS, get_adapter


def unused_but(named: Collection[str]) -> str:
    """Return AUREN_UNUSED_VENDORS: one vendor more in the registry changes no test."""
    signing = (slug for slug in VENDORS if not get_adapter(slug).personal_tokens)
    return ",".join(slug for slug in signing if slug not in named)
