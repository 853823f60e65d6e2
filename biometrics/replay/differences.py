"""What differs between two published values of a record, field by field. Pure functions.

A path names a reading or series by its metric, so that order does not matter.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Json = Mapping[str, Any]

# The assessment is made when the event is judged, the rest of `record` is its name.
_LEFT_OUT = frozenset({"record", "subject", "assessment", "readings", "series"})
_LONG = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One field. Both sides are health values; None means that it is not there."""

    path: str
    before: str | None
    after: str | None


def differences(before: Json, after: Json) -> list[Difference]:
    """Return the fields that differ, in the order of their paths."""
    old, new = dict(_fields(before)), dict(_fields(after))
    return [
        Difference(
            path=path,
            before=_told(old.get(path), new.get(path)),
            after=_told(new.get(path), old.get(path)),
        )
        for path in sorted(old.keys() | new.keys())
        if old.get(path) != new.get(path)
    ]


def _fields(value: Json) -> Iterator[tuple[str, Any]]:
    yield "action", value.get("record", {}).get("action")
    for name, field in value.items():
        if name in _LEFT_OUT:
            continue
        if isinstance(field, Mapping):
            for inner, what in field.items():
                yield f"{name}.{inner}", what
        else:
            yield name, field
    for group in ("readings", "series"):
        yield from _measured(group, value.get(group, ()))


def _measured(group: str, rows: Sequence[Json]) -> Iterator[tuple[str, Any]]:
    seen: dict[str, int] = {}
    for row in rows:
        name = str(row.get("metric"))
        if row.get("context"):
            name = f"{name}/{row['context']}"
        seen[name] = seen.get(name, 0) + 1
        if seen[name] > 1:
            name = f"{name}#{seen[name]}"
        for field, what in row.items():
            if field not in {"metric", "context"}:
                yield f"{group}[{name}].{field}", what


def _told(one: Any, other: Any) -> str | None:
    """Return a value as text; of a long list only how much of it differs."""
    if one is None:
        return None
    if not isinstance(one, list) or len(one) <= _LONG:
        return str(one)
    if not isinstance(other, list):
        return f"{len(one)} values"
    same = sum(a == b for a, b in zip(one, other, strict=False))
    return f"{len(one)} values, {len(one) - same} of them differ"
