"""One circuit: permits for calls, their results, and what is known of it."""

from __future__ import annotations

import asyncio
import functools
from os import getpid
from typing import TYPE_CHECKING

from resilience.answer import UNFED
from resilience.errors import CircuitBreakerOpen
from resilience.permit import Permit
from resilience.policy import LONGEST_SECONDS
from resilience.process import Process
from resilience.protocol import Op
from resilience.snapshot import Snapshot, snapshot_of
from resilience.states import Action, Mode, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from resilience.answer import Answer
    from resilience.policy import BreakerPolicy
    from resilience.protocol import Observer, Store, Transition

# What a refused caller is told at least, so that nobody retries in a tight loop.
SHORTEST_WAIT = 0.001


class Circuit:
    """Permits and results. A healthy call is answered from a view at most `view_ttl` old.

    Failures, probes and changes of state always ask the store. There is no thread, task
    or timer, so nothing is lost in a forked child: it notices its new process id and
    starts with an empty view.
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
        peers: Callable[[], Sequence[Circuit]] = tuple,
    ) -> None:
        self.name = name
        self.policy = policy
        self._clock = clock
        self._observer = observer
        self._has_slow = policy.slow_call_seconds is not None
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
        self._process: Process = self._new_process()

    def acquire(self) -> Permit:
        """Return permission for one call, or raise `CircuitBreakerOpen`."""
        return self._acquire_cached() or self._acquire_asking()

    async def aacquire(self) -> Permit:
        """Return like `acquire`, without blocking the event loop."""
        permit = self._acquire_cached()
        if permit is not None:
            return permit
        loop = asyncio.get_running_loop()
        asking = loop.run_in_executor(None, self._acquire_asking)
        try:
            return await asyncio.shield(asking)
        except asyncio.CancelledError:
            # The thread goes on; a probe slot that it wins must not stay taken.
            asking.add_done_callback(self._give_back)
            raise

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
        if outcome is None:
            return
        loop = asyncio.get_running_loop()
        tell = functools.partial(self._tell, permit, outcome, error, retry_after)
        # Shielded: a report that was cancelled in the queue would never be made.
        await asyncio.shield(loop.run_in_executor(None, tell))

    def trip(self, *, retry_after: float | None = None, reason: str = "") -> None:
        """Open the circuit now, for as long as the dependency asked (429, 503)."""
        process = self.here()
        with process.lock:
            process.ask(Op.TRIP, wait_ms=_wait_ms(retry_after), reason=reason)
        process.report()

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
        self.here().counts.flush()

    def here(self) -> Process:
        """Return this process' part; a forked child starts with a new one."""
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
        process.counts.rejections.append(None)
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
        process.counts.rejections.append(None)
        raise self._rejection(answer, now)

    def _give_back(self, asking: asyncio.Future[Permit]) -> None:
        if not asking.cancelled() and asking.exception() is None:
            self.settle(asking.result(), asyncio.CancelledError())

    def _rejection(self, answer: Answer, now: float) -> CircuitBreakerOpen:
        view = answer.view
        assert view is not None
        if view.mode is Mode.FORCED_OPEN:
            wait, state = self.policy.recovery_timeout, str(view.mode)
            return CircuitBreakerOpen(self.name, state, wait, view.mode_reason)
        assert answer.deadline is not None
        wait = max(answer.deadline - now, SHORTEST_WAIT)
        return CircuitBreakerOpen(self.name, str(view.state), wait, view.reason)

    def _note(self, permit: Permit, error: BaseException | None) -> Outcome | None:
        """Count a result here; return it if the store must hear of it."""
        if permit.settled:
            return None
        permit.settled = True
        elapsed = self._clock() - permit.started
        if error is None and not self._has_slow:
            outcome = Outcome.SUCCESS
        else:
            outcome = self.policy.judge(error, elapsed=elapsed)
        if outcome is Outcome.SUCCESS:
            process = self._process
            process.counts.durations.append(elapsed)
            if process.answer.quiet and not permit.probe:
                return None
            # Not `process`: a fork may have left its lock taken.
            return self._note_success(permit, self.here())
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


def _wait_ms(retry_after: float | None) -> int:
    """Return the asked wait; "for ever" is cut by the policy's cap like any long one."""
    if not retry_after or not retry_after > 0:
        return 0
    return round(min(retry_after, LONGEST_SECONDS) * 1000)
