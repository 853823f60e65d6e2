"""Rulesets as JSON objects, as operators write them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass, replace
from typing import Any, get_args, get_origin, get_type_hints

from biometrics.alerts.hrv_1 import HRV_1
from biometrics.alerts.ruleset import Ruleset
from biometrics.alerts.validation import RulesetError


def load_ruleset(*, data: object) -> Ruleset:
    """Return the ruleset that `data`, a decoded JSON object, describes.

    What `data` leaves out is as in hrv-1; a list replaces the whole list. Everything
    else is refused with a `RulesetError` that names the field: unknown names, wrong
    types, numbers out of range, and hrv-1 itself with other numbers.
    """
    ruleset = replace(HRV_1, **_arguments(Ruleset, data, base=HRV_1))
    if ruleset.name == HRV_1.name and ruleset != HRV_1:
        problem = f"{HRV_1.name} has other numbers; give these a name of their own"
        raise RulesetError(field="name", problem=problem)
    return ruleset


def parse_ruleset(*, text: str) -> Ruleset:
    """Return the ruleset that a JSON text describes, by the rules of `load_ruleset`."""
    try:
        return load_ruleset(data=json.loads(text))
    except RulesetError:
        raise
    except ValueError as error:
        raise RulesetError(field="", problem=f"is not JSON: {error}") from error
    except RecursionError:
        raise RulesetError(field="", problem="is nested too deep") from None


def _arguments(cls: type, data: object, *, base: object | None) -> dict[str, Any]:
    """Return constructor arguments; `base` holds what `data` may leave out."""
    if not isinstance(data, Mapping):
        raise RulesetError(field="", problem=f"must be an object, is {data!r}")
    known = {item.name: item for item in fields(cls)}
    for name in data:
        if name not in known:
            problem = f"is unknown; known are {', '.join(known)}"
            raise RulesetError(field=str(name), problem=problem)
    if base is None:
        for name, item in known.items():
            if name not in data and item.default is MISSING:
                raise RulesetError(field=name, problem="is missing")
    hints = get_type_hints(cls, include_extras=True)
    return {
        name: _value(hints[name], value, name=name, base=getattr(base, name, None))
        for name, value in data.items()
    }


def _value(hint: Any, value: object, *, name: str, base: object | None) -> object:
    if get_origin(hint) is tuple:
        if not isinstance(value, list | tuple):
            raise RulesetError(field=name, problem=f"must be a list, is {value!r}")
        item = get_args(hint)[0]
        return tuple(
            _entry(item, entry, name=f"{name}[{place}]", base=None)
            for place, entry in enumerate(value)
        )
    if is_dataclass(hint):
        return _entry(hint, value, name=name, base=base)
    return value


def _entry(cls: Any, data: object, *, name: str, base: Any) -> object:
    try:
        arguments = _arguments(cls, data, base=base)
        return cls(**arguments) if base is None else replace(base, **arguments)
    except RulesetError as error:
        raise error.under(name) from error
