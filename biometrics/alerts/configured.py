"""The ruleset that this installation judges by."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import cast

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from biometrics.alerts.hrv_1 import HRV_1
from biometrics.alerts.ruleset import Mode, Ruleset, with_absolute_mode
from biometrics.alerts.ruleset_json import parse_ruleset
from biometrics.alerts.validation import RulesetError


def configured_ruleset() -> Ruleset:
    """Return the ruleset of HRV_RULESET_FILE, else hrv-1.

    Its fixed limits are as HRV_ABSOLUTE_RULES wants them. Raises ImproperlyConfigured,
    naming the file and the field.
    """
    return _ruleset(settings.HRV_RULESET_FILE, settings.HRV_ABSOLUTE_RULES)


def read_ruleset(path: str) -> Ruleset:
    """Return the ruleset in a JSON file; raises RulesetError or OSError."""
    return parse_ruleset(text=Path(path).read_text(encoding="utf-8"))


@cache
def _ruleset(path: str, mode: str) -> Ruleset:
    # The settings allow nothing but the four modes.
    return with_absolute_mode(ruleset=_named(path), mode=cast(Mode, mode))


def _named(path: str) -> Ruleset:
    if not path:
        return HRV_1
    try:
        return read_ruleset(path)
    except (RulesetError, OSError, UnicodeDecodeError) as error:
        message = f"HRV_RULESET_FILE {path}: {error}"
        raise ImproperlyConfigured(message) from error
