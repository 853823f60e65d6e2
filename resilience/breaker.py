"""The circuit breaker as callers hold it, over any store.

A healthy call is answered from a view at most `view_ttl` old; failures, probes and changes
of state always ask the store. There is no thread, task or timer, so nothing is lost in a
forked child: it notices its new process id and starts with an empty view.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
from contextvars import ContextVar
from os import getpid
from types import CoroutineType
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

from resilience.answer import UNFED
from resilience.errors import CircuitBreakerOpen
from resilience.permit import Permit
from resilience.process import Process
from resilience.protocol import Op
from resilience.snapshot import Snapshot, snapshot_of
from resilience.states import Action, Mode, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from resilience.answer import Answer
    from resilience.policy import BreakerPolicy
    from resilience.protocol import Observer, Store, Transition

Params = ParamSpec("Params")
Result = TypeVar("Result")

# The permits of the `with` blocks around this point, innermost first.
_permits: ContextVar[Permit | None] = ContextVar("resilience_permits", default=None)


class CircuitBreaker:
    """One circuit, shared by threads, tasks and (through the store) processes.

    Use it as ``with breaker:``, ``async with breaker:``, ``@breaker``, with
    ``breaker.call(fn)``, or in two steps with `acquire` and ``permit.settle``. A call that
    is refused raises `CircuitBreakerOpen`; every other exception is the call's own.
    """

    def __init__(
        self,
        *,
        name: str,
        policy: BreakerPolicy,
        store: Store,
        observer: Observer,
        clock: Callable[[], float],
        wall_ms: Callable[[], int],
        peers: Callable[[], Sequence[CircuitBreaker]] = tuple,
    ) -> None:
        self.name = name
        self.policy = policy
        self._clock = clock
        self._slow = policy.slow_call_seconds is not None
        self._new_process = functools.partial(
            Process,
            name=name,
            policy=policy,
            store=store,
            observer=observer,
            clock=clock,
            wall_ms=wall_ms,
            peers=lambda: [peer.here() for peer in peers() if peer is not self],
        )
        self._observer = observer
        self._process: Process = self._new_process()

    def __repr__(self) -> str:
        return f"CircuitBreaker({self.name!r})"

    # Guarding a call

    def acquire(self) -> Permit:
        """Return permission for one call, or raise `CircuitBreakerOpen`."""
        return self._acquire_cached() or self._acquire_asking()

    async def aacquire(self) -> Permit:
        """Return like `acquire`, without blocking the event loop."""
        permit = self._acquire_cached()
        if permit is None:
            permit = await asyncio.to_thread(self._acquire_asking)
        return permit

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
            msg = f"{function!r} is a generator; put `with breaker:` into its body."
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

    def settle(
        self,
        permit: Permit,
        error: BaseException | None,
        *,
        retry_after: float | None = None,
    ) -> None:
        """Take the result of a permitted call (``permit.settle`` calls this)."""
        outcome = self._note(permit, error)
        if outcome is not None:
            self._tell(permit, outcome, error, retry_after)

    async def asettle(
        self,
        permit: Permit,
        error: BaseException | None,
        *,
        retry_after: float | None = None,
    ) -> None:
        """Take the result of a permitted call without blocking the event loop."""
        outcome = self._note(permit, error)
        if outcome is not None:
            await asyncio.to_thread(self._tell, permit, outcome, error, retry_after)

    def trip(self, *, retry_after: float | None = None, reason: str = "") -> None:
        """Open the circuit now, for as long as the dependency asked (429, 503)."""
        process = self.here()
        with process.lock:
            process.ask(Op.TRIP, wait_ms=_wait_ms(retry_after), reason=reason)
        process.report()

    # Looking and operating

    def snapshot(self) -> Snapshot:
        """Return what is known of the circuit, at most `view_ttl` old."""
        process = self.here()
        with process.lock:
            if self._clock() >= process.answer.fresh_until:
                process.ask(Op.VIEW)
            view = process.answer.view
            assert view is not None
            snapshot = snapshot_of(
                name=self.name,
                view=view,
                retry_after=process.remaining(self._clock()),
                store_up=process.store_up,
            )
        process.report()
        return snapshot

    async def asnapshot(self) -> Snapshot:
        """Return like `snapshot`, without blocking the event loop."""
        return await asyncio.to_thread(self.snapshot)

    def operate(self, *, action: Action, actor: str, reason: str) -> Transition:
        """Carry out an operator's action for the whole fleet.

        Raise `StoreUnavailableError` when the store is away. This changes the store only;
        `resilience.control` also keeps the operator's word.
        """
        process = self.here()
        with process.lock:
            transition = process.operate(action=action, actor=actor, reason=reason)
        process.report()
        return transition

    def restore(self, *, mode: Mode, actor: str, reason: str) -> Transition | None:
        """Set an operator's mode again where the store has lost it."""
        process = self.here()
        with process.lock:
            transition = process.restore(mode=mode, actor=actor, reason=reason)
        process.report()
        return transition

    def flush(self) -> None:
        """Hand collected counts to the observer now; they follow each question anyway."""
        self.here().flush()

    # Inner steps

    def here(self) -> Process:
        """Return this process' state; a forked child starts with a new one."""
        if self._process.pid != getpid():
            self._process = self._new_process()
        return self._process

    def _acquire_cached(self) -> Permit | None:
        process = self._process
        answer = process.answer
        now = self._clock()
        if now >= answer.fresh_until or answer.pid != getpid():
            return None
        if answer.admits:
            return Permit(self, answer.era, now)
        process.rejections.append(None)
        raise self._rejection(answer, now)

    def _acquire_asking(self) -> Permit:
        process = self.here()
        with process.lock:
            permit = self._acquire_cached()
            if permit is not None:
                return permit
            token = process.new_token()
            reply = process.ask(Op.ACQUIRE, token=token)
            answer = process.answer
        process.report()
        now = self._clock()
        if reply.probe:
            return Permit(self, reply.view.era, now, token, probe=True)
        if answer.admits:
            return Permit(self, answer.era, now)
        process.rejections.append(None)
        raise self._rejection(answer, now)

    def _rejection(self, answer: Answer, now: float) -> CircuitBreakerOpen:
        view = answer.view
        assert view is not None
        if view.mode is Mode.FORCED_OPEN:
            wait, state = self.policy.recovery_timeout, str(view.mode)
            return CircuitBreakerOpen(self.name, state, wait, view.mode_reason)
        assert answer.deadline is not None
        wait = max(answer.deadline - now, 0.001)
        return CircuitBreakerOpen(self.name, str(view.state), wait, view.reason)

    def _note(self, permit: Permit, error: BaseException | None) -> Outcome | None:
        """Count a result here; return it if the store must hear of it."""
        if permit.settled:
            return None
        permit.settled = True
        process = self._process
        elapsed = self._clock() - permit.started
        if error is None and not self._slow:
            outcome = Outcome.SUCCESS
        else:
            outcome = self.policy.judge(error, elapsed=elapsed)
        if outcome is Outcome.SUCCESS:
            process.durations.append(elapsed)
            answer = process.answer
            if answer.quiet and not permit.probe:
                return None
            return self._note_success(permit, process)
        self._observe(outcome, elapsed)
        is_telling = outcome is Outcome.FAILURE or permit.probe
        return outcome if is_telling and permit.era != UNFED else None

    def _note_success(self, permit: Permit, process: Process) -> Outcome | None:
        if permit.probe:
            return Outcome.SUCCESS
        if permit.era != process.answer.era:
            return None
        if not self.policy.by_rate:
            return Outcome.SUCCESS
        with process.lock:
            if permit.era == process.answer.era:
                process.tally += 1
        return None

    def _observe(self, outcome: Outcome, elapsed: float) -> None:
        if outcome is Outcome.FAILURE:
            self._observer.failed(name=self.name, seconds=elapsed)
        else:
            self._observer.ignored(name=self.name, seconds=elapsed)

    def _tell(
        self,
        permit: Permit,
        outcome: Outcome,
        error: BaseException | None,
        retry_after: float | None,
    ) -> None:
        process = self.here()
        with process.lock:
            process.ask(
                Op.SETTLE,
                era=permit.era,
                token=permit.token,
                outcome=outcome,
                wait_ms=_wait_ms(retry_after),
                error="" if error is None else type(error).__name__,
            )
        process.report()

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
        permit.settled = True
        msg = "call() is for plain functions; decorate the coroutine function instead."
        raise TypeError(msg)


def _wait_ms(retry_after: float | None) -> int:
    return round(retry_after * 1000) if retry_after and retry_after > 0 else 0
