"""The policies of a project: `settings.RESILIENCE`, which the environment may override.

A key is a circuit's name. ``vendor:*`` (or plain ``vendor``) also serves every circuit
whose name starts with ``vendor:``. ``RESILIENCE_VENDOR_RECOVERY_TIMEOUT=30`` overrides a
number for all of them, ``RESILIENCE_VENDOR_OURA_RECOVERY_TIMEOUT=30`` for one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from resilience.errors import PolicyError
from resilience.policy import COUNTS, FIELD_NAMES, BreakerPolicy, Rule
from resilience.states import NAME_LENGTH, Mode

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

NAME_PATTERN = re.compile(r"[A-Za-z0-9_.-]+(:[A-Za-z0-9_.-]+)*")
WILDCARD = ":*"
RULE_FIELDS = frozenset({"ignore", "success", "late_only"})
NOT_IN_ENVIRONMENT = RULE_FIELDS | {"record_at_once"}
# The variables of this package that are no policy field.
OTHER_SETTINGS = frozenset(
    {
        "RESILIENCE_KEY_PREFIX",
        "RESILIENCE_METRIC_PREFIX",
        "RESILIENCE_REDIS_URL",
        "RESILIENCE_REDIS_URL_FILE",
        "RESILIENCE_STORE_TIMEOUT",
    }
)
_ENV_PREFIX = "RESILIENCE_"


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyBook:
    """The policies as written down, looked up by circuit."""

    written: Mapping[str, Mapping[str, Any]]
    environment: Mapping[str, str]

    def policy_for(self, name: str) -> BreakerPolicy:
        """Return the policy of a circuit, or raise `PolicyError` naming the field."""
        values: dict[str, Any] = {}
        for key in _keys_for(name):
            values |= _parsed(key, self.written.get(key, {}))
        for key in _keys_for(name):
            values |= self._overrides(key)
        return _made(name, values)

    def names(self) -> list[str]:
        """Return the circuits that are written down by their own name."""
        return sorted(key for key in self.written if not key.endswith(WILDCARD))

    def check(self) -> None:
        """Raise `PolicyError` for the first thing that cannot be meant."""
        for key in self.written:
            check_name(key.removesuffix(WILDCARD))
            _made(key, _parsed(key, self.written[key]) | self._overrides(key))
        for variable in self._variables():
            self._check_variable(variable)

    def _overrides(self, key: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for field_name in FIELD_NAMES - NOT_IN_ENVIRONMENT:
            variable = _variable(key, field_name)
            if variable in self.environment:
                text = self.environment[variable]
                found[field_name] = _from_text(variable, field_name, text)
        return found

    def _check_variable(self, variable: str) -> None:
        """Refuse what no circuit of this project could be made with."""
        field_name = _field_of(variable)
        plain = variable.removesuffix("_" + field_name.upper())
        value = _from_text(variable, field_name, self.environment[variable])
        key = self._key_above(plain)
        if key is None:
            known = ", ".join(self.written) or "none"
            msg = f"{variable} is of no circuit in RESILIENCE; known: {known}."
            raise PolicyError(msg)
        values = _parsed(key, self.written[key]) | self._overrides(key)
        # The circuit may be one that nobody has named yet: its own variables together.
        for other in FIELD_NAMES - NOT_IN_ENVIRONMENT:
            beside = f"{plain}_{other.upper()}"
            if beside in self.environment:
                values[other] = _from_text(beside, other, self.environment[beside])
        _made(key, values | {field_name: value}, said_by=variable)

    def _key_above(self, plain: str) -> str | None:
        """Return the written key that serves a circuit of this spelling, if any."""
        above = [
            key
            for key in self.written
            if plain == _plain(key) or plain.startswith(_plain(key) + "_")
        ]
        return max(above, key=len, default=None)

    def _variables(self) -> Iterator[str]:
        for variable in self.environment:
            if variable.startswith(_ENV_PREFIX) and variable not in OTHER_SETTINGS:
                yield variable


def check_name(name: str) -> None:
    """Raise `PolicyError` unless `name` can name a circuit."""
    if len(name) > NAME_LENGTH or not NAME_PATTERN.fullmatch(name):
        msg = (
            f"{name!r} is no name for a circuit: letters, digits, '_', '.', '-', with "
            f"':' between parts, at most {NAME_LENGTH} characters."
        )
        raise PolicyError(msg)


def _keys_for(name: str) -> list[str]:
    """Return the keys that speak for a circuit, the most particular one last."""
    parts = name.removesuffix(WILDCARD).split(":")
    heads = [":".join(parts[: n + 1]) for n in range(len(parts) - 1)]
    keys = [key for head in heads for key in (head, head + WILDCARD)]
    return [*keys, name]


def _variable(key: str, field_name: str) -> str:
    return f"{_plain(key)}_{field_name.upper()}"


def _plain(key: str) -> str:
    """Return how the variables of a key begin."""
    return _ENV_PREFIX + re.sub(r"[^A-Z0-9]", "_", key.removesuffix(WILDCARD).upper())


def _field_of(variable: str) -> str:
    fields = [
        field_name
        for field_name in FIELD_NAMES - NOT_IN_ENVIRONMENT
        if variable.endswith("_" + field_name.upper())
    ]
    if not fields:
        msg = f"{variable} names no field of a breaker's policy."
        raise PolicyError(msg)
    return max(fields, key=len)


def _made(
    name: str, values: Mapping[str, Any], *, said_by: str | None = None
) -> BreakerPolicy:
    try:
        return BreakerPolicy(**values)
    except PolicyError as error:
        msg = f"{said_by or f'RESILIENCE[{name!r}]'}: {error}"
        raise PolicyError(msg) from error


def _parsed(key: str, written: Mapping[str, Any]) -> dict[str, Any]:
    unknown = sorted(set(written) - FIELD_NAMES)
    if unknown:
        msg = f"RESILIENCE[{key!r}]: {unknown[0]} is no field of a breaker's policy."
        raise PolicyError(msg)
    values = dict(written)
    for field_name in RULE_FIELDS & set(values):
        rules = values[field_name]
        if isinstance(rules, str) or not hasattr(rules, "__iter__"):
            msg = f"RESILIENCE[{key!r}]: {field_name} must be a list or tuple."
            raise PolicyError(msg)
        values[field_name] = tuple(_rule(key, field_name, rule) for rule in rules)
    if "initial_mode" in values:
        values["initial_mode"] = _mode(key, values["initial_mode"])
    return values


def _rule(key: str, field_name: str, rule: object) -> Rule:
    if not isinstance(rule, str):
        return rule  # type: ignore[return-value]  # the policy refuses what is no rule
    module_name, _, attribute = rule.rpartition(".")
    try:
        found: Rule = getattr(import_module(module_name), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        msg = f"RESILIENCE[{key!r}]: {field_name} names {rule!r}, which is not there."
        raise PolicyError(msg) from error
    return found


def _mode(key: str, value: object) -> Mode:
    try:
        return Mode(str(value))
    except ValueError as error:
        msg = (
            f"RESILIENCE[{key!r}]: initial_mode must be one of "
            f"{', '.join(Mode)}, not {value!r}."
        )
        raise PolicyError(msg) from error


def _from_text(variable: str, field_name: str, text: str) -> Any:
    if field_name == "initial_mode":
        return _mode(variable, text)
    kind = int if field_name in COUNTS else float
    try:
        return kind(text)
    except ValueError as error:
        msg = f"{variable} must be a number, not {text!r}."
        raise PolicyError(msg) from error
