"""How a vendor's API is reached as settings have it: its base, the application's keys."""

from __future__ import annotations

from collections.abc import Mapping

from django.conf import settings

from biometrics.errors import ConfigurationError
from biometrics.vendors.api_spec import ApiSpec
from biometrics.vendors.base import VendorAdapter


def base_of(*, slug: str, spec: ApiSpec) -> str:
    """Return where a vendor's API is."""
    configured: str = settings.AUREN_VENDORS.get(slug, {}).get("api_base", "")
    return configured or spec.base


def application_headers(*, slug: str, spec: ApiSpec) -> Mapping[str, str]:
    """Return the headers that prove the application; none where grants do.

    Raises ConfigurationError naming the setting that is missing.
    """
    if spec.keys is None:
        return {}
    known = settings.AUREN_VENDORS.get(slug, {})
    found = {}
    for header, name in spec.keys.headers.items():
        if not known.get(name):
            message = (
                f"AUREN_{slug.upper()}_{name.upper()} is not set, so the API of {slug}"
                " cannot be called."
            )
            raise ConfigurationError(message)
        found[header] = known[name]
    return found


def is_callable(adapter: VendorAdapter) -> bool:
    """Say whether the settings let this vendor's API be called at all."""
    if adapter.api is None:
        return False
    try:
        application_headers(slug=adapter.slug, spec=adapter.api)
    except ConfigurationError:
        return False
    return True
