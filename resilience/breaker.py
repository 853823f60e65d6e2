"""The circuit breaker as callers hold it: every way of putting it around a call."""

from __future__ import annotations

import functools
import inspect
from contextvars import ContextVar
from types import CoroutineType
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

from resilience.circuit import Circuit
from resilience.permit import Permit

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

Params = ParamSpec("Params")
Result = TypeVar("Result")

# The permits of the `with` blocks around this point, innermost first.
_permits: ContextVar[Permit | None] = ContextVar("resilience_permits", default=None)


class CircuitBreaker(Circuit):
    """One circuit, shared by threads, tasks and (through the store) processes.

    Use it as ``with breaker:``, ``async with breaker:``, ``@breaker``, with
    ``breaker.call(fn)``, or in two steps with `acquire` and ``permit.settle``. A call that
    is refused raises `CircuitBreakerOpen`; every other exception is the call's own.
    """

    def __repr__(self) -> str:
        return f"CircuitBreaker({self.name!r})"

    def call(
        self,
        function: Callable[Params, Result],
        /,
        *args: Params.args,
        **kwargs: Params.kwargs,
    ) -> Result:
        """Return what `function` returns; for coroutine functions use the decorator."""
        permit = self._acquire_cached() or self._acquire_asking()
        try:
            result = function(*args, **kwargs)
        except BaseException as exc:
            self.settle(permit, exc)
            raise
        if type(result) is CoroutineType:
            self._refuse_coroutine(permit, result)
        self.settle(permit, None)
        return result

    def __call__(self, function: Callable[Params, Result]) -> Callable[Params, Result]:
        """Return `function` guarded by this breaker; sync and async functions alike."""
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(
            function
        ):
            msg = f"{function!r} is a generator; put `with breaker.acquire():` into its body."
            raise TypeError(msg)
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def guarded_async(*args: Params.args, **kwargs: Params.kwargs) -> Any:
                async with self:
                    return await function(*args, **kwargs)

            return cast("Callable[Params, Result]", guarded_async)

        @functools.wraps(function)
        def guarded(*args: Params.args, **kwargs: Params.kwargs) -> Result:
            return self.call(function, *args, **kwargs)

        return guarded

    def __enter__(self) -> Permit:
        return self._push(self._acquire_cached() or self._acquire_asking())

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.settle(self._pop(), error)

    async def __aenter__(self) -> Permit:
        return self._push(await self.aacquire())

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.asettle(self._pop(), error)

    def _push(self, permit: Permit) -> Permit:
        permit.below = _permits.get()
        _permits.set(permit)
        return permit

    def _pop(self) -> Permit:
        permit = _permits.get()
        if permit is None or permit.issuer is not self:
            msg = (
                f"The `with` block of circuit {self.name!r} was left in another context "
                "than it was entered in; use `with breaker.acquire():` there."
            )
            raise RuntimeError(msg)
        _permits.set(permit.below)
        return permit

    def _refuse_coroutine(self, permit: Permit, result: Any) -> None:
        result.close()
        permit.settle(GeneratorExit())
        msg = "call() is for plain functions; decorate the coroutine function instead."
        raise TypeError(msg)
