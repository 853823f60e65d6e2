"""Whether a record keeps the promise of its schema: asked before anything is sent.

The schemas are compiled once in each process. What is said of a violation names the
place and the rule, never the value that stands there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import orjson
from jsonschema_rs import Draft202012Validator, ValidationError

from biometrics.publishing.producers import Objection
from biometrics.publishing.schemas import header_schema, schemas

# The relay adds it to every record.
_SEQUENCE = {"ce_sequence": ""}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Compiled:
    headers: Draft202012Validator
    value: Draft202012Validator


def objection(*, headers: Mapping[str, str], value: bytes) -> Objection | None:
    """Say where a message breaks the schema that it names; None when it keeps it.

    `headers` are those of the outbox, still without `ce_sequence`.
    """
    name = headers.get("ce_dataschema")
    compiled = _compiled().get(name or "")
    if compiled is None:
        return _invalid(f"No schema is called {name!r}.")
    try:
        said = orjson.loads(value)
    except orjson.JSONDecodeError:
        return _invalid("Its value is not JSON.")
    sent = {**headers, **_SEQUENCE}
    # Asking for a yes or no is several times cheaper than asking for the place.
    if compiled.headers.is_valid(sent) and compiled.value.is_valid(said):
        return None
    return _invalid(
        _told("header", compiled.headers, sent) or _told("value", compiled.value, said)
    )


def _told(where: str, validator: Draft202012Validator, what: object) -> str:
    error = next(iter(validator.iter_errors(what)), None)
    if error is None:
        return ""
    place = ".".join(str(step) for step in error.instance_path)
    return f"Its {where}{f' at {place}' if place else ''} breaks “{_rule(error)}”."


def _rule(error: ValidationError) -> str:
    """Return the rule with what it asks for where that is short and ours."""
    path = [str(step) for step in error.schema_path]
    keyword = path[-1] if path else "schema"
    missing = getattr(error.kind, "property", None)
    return f"{keyword} {missing}" if keyword == "required" and missing else keyword


def _invalid(reason: str) -> Objection:
    return Objection(code="invalid", reason=f"{reason} Nothing was sent.")


@cache
def _compiled() -> Mapping[str, _Compiled]:
    return {
        schema["$id"]: _Compiled(
            headers=Draft202012Validator(_texts(header_schema(name))),
            value=Draft202012Validator(schema, validate_formats=True),
        )
        for name, schema in schemas().items()
    }


def _texts(schema: Mapping[str, object]) -> dict[str, object]:
    """Add what JSON cannot promise of headers: every one is a text."""
    return {**schema, "additionalProperties": {"type": "string"}}
