"""Whether consumers of the released contract can read what this code writes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from biometrics.publishing.contract import ASYNCAPI
from biometrics.publishing.narrowing import widenings

Document: TypeAlias = Mapping[str, Any]

_SCHEMA: Final = ".v1.schema.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Break:
    """A promise that is not kept: of which event type, topic or header, and where."""

    subject: str
    path: str
    what: str

    def __str__(self) -> str:
        """Return it as one line."""
        return f"{self.subject} {self.path}: {self.what}"


def breaks(
    *, released: Mapping[str, Document], present: Mapping[str, Document]
) -> list[Break]:
    """Return what breaks consumers of `released`; both hold documents by file name."""
    return [
        *_values(released, present),
        *_wire(released[ASYNCAPI], present.get(ASYNCAPI, {})),
    ]


def version_of(documents: Mapping[str, Document]) -> tuple[int, int, int]:
    """Return the version of a contract; raises ValueError when it is none."""
    first, second, third = documents[ASYNCAPI]["info"]["version"].split(".")
    return int(first), int(second), int(third)


def _values(
    released: Mapping[str, Document], present: Mapping[str, Document]
) -> Iterator[Break]:
    for file, old in released.items():
        if not file.endswith(_SCHEMA):
            continue
        name = file.removesuffix(_SCHEMA)
        if file not in present:
            yield Break(subject=name, path="$", what="the schema is gone")
            continue
        yield from _narrowed(name, old, present[file])


def _wire(old: Document, new: Document) -> Iterator[Break]:
    yield from _same("contract", old, new, ["asyncapi"], ["defaultContentType"])
    for topic, channel in old["channels"].items():
        after = new.get("channels", {}).get(topic)
        if after is None:
            yield Break(subject=f"topic {topic}", path="$", what="is gone")
            continue
        yield from _same(f"topic {topic}", channel, after, ["address"])
        for name in channel["messages"]:
            if name not in after["messages"]:
                yield Break(subject=f"topic {topic}", path=f"$.{name}", what="is gone")
    for name in old["components"]["messages"]:
        yield from _message(name, old, new)


def _message(name: str, old: Document, new: Document) -> Iterator[Break]:
    after = _at(new, ["components", "messages", name])
    if after is None:
        yield Break(subject=name, path="$", what="is gone")
        return
    before = old["components"]["messages"][name]
    yield from _same(name, before, after, ["payload"], ["bindings"], ["contentType"])
    yield from _narrowed(f"{name} headers", _headers(old, before), _headers(new, after))


def _narrowed(subject: str, old: Document, new: Document) -> Iterator[Break]:
    for found in widenings(old=old, new=new):
        yield Break(subject=subject, path=found.path, what=found.what)


def _headers(document: Document, message: Document) -> Document:
    reference = message.get("headers", {}).get("$ref", "")
    found = _at(document, reference.removeprefix("#/").split("/"))
    return found if isinstance(found, Mapping) else {}


def _same(
    subject: str, old: Document, new: Document, *places: Sequence[str]
) -> Iterator[Break]:
    for place in places:
        before, after = _at(old, place), _at(new, place)
        if before != after:
            path = ".".join(["$", *place])
            what = f"is {after!r}, was {before!r}"
            yield Break(subject=subject, path=path, what=what)


def _at(document: Document, names: Sequence[str]) -> Any:
    found: Any = document
    for name in names:
        found = found.get(name) if isinstance(found, Mapping) else None
    return found
