"""What the fake vendors have recorded, by account and collection."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

from auren.devstack.simulator.wire import Document, DocumentRef

# A fake that runs for weeks must not grow without end: the oldest go first.
MAX_PER_COLLECTION = 5_000


class BadCursorError(ValueError):
    """A page was asked for with a token that no page ever gave."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Part of a list, and the token that gives the next part."""

    bodies: Sequence[Any]
    next_token: str | None


@dataclass(slots=True)
class DocumentStore:
    """Documents of one vendor."""

    _kept: dict[tuple[str, str], dict[str, Document]] = field(default_factory=dict)

    def put(self, document: Document) -> None:
        """Keep a document; one with the same key is replaced."""
        moment_of(document.at)
        kept = self._kept.setdefault((document.account, document.collection), {})
        # Taken out first, so that the order of the dict is that of the last change.
        kept.pop(document.key, None)
        kept[document.key] = document
        if len(kept) > MAX_PER_COLLECTION:
            del kept[next(iter(kept))]

    def delete(self, ref: DocumentRef) -> None:
        """Forget a document; none there is no error."""
        self._kept.get((ref.account, ref.collection), {}).pop(ref.key, None)

    def get(self, *, account: str, collection: str, key: str) -> Document | None:
        """Return a document of this account, None where it has no such one."""
        return self._kept.get((account, collection), {}).get(key)

    def all(self, *, account: str, collection: str) -> list[Document]:
        """Return everything in a collection, oldest first."""
        kept = self._kept.get((account, collection), {})
        return sorted(kept.values(), key=_order)

    def select(
        self,
        *,
        account: str,
        collection: str,
        since: datetime | None,
        until: datetime | None,
    ) -> list[Document]:
        """Return what lies from `since` (included) to `until` (excluded), oldest first."""
        return [
            document
            for document in self.all(account=account, collection=collection)
            if (since is None or since <= moment_of(document.at))
            and (until is None or moment_of(document.at) < until)
        ]

    def count(self) -> int:
        """Return how many documents there are in all."""
        return sum(len(kept) for kept in self._kept.values())


def page(documents: Sequence[Document], *, size: int, token: str | None) -> Page:
    """Cut a page out of an ordered list.

    The token names the last document given, so that what is added meanwhile neither
    repeats nor hides anything.
    """
    begin = 0
    if token:
        begin = _after(documents, _cursor(token))
    part = documents[begin : begin + size]
    more = begin + size < len(documents)
    return Page(
        bodies=[document.body for document in part],
        next_token=_token(part[-1]) if more and part else None,
    )


def moment_of(text: str) -> datetime:
    """Return the time that a date or an ISO time names; a date is its UTC midnight.

    Raises ValueError.
    """
    if len(text) == 10:
        day = date.fromisoformat(text)
        return datetime(day.year, day.month, day.day, tzinfo=UTC)
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _order(document: Document) -> tuple[datetime, str]:
    return moment_of(document.at), document.key


def _token(document: Document) -> str:
    raw = json.dumps([document.at, document.key]).encode()
    return base64.urlsafe_b64encode(raw).decode("ascii").rstrip("=")


def _cursor(token: str) -> tuple[str, str]:
    try:
        raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        at, key = json.loads(raw)
    except ValueError as error:
        raise BadCursorError(token) from error
    return str(at), str(key)


def _after(documents: Sequence[Document], cursor: tuple[str, str]) -> int:
    at, key = cursor
    for place, document in enumerate(documents):
        if (document.at, document.key) == (at, key):
            return place + 1
    raise BadCursorError(key)
