"""The ruleset that this installation judges by."""

from __future__ import annotations

from functools import cache
from typing import cast

from django.conf import settings

from biometrics.alerts.hrv_1 import HRV_1
from biometrics.alerts.ruleset import Mode, Ruleset, with_absolute_mode


def configured_ruleset() -> Ruleset:
    """Return the ruleset with its fixed limits as HRV_ABSOLUTE_RULES wants them."""
    return _ruleset(settings.HRV_ABSOLUTE_RULES)


@cache
def _ruleset(mode: str) -> Ruleset:
    # The settings allow nothing but the four modes.
    return with_absolute_mode(ruleset=HRV_1, mode=cast(Mode, mode))
