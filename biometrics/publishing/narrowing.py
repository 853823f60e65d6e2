"""Whether a new schema still promises what an old one did.

Consumers read and the bridge writes, so a schema may only become narrower: whatever the
new one allows, the old one must have allowed. It may add properties that the old one did
not name. What this module cannot tell (another pattern, say) counts as a widening.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

Schema: TypeAlias = Mapping[str, Any]
_Rule: TypeAlias = Callable[[Schema, Schema, str], Iterator["Widening"]]

# They describe, and validators do not look at them.
_WORDS: Final = frozenset({"$schema", "$comment", "title", "description", "examples"})
_KINDS: Final[Mapping[type, str]] = {
    bool: "boolean",
    dict: "object",
    float: "number",
    int: "integer",
    list: "array",
    str: "string",
    type(None): "null",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Widening:
    """Something that consumers can no longer rely on; `path` is a JSON path."""

    path: str
    what: str


def widenings(*, old: Schema, new: Schema, path: str = "$") -> list[Widening]:
    """Return where `new` allows what `old` did not; empty when consumers lose nothing."""
    if "anyOf" in old or "anyOf" in new:
        return list(_any_of(old, new, path))
    if "type" in old and (found := list(_type(old, new, path))):
        # What holds for another type says nothing more.
        return found
    return [
        found
        for keyword in old
        if keyword not in _WORDS
        for found in _RULES.get(keyword, _same(keyword))(old, new, path)
    ]


def _any_of(old: Schema, new: Schema, path: str) -> Iterator[Widening]:
    """Every alternative of the new schema must lie in one of the old schema's."""
    before = _alternatives(old)
    for branch in _alternatives(new):
        found = [widenings(old=one, new=branch, path=path) for one in before]
        # The alternative that comes closest says best what is wrong.
        yield from min(found, key=len)


def _alternatives(schema: Schema) -> list[Schema]:
    rest = {name: item for name, item in schema.items() if name != "anyOf"}
    branches = schema.get("anyOf", [{}])
    if any(rest.keys() & branch.keys() - _WORDS for branch in branches):
        message = f"A keyword stands in anyOf and beside it: {json.dumps(schema)}"
        raise ValueError(message)
    return [{**rest, **branch} for branch in branches]


def _type(old: Schema, new: Schema, path: str) -> Iterator[Widening]:
    before, after = _types(old), _types(new)
    if "number" in before:
        before = before | {"integer"}
    if not after:
        yield Widening(path=path, what=f"may be anything, was {_listed(before)}")
    elif after - before:
        yield Widening(
            path=path, what=f"may be {_listed(after - before)}, was {_listed(before)}"
        )


def _types(schema: Schema) -> set[str]:
    if "type" in schema:
        said = schema["type"]
        return {said} if isinstance(said, str) else set(said)
    values = _values(schema)
    return set() if values is None else {_KINDS[type(value)] for value in values}


def _closed(old: Schema, new: Schema, path: str) -> Iterator[Widening]:
    before, after = _values(old) or [], _values(new)
    if after is None:
        yield Widening(path=path, what=f"is no longer one of {_listed(before)}")
        return
    for value in after:
        if value not in before:
            yield Widening(
                path=path, what=f"may be {value!r}, which the closed list lacked"
            )


def _values(schema: Schema) -> list[Any] | None:
    if "const" in schema:
        return [schema["const"]]
    return list(schema["enum"]) if "enum" in schema else None


def _extensible(old: Schema, new: Schema, path: str) -> Iterator[Widening]:
    known = new.get("x-extensible-enum") or _values(new) or []
    for value in old["x-extensible-enum"]:
        if value not in known:
            yield Widening(path=path, what=f"{value!r} is gone")


def _units(old: Schema, new: Schema, path: str) -> Iterator[Widening]:
    after = new.get("x-units", {})
    for metric, unit in old["x-units"].items():
        if after.get(metric) != unit:
            yield Widening(
                path=path, what=f"unit of {metric} is {after.get(metric)}, was {unit}"
            )


def _required(old: Schema, new: Schema, path: str) -> Iterator[Widening]:
    for name in old["required"]:
        if name not in new.get("required", ()):
            yield Widening(path=f"{path}.{name}", what="is no longer always there")


def _properties(old: Schema, new: Schema, path: str) -> Iterator[Widening]:
    after = new.get("properties", {})
    for name, before in old["properties"].items():
        if name not in after:
            yield Widening(path=f"{path}.{name}", what="is gone")
        else:
            yield from widenings(old=before, new=after[name], path=f"{path}.{name}")


def _additional(old: Schema, new: Schema, path: str) -> Iterator[Widening]:
    """Hold newly named properties to what the old schema said of unnamed ones."""
    before, known = _schema(old["additionalProperties"]), old.get("properties", {})
    after = _schema(new.get("additionalProperties", True))
    named = new.get("properties", {})
    for name, schema in {**named, "*": after}.items():
        if name not in known:
            yield from _within(before, schema, f"{path}.{name}")


def _within(old: Schema | None, new: Schema | None, path: str) -> Iterator[Widening]:
    """`None` allows nothing."""
    if new is None:
        return
    if old is None:
        yield Widening(path=path, what="may be there, was excluded")
        return
    yield from widenings(old=old, new=new, path=path)


def _schema(said: bool | Schema) -> Schema | None:  # noqa: FBT001 - JSON Schema's form
    if isinstance(said, bool):
        return {} if said else None
    return said


def _items(old: Schema, new: Schema, path: str) -> Iterator[Widening]:
    after = _schema(new.get("items", True))
    yield from _within(_schema(old["items"]), after, f"{path}[*]")


def _lower_bound(keyword: str) -> _Rule:
    def rule(old: Schema, new: Schema, path: str) -> Iterator[Widening]:
        if keyword not in new or new[keyword] < old[keyword]:
            yield Widening(
                path=path,
                what=f"{keyword} is {new.get(keyword)}, was {old[keyword]}",
            )

    return rule


def _same(keyword: str) -> _Rule:
    def rule(old: Schema, new: Schema, path: str) -> Iterator[Widening]:
        if new.get(keyword) != old[keyword]:
            before, after = json.dumps(old[keyword]), json.dumps(new.get(keyword))
            yield Widening(path=path, what=f"{keyword} is {after}, was {before}")

    return rule


def _listed(values: object) -> str:
    assert isinstance(values, set | list)
    return " or ".join(sorted(map(str, values)))


_RULES: Final[Mapping[str, _Rule]] = {
    "type": _type,
    "enum": _closed,
    "const": _closed,
    "x-extensible-enum": _extensible,
    "x-units": _units,
    "required": _required,
    "properties": _properties,
    "additionalProperties": _additional,
    "items": _items,
    "minimum": _lower_bound("minimum"),
    "exclusiveMinimum": _lower_bound("exclusiveMinimum"),
}
