"""Mapping tables: which field of a vendor's document is which reading.

A vendor's `mapping.py` holds rows of `Field` and nothing else, so that somebody who knows
physiology can review it without reading code.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import msgspec
import orjson

from biometrics.catalogue import Metric, plausible
from biometrics.errors import MalformedPayloadError, UnreadableDeliveryError
from biometrics.vendors.coverage import AS_SENT, Covered, times
from biometrics.vendors.records import JsonScalar, Problem, ReadingValue, Series
from biometrics.vendors.wire import MIB

# Of a long body: what is read whole, and how deep objects are looked into.
_SHORT = 64 * 1024
_OUTLINED = 3
_LONGEST_BLANK = 64
# Deeper nesting than any vendor sends; a bound keeps hostile bodies cheap.
_MAX_DEPTH = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A vendor field and what it measures: reading = vendor value x `scale`.

    `path` is dotted. `context` goes to the reading. `zero_is_missing` marks fields in
    which this vendor writes 0 for "not measured".
    """

    path: str
    metric: Metric
    scale: float = 1.0
    context: str | None = None
    zero_is_missing: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """A short fact that is no measurement: attribute `name` = vendor value at `path`.

    `labels` is a list of short texts, joined by commas. A number must lie within
    `bounds`, both of which are possible values.
    """

    name: str
    path: str
    form: Literal["text", "labels", "flag", "number"] = "text"
    bounds: tuple[float, float] = (0.0, 100.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a document gave: attributes, and a problem for each that did not fit."""

    attributes: dict[str, JsonScalar]
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Extracted:
    """What a document gave: readings, and a problem for each value that did not fit."""

    readings: tuple[ReadingValue, ...]
    problems: tuple[Problem, ...]


def load_json(body: bytes, *, where: str = "body") -> Any:
    """Return the parsed JSON of a stored body.

    Raises UnreadableDeliveryError naming `where`; NaN, invalid UTF-8 and absurd nesting
    are refused by the parser.
    """
    try:
        # orjson makes a document of its own first, two and a half times a long body.
        parsed = orjson.loads(body) if len(body) <= MIB else msgspec.json.decode(body)
    except orjson.JSONDecodeError as error:
        message = f"not JSON: {error.msg}"
        raise UnreadableDeliveryError(message, field=where) from None
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        message = f"not JSON ({type(error).__name__})"
        raise UnreadableDeliveryError(message, field=where) from None
    except RecursionError:
        raise UnreadableDeliveryError("nested too deeply", field=where) from None
    check_depth(parsed, where=where)
    return parsed


def load_object(body: bytes, *, where: str = "body") -> dict[str, Any]:
    """Return the parsed JSON object of a stored body; raises UnreadableDeliveryError."""
    parsed = load_json(body, where=where)
    if not isinstance(parsed, dict):
        raise UnreadableDeliveryError("not a JSON object", field=where)
    return parsed


def load_envelope(body: bytes) -> dict[str, Any]:
    """Return the JSON object of a body at intake; raises MalformedPayloadError.

    Of a body above one MiB only the outline is read: a long list holds None alone, a
    long text is None.
    """
    try:
        parsed = orjson.loads(body) if len(body) <= MIB else _outline(body, depth=0)
    except (ValueError, msgspec.MsgspecError, RecursionError):
        raise MalformedPayloadError("malformed", "The body is not JSON.") from None
    if not isinstance(parsed, dict):
        raise MalformedPayloadError("malformed", "The body is not a JSON object.")
    return parsed


def _outline(raw: bytes | memoryview, *, depth: int) -> object:
    """Return a JSON value without the lists and texts that make it long."""
    if depth > 0 and len(raw) <= _SHORT:
        return orjson.loads(raw)
    opening = bytes(raw[:_LONGEST_BLANK]).lstrip()[:1]
    if opening == b"{" and depth < _OUTLINED:
        members = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
        return {
            name: _outline(memoryview(value), depth=depth + 1)
            for name, value in members.items()
        }
    if opening == b"{":
        return {"": None}
    if depth == 0:
        # Not an object, which is all that the caller has to know of it.
        return None
    return [None] if opening == b"[" else None


def check_depth(parsed: object, *, where: str) -> None:
    """Raise UnreadableDeliveryError when containers nest deeper than any vendor's do."""
    level: list[object] = [parsed]
    for _ in range(_MAX_DEPTH):
        level = [child for node in level for child in _children(node)]
        if not level:
            return
    raise UnreadableDeliveryError("nested too deeply", field=where)


def _children(node: object) -> Iterable[object]:
    if isinstance(node, dict):
        return [v for v in node.values() if isinstance(v, dict | list)]
    if isinstance(node, list):
        return [v for v in node if isinstance(v, dict | list)]
    return ()


def dig(document: object, path: str) -> object:
    """Follow a dotted path through objects; None when a step is missing or no object."""
    node = document
    for key in path.split("."):
        if not isinstance(node, dict):
            return None
        node = node.get(key)
    return node


def text(document: object, path: str, *, limit: int = 200) -> str | None:
    """Return short printable text (or a whole number as text) at the path, else None.

    Control characters, of which databases refuse some, are no part of any id or name.
    """
    value = dig(document, path)
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not 0 < len(value) <= limit:
        return None
    return value if value.isprintable() else None


def extract(
    document: object, fields: Sequence[Field], *, prefix: str = ""
) -> Extracted:
    """Read a mapping table against a document.

    Absent and null fields are silent. A value that is no plausible number is missing and
    reported as a Problem that names the field. The first field that gives a number for
    a (metric, context) wins, so alternatives are listed in order of preference.
    """
    readings: dict[tuple[Metric, str | None], ReadingValue] = {}
    problems: list[Problem] = []
    for row in fields:
        raw = dig(document, row.path)
        if raw is None or (row.zero_is_missing and raw == 0):
            continue
        number = scaled(raw, metric=row.metric, scale=row.scale)
        if number is None:
            problems.append(Problem(field=prefix + row.path, reason="implausible"))
            continue
        readings.setdefault(
            (row.metric, row.context),
            ReadingValue(metric=row.metric, value=number, context=row.context),
        )
    return Extracted(readings=tuple(readings.values()), problems=tuple(problems))


def scaled(raw: object, *, metric: Metric, scale: float = 1.0) -> float | None:
    """Return raw x scale in the metric's range, rounded to nine digits, else None."""
    if isinstance(raw, bool) or not isinstance(raw, int | float):
        return None
    try:
        # Adding zero turns the -0.0 of a negative scale into 0.0.
        return plausible(metric, round(raw * scale, 9) + 0.0)
    except (OverflowError, ValueError):
        return None


def covered(
    rows: Iterable[Field], *, record_type: str, method: str = AS_SENT
) -> tuple[Covered, ...]:
    """Return what a mapping table covers in records of a type."""
    return tuple(
        Covered(
            record_type=record_type,
            field=row.path,
            metric=row.metric,
            method=f"{method}; 0 is missing" if row.zero_is_missing else method,
            conversion=times(row.scale),
            context=row.context,
        )
        for row in rows
    )


def collect_facts(document: object, rows: Sequence[Fact]) -> Facts:
    """Read a table of facts against a document.

    Absent, null and empty ones are silent; a value of another form is missing and
    reported.
    """
    attributes: dict[str, JsonScalar] = {}
    problems: list[Problem] = []
    for row in rows:
        raw = dig(document, row.path)
        if raw is None or raw == []:
            continue
        value = _fact(document, row, raw)
        if value is None:
            problems.append(Problem(field=row.path, reason=f"no {row.form}"))
        else:
            attributes[row.name] = value
    return Facts(attributes=attributes, problems=tuple(problems))


def _fact(document: object, row: Fact, raw: object) -> JsonScalar:
    if row.form == "text":
        return text(document, row.path)
    if row.form == "flag":
        return raw if isinstance(raw, bool) else None
    if row.form == "labels":
        return _joined(raw)
    if isinstance(raw, bool) or not isinstance(raw, int | float):
        return None
    low, high = row.bounds
    return raw if low <= raw <= high else None


def _joined(raw: object) -> str | None:
    if not isinstance(raw, list):
        return None
    labels = [text({"label": item}, "label", limit=60) for item in raw]
    joined = ",".join(label for label in labels if label)
    return joined if 0 < len(joined) <= 200 else None


def irregular_series(
    metric: Metric,
    points: Sequence[tuple[datetime, float]],
    *,
    context: str | None = None,
) -> Series:
    """Return a series of at least one point, each a time and a plausible value."""
    ordered = sorted(points, key=lambda point: point[0])
    start = ordered[0][0]
    return Series(
        metric=metric,
        start=start,
        values=tuple(value for _, value in ordered),
        offsets_s=tuple(round((at - start).total_seconds(), 6) for at, _ in ordered),
        context=context,
    )
