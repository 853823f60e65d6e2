"""The machine and the Redis script, step by step beside a small reference of the rules."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from resilience.policy import BreakerPolicy
from resilience.protocol import LOG_START, Command, Op, Question, Reply
from resilience.states import MODE_AFTER, Action, Mode, Outcome
from tests.resilience.clockwork import StoreHarness, memory_harness, redis_harness
from tests.resilience.reference import Reference

STEPS = 10_000
RUN_LENGTH = 50

POLICIES = st.builds(
    BreakerPolicy,
    failure_threshold=st.integers(1, 4),
    failure_rate=st.sampled_from([None, None, 0.3, 0.5, 0.9]),
    minimum_calls=st.integers(1, 5),
    window=st.sampled_from([1.0, 10.0]),
    recovery_timeout=st.sampled_from([1.0, 10.0]),
    recovery_cap=st.sampled_from([10.0, 25.0]),
    half_open_probes=st.integers(1, 3),
    success_threshold=st.integers(1, 3),
    lease_seconds=st.just(10.0),
    initial_mode=st.sampled_from([Mode.AUTO, Mode.AUTO, Mode.OBSERVE]),
)


class SideBySide(RuleBasedStateMachine):
    """Ask the same of all three; they never disagree."""

    make_redis: Callable[[], StoreHarness]
    steps = 0
    causes: ClassVar[set[str]] = set()
    wishes: ClassVar[set[int]] = set()
    dropped = 0

    def __init__(self) -> None:
        super().__init__()
        self.memory = memory_harness()
        self.redis = type(self).make_redis()
        self.tokens = 0
        # era of the reference when admitted, and of the stores, with the token
        self.permits: list[tuple[int, int, str]] = []

    @initialize(policy=POLICIES)
    def start(self, policy: BreakerPolicy) -> None:
        self.policy = policy
        self.reference = Reference(policy=policy, mode=str(policy.initial_mode))
        self.ask(Command(op=Op.VIEW))

    @rule(
        seconds=st.sampled_from([0.001, 0.1, 0.5, 0.9, 1.0, 5.0, 9.0, 10.0, 20.0, 60.0])
    )
    def wait(self, seconds: float) -> None:
        for harness in (self.memory, self.redis):
            harness.clock.advance(seconds)

    @rule(buckets=st.integers(1, 11), failures=st.integers(1, 4))
    def fail_after_some_buckets(self, buckets: int, failures: int) -> None:
        """Walk along the edge of the rate's window."""
        self.wait(buckets * self.policy.window / 10)
        for _ in range(failures):
            before = len(self.permits)
            self.acquire(jitter=0)
            if len(self.permits) > before:
                self.report(self.permits.pop(), Outcome.FAILURE, jitter=0, wait_ms=0)

    @rule(jitter=st.integers(0, 1000))
    def acquire(self, jitter: int) -> None:
        self.tokens += 1
        token = f"t{self.tokens}"
        answer = self.reference.acquire(self.now, token)
        reply = self.ask(Command(op=Op.ACQUIRE, token=token, jitter=jitter))
        assert (reply.admitted, reply.probe) == (answer != "no", answer == "probe")
        if reply.admitted and self.reference.mode != "disabled":
            self.permits.append((self.reference.era, reply.view.era, token))

    @precondition(lambda self: self.permits)
    @rule(
        data=st.data(),
        outcome=st.sampled_from(Outcome),
        jitter=st.integers(0, 1000),
        wait_ms=st.sampled_from([0, 0, 0, 3000, 90_000]),
        again=st.booleans(),
    )
    def settle(
        self,
        *,
        data: st.DataObject,
        outcome: Outcome,
        jitter: int,
        wait_ms: int,
        again: bool,
    ) -> None:
        index = data.draw(st.integers(0, len(self.permits) - 1))
        permit = self.permits[index] if again else self.permits.pop(index)
        self.report(permit, outcome, jitter=jitter, wait_ms=wait_ms)

    def report(
        self,
        permit: tuple[int, int, str],
        outcome: Outcome,
        *,
        jitter: int,
        wait_ms: int,
    ) -> None:
        era, store_era, token = permit
        command = Command(
            op=Op.SETTLE,
            era=store_era,
            token=token,
            outcome=outcome,
            jitter=jitter,
            wait_ms=wait_ms,
            error="BoomError",
        )
        self.reference.settle(self.now, command, same_era=era == self.reference.era)
        self.ask(command)

    @rule(tries=st.integers(1, 4), outcome=st.sampled_from(Outcome))
    def try_after_a_long_wait(self, tries: int, outcome: Outcome) -> None:
        """Walk to recovery and back, which single steps seldom do."""
        self.wait(60.0)
        for _ in range(tries):
            before = len(self.permits)
            self.acquire(jitter=0)
            if len(self.permits) > before:
                self.report(self.permits.pop(), Outcome.SUCCESS, jitter=0, wait_ms=0)
        self.acquire(jitter=500)
        if self.permits:
            self.report(self.permits.pop(), outcome, jitter=500, wait_ms=0)

    @rule(wait_ms=st.sampled_from([3000, 90_000]))
    def fail_with_a_wish(self, wait_ms: int) -> None:
        """Fail until the circuit opens, and ask for a wait of below or above the cap."""
        for _ in range(self.policy.failure_threshold + self.policy.minimum_calls):
            before = len(self.permits)
            self.acquire(jitter=0)
            if len(self.permits) == before:
                return
            self.report(self.permits.pop(), Outcome.FAILURE, jitter=0, wait_ms=wait_ms)
            if self.last.transition is not None:
                type(self).wishes.add(wait_ms)

    @rule(tally=st.integers(1, 5), late=st.booleans())
    def tally(self, tally: int, *, late: bool) -> None:
        if self.reference.state == "closed" and not late:
            self.reference.calls += [(self.now, False)] * tally
        era = self.last.view.era - late
        self.ask(Command(op=Op.VIEW, tally=tally, tally_era=era))

    @rule(wait_ms=st.sampled_from([0, 5000]), jitter=st.integers(0, 1000))
    def trip(self, wait_ms: int, jitter: int) -> None:
        if self.reference.state != "open":
            self.reference.open(self.now, jitter, wait_ms)
        self.ask(Command(op=Op.TRIP, wait_ms=wait_ms, jitter=jitter))

    @rule(action=st.sampled_from([*Action, Action.AUTO, Action.AUTO]))
    def operate(self, action: Action) -> None:
        self.reference.mode = str(MODE_AFTER[action])
        if action is Action.RESET:
            self.reference.opens = 0
            self.reference.become("closed")
        self.ask(Command(op=Op.OPERATE, action=action, actor="ann", reason="why"))

    @rule(mode=st.sampled_from(Mode))
    def restore(self, mode: Mode) -> None:
        self.reference.mode = str(mode)
        self.ask(Command(op=Op.RESTORE, mode=mode))

    @property
    def now(self) -> int:
        return self.memory.clock.store_ms()

    def ask(self, command: Command) -> Reply:
        type(self).steps += 1
        question = Question(name="dep", policy=self.policy, command=command)
        by_machine = self.memory.store.decide(question)[0]
        by_script = self.redis.store.decide(question)[0]
        assert by_script == by_machine
        if by_machine.transition is not None:
            type(self).causes.add(by_machine.transition.cause)
        type(self).dropped += by_machine.dropped
        self.last = by_machine
        self.compare()
        return by_machine

    def compare(self) -> None:
        view, expected = self.last.view, self.reference
        assert (view.state, view.mode) == (expected.state, expected.mode)
        assert view.opens == expected.opens
        if expected.state == "closed":
            assert view.failures == expected.streak
        elif expected.state == "open":
            left = max(0, expected.retry_at - self.now)
            assert view.retry_after_ms == left
        else:
            live = [end for end in expected.probes.values() if end > self.now]
            assert view.successes == expected.good
            assert view.free_probes == self.policy.half_open_probes - len(live)

    def teardown(self) -> None:
        logs = [
            [e.transition for e in harness.store.log(name="dep", after=LOG_START)]
            for harness in (self.memory, self.redis)
        ]
        assert logs[0] == logs[1]


@pytest.mark.redis
def test_machine_and_script_never_disagree_over_ten_thousand_steps(
    redis_url: str,
) -> None:
    shared = redis_harness(redis_url)

    def fresh() -> StoreHarness:
        shared.wipe()
        return redis_harness(redis_url)

    SideBySide.make_redis = staticmethod(fresh)
    SideBySide.steps = SideBySide.dropped = 0
    SideBySide.causes.clear()
    SideBySide.wishes.clear()
    while SideBySide.steps < STEPS:
        run_state_machine_as_test(
            SideBySide,
            settings=settings(
                max_examples=STEPS // RUN_LENGTH,
                stateful_step_count=RUN_LENGTH,
                deadline=None,
                database=None,
                phases=[Phase.generate, Phase.shrink],
                suppress_health_check=list(HealthCheck),
            ),
        )
    # The walk has been everywhere, or its agreement means little.
    assert SideBySide.causes == {
        *("failures", "probe_failed", "elapsed", "recovered", "tripped", "restored"),
        *map(str, Action),
    }
    assert SideBySide.wishes == {3000, 90_000}
    assert SideBySide.dropped > STEPS / 50
