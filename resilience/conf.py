"""The policies of a project: `settings.RESILIENCE`, which the environment may override.

A key is a circuit's name. ``vendor:*`` (or plain ``vendor``) also serves every circuit
whose name starts with ``vendor:``. ``RESILIENCE_VENDOR_RECOVERY_TIMEOUT=30`` overrides a
number for all of them, ``RESILIENCE_VENDOR_OURA_RECOVERY_TIMEOUT=30`` for one. A
variable belongs to the longest key that it begins with, and to no circuit of another.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from resilience.errors import PolicyError
from resilience.policy import COUNTS, FIELD_NAMES, BreakerPolicy, Rule
from resilience.states import NAME_LENGTH, Mode

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

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
        variables: list[str] = []
        keys = _keys_for(name)
        for key in keys:
            values |= _parsed(key, self.written.get(key, {}))
        heads = {_head(key) for key in keys}
        for key in keys:
            if heads.isdisjoint(map(_head, self._owners_of(_plain(key)))):
                continue
            for variable, field_name in self._variables_of(key):
                text = self.environment[variable]
                values[field_name] = _from_text(variable, field_name, text)
                variables.append(variable)
        return _made(name, values, list(dict.fromkeys(variables)))

    def names(self) -> list[str]:
        """Return the circuits that are written down by their own name."""
        return sorted(key for key in self.written if not key.endswith(WILDCARD))

    def check(self) -> None:
        """Raise `PolicyError` for the first thing that cannot be meant."""
        written: object = self.written
        if not isinstance(written, Mapping):
            msg = f"RESILIENCE must be a dict of circuits, not {self.written!r}."
            raise PolicyError(msg)
        for key in written:
            head = _head(key) if isinstance(key, str) else key
            check_name(head)
            if key == head:
                self.policy_for(head)
            # A circuit below it that nobody has named yet.
            self.policy_for(head + WILDCARD)
        for variable in self._variables():
            for name in self._circuits_of(variable):
                self.policy_for(name)

    def _circuits_of(self, variable: str) -> list[str]:
        """Return the circuits that a variable may speak of, written down or not.

        Raises PolicyError for a variable of no circuit of this project.
        """
        plain = _plain_of(variable)
        owners = self._owners_of(plain)
        if not owners or not re.fullmatch(r"[A-Z0-9_]+", plain):
            known = ", ".join(self.written) or "none"
            msg = f"{variable} is of no circuit in RESILIENCE; known: {known}."
            raise PolicyError(msg)
        if plain == _plain(owners[0]):
            # It also speaks for the circuit of that very name.
            return [name for key in owners for name in (_head(key), key)]
        heads = list(dict.fromkeys(map(_head, owners)))
        rest = plain.removeprefix(_plain(owners[0])).lower()
        spelt = [name for head in heads for name in self._spelt(head, rest)]
        names = [name for name in spelt if _is_name(name)]
        if not names:
            msg = f"{variable}: {heads[0] + rest!r} is no name for a circuit."
            raise PolicyError(msg)
        return names

    def _owners_of(self, plain: str) -> list[str]:
        """Return the keys that variables beginning so belong to: the longest ones."""
        above = [
            key
            for key in self.written
            if plain == _plain(key) or plain.startswith(_plain(key) + "_")
        ]
        longest = max((len(_plain(key)) for key in above), default=0)
        return [key for key in above if len(_plain(key)) == longest]

    def _spelt(self, head: str, rest: str) -> list[str]:
        """Return the names below `head` whose variables say `rest`, like ``_google_fit``.

        A variable cannot tell ":" from "_". That matters only where other variables speak
        for the part before it.
        """
        parts = rest.split("_")[1:]
        if "" in parts:
            return []
        spoken_of = {_plain_of(variable) for variable in self._variables()}
        names = [f"{head}:{parts[0]}"]
        for part in parts[1:]:
            marks = ":_" if _plain(names[0]) in spoken_of else ":"
            names = [name + mark + part for mark in marks for name in names]
        return names

    def _variables_of(self, key: str) -> Iterator[tuple[str, str]]:
        for field_name in sorted(FIELD_NAMES - NOT_IN_ENVIRONMENT):
            variable = f"{_plain(key)}_{field_name.upper()}"
            if variable in self.environment:
                yield variable, field_name

    def _variables(self) -> Iterator[str]:
        for variable in self.environment:
            if variable.startswith(_ENV_PREFIX) and variable not in OTHER_SETTINGS:
                yield variable


def _is_name(name: object) -> bool:
    return (
        isinstance(name, str)
        and len(name) <= NAME_LENGTH
        and bool(NAME_PATTERN.fullmatch(name))
    )


def check_name(name: object) -> None:
    """Raise `PolicyError` unless `name` can name a circuit."""
    if not _is_name(name):
        msg = (
            f"{name!r} is no name for a circuit: letters, digits, '_', '.', '-', with "
            f"':' between parts, at most {NAME_LENGTH} characters."
        )
        raise PolicyError(msg)


def _keys_for(name: str) -> list[str]:
    """Return the keys that speak for a circuit, the most particular one last.

    With the wildcard: those that speak for any circuit below it.
    """
    parts = name.removesuffix(WILDCARD).split(":")
    depth = len(parts) if name.endswith(WILDCARD) else len(parts) - 1
    heads = [":".join(parts[: n + 1]) for n in range(depth)]
    keys = [key for head in heads for key in (head, head + WILDCARD)]
    return keys if name.endswith(WILDCARD) else [*keys, name]


def _plain(key: str) -> str:
    """Return how the variables of a key begin."""
    return _ENV_PREFIX + re.sub(r"[^A-Z0-9]", "_", _head(key).upper())


def _head(key: str) -> str:
    return key.removesuffix(WILDCARD)


def _plain_of(variable: str) -> str:
    """Return how a variable begins, without its field."""
    return variable.removesuffix("_" + _field_of(variable).upper())


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
    name: str, values: Mapping[str, Any], variables: Sequence[str]
) -> BreakerPolicy:
    try:
        return BreakerPolicy(**values)
    except PolicyError as error:
        beside = f" with {', '.join(variables)}" if variables else ""
        msg = f"RESILIENCE[{name!r}]{beside}: {error}"
        raise PolicyError(msg) from error


def _parsed(key: str, written: object) -> dict[str, Any]:
    if not isinstance(written, Mapping):
        msg = f"RESILIENCE[{key!r}] must be a dict of fields, not {written!r}."
        raise PolicyError(msg)
    unknown = sorted(str(name) for name in set(written) - FIELD_NAMES)
    if unknown:
        msg = f"RESILIENCE[{key!r}]: {unknown[0]} is no field of a breaker's policy."
        raise PolicyError(msg)
    values = dict(written)
    for field_name in RULE_FIELDS & set(values):
        rules = values[field_name]
        # An iterator would be used up by the check at the start.
        if not isinstance(rules, list | tuple):
            msg = f"RESILIENCE[{key!r}]: {field_name} must be a list or tuple."
            raise PolicyError(msg)
        values[field_name] = tuple(_rule(key, field_name, rule) for rule in rules)
    if "initial_mode" in values:
        place = f"RESILIENCE[{key!r}]: initial_mode"
        values["initial_mode"] = _mode(place, values["initial_mode"])
    return values


def _rule(key: str, field_name: str, rule: object) -> Rule:
    if not isinstance(rule, str):
        return rule  # type: ignore[return-value]  # the policy refuses what is no rule
    module_name, _, attribute = rule.rpartition(".")
    try:
        found: Rule = getattr(import_module(module_name), attribute)
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        msg = f"RESILIENCE[{key!r}]: {field_name} names {rule!r}, which is not there."
        raise PolicyError(msg) from error
    return found


def _mode(place: str, value: object) -> Mode:
    try:
        return Mode(str(value))
    except ValueError as error:
        msg = f"{place} must be one of {', '.join(Mode)}, not {value!r}."
        raise PolicyError(msg) from error


def _from_text(variable: str, field_name: str, text: str) -> Any:
    if field_name == "initial_mode":
        return _mode(variable, text)
    kind = int if field_name in COUNTS else float
    try:
        return kind(text)
    except ValueError as error:
        wanted = "whole number" if kind is int else "number"
        msg = f"{variable} must be a {wanted}, not {text!r}."
        raise PolicyError(msg) from error
