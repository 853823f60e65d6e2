"""Safeguards that settings alone decide: nothing is connected to."""

from __future__ import annotations

from urllib.parse import urlsplit

from django.conf import settings
from django.db import connection

from auren.safety.safeguard import Safeguard
from biometrics.checks import check_token_keys
from biometrics.vendors.registry import all_adapters

_KEY_LENGTH = 50
_KEY_VARIETY = 10
# With fewer there is no third copy to lose while one broker is being restarted.
_REPLICAS = 3


def _debug() -> str | None:
    return (
        "DEBUG is true: tracebacks with data reach callers." if settings.DEBUG else None
    )


def _secret_key() -> str | None:
    key = str(settings.SECRET_KEY)
    if len(key) < _KEY_LENGTH or len(set(key)) < _KEY_VARIETY:
        return "SECRET_KEY is too short or too uniform: sessions could be forged."
    if key.startswith("django-insecure-"):
        return "SECRET_KEY is a generated default: sessions could be forged."
    return None


def _vendor_secrets() -> str | None:
    unproven = [
        f"AUREN_WEBHOOK_SECRET_{adapter.slug.upper()}"
        for adapter in all_adapters()
        if not adapter.personal_tokens
        and adapter.slug not in settings.AUREN_UNUSED_VENDORS
        and not settings.AUREN_WEBHOOK_SECRETS.get(adapter.slug)
    ]
    if not unproven:
        return None
    verb = "are" if len(unproven) > 1 else "is"
    return f"{', '.join(unproven)} {verb} not set: those webhooks are answered 503."


def _unused_vendors() -> str | None:
    known = {adapter.slug for adapter in all_adapters()}
    strange = sorted(set(settings.AUREN_UNUSED_VENDORS) - known)
    if not strange:
        return None
    return f"AUREN_UNUSED_VENDORS names {', '.join(strange)}, which is no vendor."


def _database() -> str | None:
    if connection.vendor == "postgresql":
        return None
    return "DATABASE_URL is not PostgreSQL: SQLite serves one machine."


def _hosts() -> str | None:
    if "*" not in settings.ALLOWED_HOSTS and settings.ALLOWED_HOSTS:
        return None
    return "ALLOWED_HOSTS is * or empty: any Host header would be believed, or none."


def _delivery() -> str | None:
    if settings.KAFKA_ACKS == "all" and settings.KAFKA_ENABLE_IDEMPOTENCE:
        return None
    return "KAFKA_ACKS or KAFKA_ENABLE_IDEMPOTENCE is weakened: records could be lost."


def _replicas() -> str | None:
    factor = settings.KAFKA_REPLICATION_FACTOR
    if factor >= _REPLICAS:
        return None
    return f"KAFKA_REPLICATION_FACTOR is {factor}: one lost disk loses records."


def _token_keys() -> str | None:
    found = check_token_keys()
    return found[0].msg if found else None


def _tls() -> str | None:
    if urlsplit(settings.PUBLIC_URL).scheme != "https":
        return "PUBLIC_URL is not https: staff would log in over plain HTTP."
    if not (settings.SESSION_COOKIE_SECURE and settings.CSRF_COOKIE_SECURE):
        return "AUREN_TLS is false: cookies of the admin would travel over plain HTTP."
    return None


CONFIGURED = (
    Safeguard(
        id="auren.E001",
        promise="callers see no traceback",
        wrong=_debug,
        fix="Set DEBUG=false.",
    ),
    Safeguard(
        id="auren.E002",
        promise="sessions and links cannot be forged",
        wrong=_secret_key,
        fix="Set SECRET_KEY to at least 50 random characters: "
        "python -c 'import secrets; print(secrets.token_urlsafe(50))'",
    ),
    Safeguard(
        id="auren.E003",
        promise="every vendor in use has a signing secret",
        wrong=_vendor_secrets,
        fix="Set the vendor's secret, or name the vendor in AUREN_UNUSED_VENDORS.",
    ),
    Safeguard(
        id="auren.E004",
        promise="the list of unused vendors names vendors",
        wrong=_unused_vendors,
        fix="Correct AUREN_UNUSED_VENDORS.",
    ),
    Safeguard(
        id="auren.E005",
        promise="the truth is in PostgreSQL",
        wrong=_database,
        fix="Set DATABASE_URL=postgres://user:password@host:5432/name.",
    ),
    Safeguard(
        id="auren.E006",
        promise="only our own host names are answered",
        wrong=_hosts,
        fix="Set ALLOWED_HOSTS to the names that vendors and staff use.",
    ),
    Safeguard(
        id="auren.E007",
        promise="records are acknowledged by all replicas, idempotently",
        wrong=_delivery,
        fix="Remove KAFKA_ACKS and KAFKA_ENABLE_IDEMPOTENCE.",
    ),
    Safeguard(
        id="auren.E008",
        promise="records outlive a broker",
        wrong=_replicas,
        fix="Run three brokers and set KAFKA_REPLICATION_FACTOR=3.",
    ),
    Safeguard(
        id="auren.E009",
        promise="vendors' tokens are encrypted at rest",
        wrong=_token_keys,
        fix="Set AUREN_TOKEN_KEYS: python -c 'from cryptography.fernet import Fernet; "
        "print(Fernet.generate_key().decode())'",
    ),
    Safeguard(
        id="auren.E010",
        promise="staff reach the admin by HTTPS alone",
        wrong=_tls,
        fix="Put a proxy with TLS in front, set PUBLIC_URL=https://… and AUREN_TLS=true.",
    ),
)
