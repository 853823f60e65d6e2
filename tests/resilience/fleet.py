"""Real processes that share a circuit, each doing what the test says."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import time
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection
from typing import Any

from resilience.breaker import CircuitBreaker
from resilience.errors import CircuitBreakerOpen
from resilience.permit import Permit
from resilience.policy import BreakerPolicy
from resilience.states import Action
from resilience.storage.redis import RedisStore
from tests.resilience.clockwork import BoomError, RecordingObserver, fail, succeed

METHODS = ("fork", "spawn")
ANSWER_S = 30.0
_PAUSE_S = 0.002


def make_breaker(
    url: str,
    *,
    name: str = "dep",
    observer: RecordingObserver | None = None,
    **policy: Any,
) -> CircuitBreaker:
    """Make a breaker as the registry would, over Redis with real clocks."""
    return CircuitBreaker(
        name=name,
        policy=BreakerPolicy(**policy),
        store=RedisStore(url=url, key_prefix="cb", timeout=0.25, clock=time.monotonic),
        observer=observer or RecordingObserver(),
        clock=time.monotonic,
        wall_ms=lambda: time.time_ns() // 1_000_000,
    )


class Worker:
    """The inside of a member: one method for each thing a test may ask for."""

    def __init__(self, breaker: CircuitBreaker, observer: RecordingObserver) -> None:
        self._breaker = breaker
        self._observer = observer
        self._permit: Permit | None = None

    def call(self, outcome: str) -> str:
        """Make one call; tell what its caller saw."""
        try:
            if outcome == "ok":
                return succeed(self._breaker)
            return type(fail(self._breaker)).__name__
        except CircuitBreakerOpen as error:
            return error.state

    def fail_many(self, count: int) -> dict[str, int]:
        """Make failing calls; count what their callers saw."""
        seen: dict[str, int] = {}
        for _ in range(count):
            what = type(fail(self._breaker)).__name__
            seen[what] = seen.get(what, 0) + 1
        return seen

    def fail_when(self, moment: float) -> tuple[str, float]:
        """Fail once at a moment; tell what was seen, and when it was over."""
        _wait_for(moment)
        return self.call("fail"), time.monotonic()

    def until(self, wanted: str, seconds: float) -> float | None:
        """Keep calling until the caller sees `wanted`; tell when that was."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.call("ok") == wanted:
                return time.monotonic()
            time.sleep(_PAUSE_S)
        return None

    def refresh(self) -> float:
        """Get a view that is as new as can be; tell when."""
        time.sleep(self._breaker.policy.view_ttl + 0.05)
        self.call("ok")
        return time.monotonic()

    def seek_permit(self, seconds: float) -> list[bool]:
        """Ask for permits all the time and keep each; tell which were probes."""
        deadline, got = time.monotonic() + seconds, []
        while time.monotonic() < deadline:
            with contextlib.suppress(CircuitBreakerOpen):
                self._permit = self._breaker.acquire()
                got.append(self._permit.probe)
            time.sleep(_PAUSE_S)
        return got

    def hold_probe(self, seconds: float) -> bool:
        """Keep asking until this process holds a probe."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            with contextlib.suppress(CircuitBreakerOpen):
                self._permit = self._breaker.acquire()
                return self._permit.probe
            time.sleep(_PAUSE_S)
        return False

    def settle(self, outcome: str) -> None:
        """Report the permit that was kept."""
        assert self._permit is not None
        self._permit.settle(None if outcome == "ok" else BoomError())

    def operate(self, action: str) -> float:
        """Do what an operator does; tell when it was done."""
        self._breaker.operate(action=Action(action), actor="ann", reason="test")
        return time.monotonic()

    def timed_call(self) -> tuple[str, float]:
        """Make one call; tell what was seen and how long it took."""
        started = time.monotonic()
        return self.call("ok"), time.monotonic() - started

    def die_of_the_next_transition(self) -> None:
        """Fail; be killed between the store's decision and whatever should follow."""
        self._observer.on_transition = lambda _: os.kill(os.getpid(), signal.SIGKILL)
        self.call("fail")

    def token_prefix(self) -> str:
        """Tell how this process begins the tokens of its probes."""
        return self._breaker.here().new_token().split("-")[0]

    def changes(self) -> list[tuple[str, str]]:
        """Tell the transitions that this process reported."""
        return [(str(old), str(new)) for old, new in self._observer.changes]

    def state(self) -> tuple[str, int, bool]:
        """Tell state, failures and whether the store answers."""
        snapshot = self._breaker.snapshot()
        return str(snapshot.state), snapshot.failures, snapshot.store_up


