"""Reading settings from the environment: typed, loud, with files for secrets.

Every reader names the variable in its error. `NAME_FILE` holds the path of a file with
the value, for secrets that an orchestrator mounts.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

T = TypeVar("T")

_env = environ.Env()
_SECRET_PREFIX = "AUREN_WEBHOOK_SECRET_"  # noqa: S105 - the name, not a secret


def raw(name: str) -> str | None:
    """Return the value of `name`, or of the file that `name`_FILE points to."""
    path = os.environ.get(f"{name}_FILE")
    if path:
        try:
            return Path(path).read_text(encoding="utf-8").strip()
        except OSError as error:
            message = f"{name}_FILE: cannot read {path!r}: {error.strerror}."
            raise ImproperlyConfigured(message) from error
        except UnicodeDecodeError:
            # Not chained: the error holds what it could not read.
            message = f"{name}_FILE: {path!r} is no text in UTF-8."
            raise ImproperlyConfigured(message) from None
    return os.environ.get(name)


def text(name: str, default: str = "") -> str:
    """Return the value, unchanged; `django-environ` would expand `$` in it."""
    value = raw(name)
    return default if value is None else value


def integer(name: str, default: int, *, low: int = 0, high: int = 2**31 - 1) -> int:
    """Return a whole number between `low` and `high`."""
    return _number(name, default, kind=int, bounds=(low, high))


def number(name: str, default: float, *, low: float, high: float) -> float:
    """Return a number between `low` and `high`."""
    return _number(name, default, kind=float, bounds=(low, high))


def _number(
    name: str,
    default: T,
    *,
    kind: Callable[[str], T],
    bounds: tuple[float, float],
) -> T:
    value = raw(name)
    if value is None or value == "":
        return default
    low, high = bounds
    try:
        parsed = kind(value)
    except ValueError:
        parsed = None
    if parsed is None or not low <= parsed <= high:  # type: ignore[operator]
        message = f"{name} must be a number from {low} to {high}, not {value!r}."
        raise ImproperlyConfigured(message)
    return parsed


def flag(name: str, *, default: bool) -> bool:
    """Return true or false; anything but the usual words is an error."""
    value = (raw(name) or "").strip().lower()
    if not value:
        return default
    if value in {"1", "true", "yes", "on"}:
        return True
    if value in {"0", "false", "no", "off"}:
        return False
    message = f"{name} must be true or false, not {value!r}."
    raise ImproperlyConfigured(message)


def one_of(name: str, default: str, options: tuple[str, ...]) -> str:
    """Return one of the options."""
    value = text(name, default)
    if value not in options:
        allowed = ", ".join(filter(None, options))
        message = f"{name} must be one of {allowed}, not {value!r}."
        raise ImproperlyConfigured(message)
    return value


def listing(name: str, default: str = "") -> list[str]:
    """Return a comma-separated list, items stripped, empty ones left out."""
    return [item.strip() for item in text(name, default).split(",") if item.strip()]


def url(name: str, default: str = "", *, schemes: tuple[str, ...]) -> str:
    """Return a URL of one of the schemes, or nothing where there is no default."""
    value = text(name, default)
    parts = urlsplit(value)
    if value and (parts.scheme not in schemes or not (parts.netloc or parts.path)):
        # The value is not shown: it may hold a password.
        message = f"{name} is no URL of {', '.join(f'{s}://' for s in schemes)}."
        raise ImproperlyConfigured(message)
    return value


def servers(name: str, default: str) -> list[str]:
    """Return a list of host:port, at least one."""
    found = listing(name, default)
    for server in found:
        host, _, port = server.rpartition(":")
        if not host or not port.isdigit() or not 0 < int(port) < 65_536:
            message = f"{name} must be a list of host:port, not {server!r}."
            raise ImproperlyConfigured(message)
    if not found:
        message = f"{name} names no server: give a list of host:port."
        raise ImproperlyConfigured(message)
    return found


def networks(name: str, default: str) -> list[str]:
    """Return a list of addresses and networks (10.0.0.0/8)."""
    found = listing(name, default)
    for network in found:
        try:
            ipaddress.ip_network(network, strict=False)
        except ValueError:
            message = (
                f"{name} must be a list of addresses or networks, not {network!r}."
            )
            raise ImproperlyConfigured(message) from None
    return found


def database(name: str, default: str) -> dict[str, object]:
    """Return Django's database dictionary for a URL."""
    value = text(name, default)
    try:
        parsed = _env.db_url_config(value)
    except (KeyError, ValueError, ImproperlyConfigured):
        parsed = {}
    if "ENGINE" not in parsed:
        # The value is not shown: it holds a password.
        message = f"{name} is no database URL (postgres://user:password@host/name)."
        raise ImproperlyConfigured(message)
    return dict(parsed)


def webhook_secrets(environment: Mapping[str, str]) -> dict[str, list[str]]:
    """Collect AUREN_WEBHOOK_SECRET_<SLUG>; every listed secret is active.

    `<SLUG>_FILE` is the file form of `<SLUG>`, never a vendor of its own.
    """
    names = {
        key.removesuffix("_FILE")
        for key in environment
        if key.startswith(_SECRET_PREFIX)
    }
    found = {name.removeprefix(_SECRET_PREFIX).lower(): listing(name) for name in names}
    return {slug: secrets for slug, secrets in sorted(found.items()) if secrets}
