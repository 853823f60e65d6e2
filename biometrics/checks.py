"""System checks: what would make the bridge fail later fails at the start instead."""

from __future__ import annotations

from typing import Any

from cryptography.fernet import Fernet
from django.conf import settings
from django.core.checks import CheckMessage, Error, register

from biometrics.connections import subscribed
from biometrics.errors import ConfigurationError
from biometrics.vendors.registry import VENDORS, get_adapter


@register("biometrics")
def check_secrets(**_: Any) -> list[CheckMessage]:
    """Every secret belongs to a vendor; `auren.safety` sees to the other direction."""
    return [
        Error(
            f"AUREN_WEBHOOK_SECRET_{slug.upper()}: there is no vendor {slug!r}.",
            hint=f"Known are {', '.join(sorted(VENDORS))}.",
            id="biometrics.E001",
        )
        for slug in settings.AUREN_WEBHOOK_SECRETS
        if slug not in VENDORS
    ]


@register("biometrics")
def check_subscriptions(**_: Any) -> list[CheckMessage]:
    """Vendors tell of everything that the settings want to be told of."""
    found: list[CheckMessage] = []
    for slug, known in settings.AUREN_VENDORS.items():
        if slug not in VENDORS or not known.get("subscriptions"):
            continue
        adapter = get_adapter(slug)
        try:
            subscribed.wanted(adapter)
        except ConfigurationError as error:
            topics = adapter.subscriptions.topics if adapter.subscriptions else ()
            types = ", ".join(dict.fromkeys(data_type for _, data_type in topics))
            hint = f"It tells of {types}." if types else "It has no subscriptions."
            found.append(Error(str(error), hint=hint, id="biometrics.E004"))
    return found


@register("biometrics")
def check_token_keys(**_: Any) -> list[CheckMessage]:
    """Vendors' tokens can be encrypted."""
    found: list[CheckMessage] = []
    if not settings.AUREN_TOKEN_KEYS:
        found.append(
            Error(
                "AUREN_TOKEN_KEYS is not set: vendors' tokens could not be encrypted.",
                hint="Make one: python -c 'from cryptography.fernet import Fernet; "
                "print(Fernet.generate_key().decode())'",
                id="biometrics.E002",
            )
        )
    for position, key in enumerate(settings.AUREN_TOKEN_KEYS, start=1):
        try:
            Fernet(key)
        except ValueError:
            found.append(
                Error(
                    f"AUREN_TOKEN_KEYS: key {position} is no Fernet key.",
                    hint="A Fernet key is 32 bytes in url-safe base64.",
                    id="biometrics.E003",
                )
            )
    return found
