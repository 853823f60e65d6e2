"""Permission for one call, to be settled with what became of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, Self

if TYPE_CHECKING:
    from types import TracebackType


class Settler(Protocol):
    """Whoever issued a permit."""

    def settle(
        self,
        permit: Permit,
        error: BaseException | None,
        *,
        retry_after: float | None = None,
    ) -> None:
        """Take the result of the permitted call."""

    async def asettle(
        self,
        permit: Permit,
        error: BaseException | None,
        *,
        retry_after: float | None = None,
    ) -> None:
        """Take the result of the permitted call, without blocking the event loop."""


class Permit:
    """One admitted call. Settle it once; a second report changes nothing.

    ``probe`` tells that the circuit is being tried: use a shorter timeout. Usable as a
    context manager around the call, or settled later from a delivery callback.
    """

    __slots__ = ("_issuer", "below", "era", "probe", "settled", "started", "token")

    def __init__(
        self,
        issuer: Settler,
        era: int,
        started: float,
        token: str = "",
        probe: bool = False,  # noqa: FBT001, FBT002 - built on every call: positional is faster
    ) -> None:
        self._issuer = issuer
        self.era = era
        self.started = started
        self.token = token
        self.probe = probe
        self.settled = False
        self.below: Permit | None = None

    @property
    def issuer(self) -> Settler:
        """The breaker that issued this permit."""
        return self._issuer

    def settle(
        self, error: BaseException | None = None, *, retry_after: float | None = None
    ) -> None:
        """Report success (None) or the exception of the call.

        `retry_after` is the dependency's own word, in seconds; it sets how long the
        circuit stays open if this failure opens it.
        """
        self._issuer.settle(self, error, retry_after=retry_after)

    async def asettle(
        self, error: BaseException | None = None, *, retry_after: float | None = None
    ) -> None:
        """Report like `settle`, without blocking the event loop."""
        await self._issuer.asettle(self, error, retry_after=retry_after)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._issuer.settle(self, error)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._issuer.asettle(self, error)
