"""Ways in which a vendor's JSON can be wrong, as a Hypothesis strategy of bytes."""

from __future__ import annotations

import copy
import json
from typing import Any

from hypothesis import strategies as st

# Text that no sample contains and that the writer turns into what `json` cannot write.
_RAW = {
    '"@nan@"': "NaN",
    '"@infinity@"': "-Infinity",
    '"@huge@"': "9" * 400,
    '"@overflow@"': "1e999",
    '"@deep@"': "[" * 1000 + "]" * 1000,
    '"@deep_object@"': '{"a":' * 1000 + "1" + "}" * 1000,
}

_SUBSTITUTES: list[Any] = [
    None, True, False, 0, -1, -0.0, 0.042, 1, 7, 1e9, -1e9, 1e308, 5e-324, 2**63, 10**25,
    "", " ", "text", "42", "NaN", "\x00", "line\nbreak", "x" * 5000, "\u202e\u00e4",
    "..", "../../v2/user", "%2e%2e%2f", "a/b?c=d#e",
    "9999-12-31T23:59:59.999999+14:00", "0001-01-01T00:00:00+14:00", "2126-01-01",
    "2026-13-45", "1970-01-01T00:00:00Z", "2026-08-10T23:14:02", "+99:99", "Z",
    [], {}, [[]], [None], [1, "a", None, {}], {"a": 1}, *(json.loads(key) for key in _RAW),
]  # fmt: skip

_BYTES = [b"\xff", b"\x00", b"{", b"}", b"[", b'"', b",", b"\xed\xa0\x80", b"\\ud800"]

Path = tuple[str | int, ...]


def mutated(original: bytes) -> st.SearchStrategy[bytes]:
    """Return variants of a JSON body: one to three values changed, or bytes broken."""
    document = json.loads(original)
    paths = _paths(document)
    change = st.tuples(
        st.sampled_from(paths), st.sampled_from(["drop", "put"]), _value()
    )
    changed = st.lists(change, min_size=1, max_size=3).map(
        lambda changes: _apply(document, changes)
    )
    spoilt = st.tuples(st.integers(0, len(original)), st.sampled_from(_BYTES)).map(
        lambda at: original[: at[0]] + at[1] + original[at[0] :]
    )
    truncated = st.integers(0, len(original)).map(lambda end: original[:end])
    keys = sorted({str(p[-1]) for p in paths if p and isinstance(p[-1], str)}) or ["id"]
    objects = [p for p in paths if isinstance(_follow(document, p), dict)] or [()]
    doubled = st.tuples(st.sampled_from(objects), st.sampled_from(keys), _value()).map(
        lambda one: _with_second_key(document, path=one[0], key=one[1], value=one[2])
    )
    return st.one_of(changed, changed, changed, spoilt, truncated, doubled)


def reordered(original: bytes) -> st.SearchStrategy[bytes]:
    """Return JSON objects of a body's keys and values, in shapes of their own."""
    document = json.loads(original)
    paths = _paths(document)
    keys = sorted({p[-1] for p in paths if p and isinstance(p[-1], str)})
    words = [w for p in paths if not isinstance(w := _follow(document, p), dict | list)]
    leaf = st.one_of(st.sampled_from(words or [None]), _value())
    tree = st.recursive(
        leaf,
        lambda inner: st.one_of(
            st.lists(inner, max_size=3),
            st.dictionaries(st.sampled_from(keys or ["id"]), inner, max_size=6),
        ),
        max_leaves=25,
    )
    tops = list(document) if isinstance(document, dict) else ["id"]
    # What the envelope needs stays mostly, so that something is left to understand.
    return st.fixed_dictionaries(
        {},
        optional={
            key: st.one_of(st.just(document[key]), tree)
            for key in tops
            if isinstance(document, dict)
        },
    ).map(_write)


def _value() -> st.SearchStrategy[Any]:
    return st.sampled_from(_SUBSTITUTES)


def _paths(node: object, *, here: Path = ()) -> list[Path]:
    found: list[Path] = [here]
    if isinstance(node, dict):
        for key, child in node.items():
            found += _paths(child, here=(*here, key))
    elif isinstance(node, list):
        # The first rows of a long series stand for all of them.
        for index, child in enumerate(node[:5]):
            found += _paths(child, here=(*here, index))
    return found


def _apply(document: object, changes: list[tuple[Path, str, Any]]) -> bytes:
    changed = copy.deepcopy(document)
    for path, how, value in changes:
        if not path:
            changed = copy.deepcopy(value)
            continue
        parent = _follow(changed, path[:-1])
        if not _has(parent, path[-1]):
            continue
        if how == "drop":
            del parent[path[-1]]
        else:
            parent[path[-1]] = copy.deepcopy(value)
    return _write(changed)


def _follow(node: Any, path: Path) -> Any:
    for step in path:
        if not _has(node, step):
            return None
        node = node[step]
    return node


def _has(node: Any, step: str | int) -> bool:
    if isinstance(node, dict):
        return step in node
    return isinstance(node, list) and isinstance(step, int) and step < len(node)


def _with_second_key(document: object, *, path: Path, key: str, value: Any) -> bytes:
    """Say a key of the object at `path` (once more), after all that it says."""
    marked = copy.deepcopy(document)
    place = _follow(marked, path)
    if not isinstance(place, dict):
        return _write(document)
    # Last in its object, and no sample says it: cut out, the new key takes its place.
    place["@second@"] = 0
    head, _, tail = _write(marked).decode().partition('"@second@": 0')
    return f"{head}{json.dumps(key)}:{_write(value).decode()}{tail}".encode()


def _write(value: object) -> bytes:
    text = json.dumps(value)
    for quoted, raw in _RAW.items():
        text = text.replace(quoted, raw)
    return text.encode()
