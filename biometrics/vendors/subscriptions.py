"""What a vendor's subscriptions are: the wish to be told of something, for a while.

Pure: calls are built and answers are read here, whoever makes the calls.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol, TypeAlias

# What is subscribed to: (event type, data type), as the vendor writes them.
Topic: TypeAlias = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """One subscription as the vendor lists it; `expires_at` is None when unreadable."""

    remote_id: str
    topic: Topic
    callback_url: str
    expires_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call of the application (not of a person) to the vendor's API."""

    method: Literal["GET", "POST", "PUT", "DELETE"]
    path: str
    payload: Mapping[str, str] | None = None


class Subscribing(Protocol):
    """How subscriptions of one vendor are listed, made, moved, renewed and ended."""

    topics: tuple[Topic, ...]

    def headers(self, *, client_id: str, client_secret: str) -> Mapping[str, str]:
        """Return what proves the application."""
        ...

    def listing(self) -> Call:
        """Return the call that lists all subscriptions of the application."""
        ...

    def creating(self, topic: Topic, *, callback_url: str, token: str) -> Call:
        """Return the call that subscribes; the vendor asks the callback for `token`."""
        ...

    def moving(self, one: Subscription, *, callback_url: str, token: str) -> Call:
        """Return the call that gives a subscription another callback."""
        ...

    def renewing(self, one: Subscription) -> Call:
        """Return the call that puts off the end of a subscription."""
        ...

    def ending(self, one: Subscription) -> Call:
        """Return the call that deletes a subscription."""
        ...

    def read_list(self, body: bytes) -> Sequence[Subscription]:
        """Read the answer to `listing`; raises UnreadableDeliveryError."""
        ...

    def read_one(self, body: bytes) -> Subscription:
        """Read the answer to the other calls; raises UnreadableDeliveryError."""
        ...
