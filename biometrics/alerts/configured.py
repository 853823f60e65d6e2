"""The ruleset that this installation judges by."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import cast, get_args

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from biometrics.alerts.hrv_1 import HRV_1
from biometrics.alerts.ruleset import Mode, Ruleset, with_absolute_mode
from biometrics.alerts.ruleset_json import parse_ruleset
from biometrics.alerts.validation import RulesetError


def configured_ruleset() -> Ruleset:
    """Return the ruleset of HRV_RULESET_FILE, else hrv-1.

    Its fixed limits are as HRV_ABSOLUTE_RULES wants them, where that is set. Raises
    ImproperlyConfigured, naming the file and the field.
    """
    return _ruleset(settings.HRV_RULESET_FILE, settings.HRV_ABSOLUTE_RULES)


def read_ruleset(path: str) -> Ruleset:
    """Return the ruleset in a JSON file as this installation would judge by it.

    Raises RulesetError, OSError or UnicodeDecodeError.
    """
    text = Path(path).read_text(encoding="utf-8")
    return _in_mode(parse_ruleset(text=text), settings.HRV_ABSOLUTE_RULES)


def known_ruleset(name: str) -> Ruleset | None:
    """Return the ruleset that an alert names, None where its rules are not at hand.

    At hand are hrv-1 and the configured file, with their fixed limits in any mode: an
    alert stays explained when the setting changes after it.
    """
    return _known(name, settings.HRV_RULESET_FILE)


@cache
def _known(name: str, path: str) -> Ruleset | None:
    for ruleset in (_named(path), HRV_1):
        for mode in ("", *get_args(Mode)):
            if (found := _in_mode(ruleset, mode)).name == name:
                return found
    return None


@cache
def _ruleset(path: str, mode: str) -> Ruleset:
    return _in_mode(_named(path), mode)


def _in_mode(ruleset: Ruleset, mode: str) -> Ruleset:
    """Return the ruleset with its fixed limits in a mode, as it is without one."""
    if not mode:
        return ruleset
    # The settings allow nothing but the four modes.
    return with_absolute_mode(ruleset=ruleset, mode=cast(Mode, mode))


def _named(path: str) -> Ruleset:
    if not path:
        return HRV_1
    try:
        return parse_ruleset(text=Path(path).read_text(encoding="utf-8"))
    except (RulesetError, OSError, UnicodeDecodeError) as error:
        message = f"HRV_RULESET_FILE {path}: {error}"
        raise ImproperlyConfigured(message) from error
