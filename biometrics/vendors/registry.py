"""The vendors that this bridge knows: one dotted path each, imported at first use."""

from __future__ import annotations

from functools import cache
from importlib import import_module

from biometrics.errors import UnknownVendorError
from biometrics.vendors.base import VendorAdapter

VENDORS: dict[str, str] = {
    "oura": "biometrics.vendors.oura.adapter.Oura",
    "whoop": "biometrics.vendors.whoop.adapter.Whoop",
    "terra": "biometrics.vendors.terra.adapter.Terra",
    "healthkit": "biometrics.vendors.healthkit.adapter.HealthKit",
}


@cache
def get_adapter(slug: str) -> VendorAdapter:
    """Return the adapter of a vendor; raises UnknownVendorError."""
    path = VENDORS.get(slug)
    if path is None:
        known = ", ".join(sorted(VENDORS))
        message = f"Unknown vendor {slug!r}; known are: {known}."
        raise UnknownVendorError(message)
    module, _, name = path.rpartition(".")
    adapter: VendorAdapter = getattr(import_module(module), name)()
    return adapter


def all_adapters() -> list[VendorAdapter]:
    """Return every adapter, in the order of registration."""
    return [get_adapter(slug) for slug in VENDORS]


def choices() -> list[tuple[str, str]]:
    """Return (slug, title) pairs for admin filters and forms."""
    return [(adapter.slug, adapter.title) for adapter in all_adapters()]