def _wait_for(moment: float) -> None:
    time.sleep(max(0.0, moment - time.monotonic()))


def _serve(pipe: Connection, url: str, policy: dict[str, Any]) -> None:
    observer = RecordingObserver()
    _answer(pipe, Worker(make_breaker(url, observer=observer, **policy), observer))


def _serve_inherited(
    pipe: Connection, breaker: CircuitBreaker, observer: RecordingObserver
) -> None:
    _answer(pipe, Worker(breaker, observer))


def _answer(pipe: Connection, worker: Worker) -> None:
    # An empty message ends it: forked siblings hold the pipe open, so its end is no sign.
    while message := pipe.recv():
        verb, arguments = message
        try:
            pipe.send((getattr(worker, verb)(*arguments), None))
        except Exception as error:  # noqa: BLE001 - the test process raises it
            pipe.send((None, f"{type(error).__name__}: {error}"))


class Member:
    """One process of the fleet."""

    def __init__(self, process: Any, pipe: Connection) -> None:
        self._process = process
        self._pipe = pipe

    @property
    def pid(self) -> int:
        return int(self._process.pid)

    def ask(self, verb: str, *arguments: Any) -> Any:
        """Have it done and return the answer."""
        self.begin(verb, *arguments)
        return self.end()

    def begin(self, verb: str, *arguments: Any) -> None:
        """Have it begun; `end` returns the answer."""
        self._pipe.send((verb, arguments))

    def end(self) -> Any:
        """Return the answer to what was begun."""
        assert self._pipe.poll(ANSWER_S), "a member of the fleet did not answer"
        answer, error = self._pipe.recv()
        assert error is None, error
        return answer

    def kill9(self) -> None:
        """End it at once, as the out-of-memory killer does."""
        os.kill(self.pid, signal.SIGKILL)
        self._process.join(10)

    def join(self) -> None:
        """Wait until it has died."""
        self._process.join(10)
        assert self._process.exitcode == -signal.SIGKILL

    def stop(self) -> None:
        """Tell it to end, and see that it does."""
        with contextlib.suppress(BrokenPipeError):
            self._pipe.send(())
        self._pipe.close()
        self._process.join(10)
        if self._process.is_alive():
            self.kill9()
        self._process.close()


class Fleet:
    """Starts members and ends them with the test."""

    def __init__(self, url: str, method: str) -> None:
        self.url = url
        self._context = multiprocessing.get_context(method)
        self._members: list[Member] = []

    def start(self, count: int = 1, **policy: Any) -> list[Member]:
        """Start members, each with a breaker of its own."""
        return [self._start(_serve, self.url, policy) for _ in range(count)]

    def inherit(self, breaker: CircuitBreaker, observer: RecordingObserver) -> Member:
        """Fork a member that goes on with this very breaker."""
        return self._start(_serve_inherited, breaker, observer)

    def stop(self) -> None:
        """End every member."""
        for member in self._members:
            member.stop()

    def _start(self, target: Any, *arguments: Any) -> Member:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(  # type: ignore[attr-defined]
            target=target, args=(theirs, *arguments), daemon=True
        )
        process.start()
        theirs.close()
        member = Member(process, ours)
        self._members.append(member)
        return member


def all_ask(members: Sequence[Member], verb: str, *arguments: Any) -> list[Any]:
    """Have all members do the same at the same time."""
    for member in members:
        member.begin(verb, *arguments)
    return [member.end() for member in members]


@contextlib.contextmanager
def running(url: str, method: str) -> Iterator[Fleet]:
    """Give a fleet that ends with the block."""
    fleet = Fleet(url, method)
    try:
        yield fleet
    finally:
        fleet.stop()
