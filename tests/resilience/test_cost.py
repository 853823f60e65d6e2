"""What a breaker costs its Redis."""

from __future__ import annotations

import itertools
import time
from unittest import mock

import pytest
import redis

from resilience.breaker import CircuitBreaker
from resilience.errors import CircuitBreakerOpen
from resilience.policy import BreakerPolicy
from resilience.states import Action, Mode
from resilience.storage.redis import RedisStore
from tests.resilience.clockwork import (
    FakeClock,
    RecordingObserver,
    StoreHarness,
    fail,
    redis_harness,
    succeed,
)
from tests.resilience.fleet import make_breaker

pytestmark = pytest.mark.redis


class CountingStore(RedisStore):
    """Counts round trips."""

    trips = 0

    def decide(self, *questions):  # type: ignore[no-untyped-def]
        self.trips += 1
        return super().decide(*questions)


def counting_circle(
    url: str, clock: FakeClock, count: int
) -> tuple[CountingStore, list[CircuitBreaker]]:
    store = CountingStore(url=url, key_prefix="cb", timeout=1.0, clock=clock)
    circle: list[CircuitBreaker] = []
    circle += [
        CircuitBreaker(
            name=f"dep{number}",
            policy=BreakerPolicy(failure_threshold=1000),
            store=store,
            observer=RecordingObserver(),
            clock=clock,
            wall_ms=clock.store_ms,
            peers=lambda: circle,
        )
        for number in range(count)
    ]
    return store, circle


@pytest.mark.parametrize("circuits_in_use", [1, 6])
def test_healthy_circuits_cost_four_round_trips_a_second_however_many(
    redis_url: str, circuits_in_use: int
) -> None:
    clock = FakeClock()
    store, circle = counting_circle(redis_url, clock, circuits_in_use)
    for breaker in circle:
        succeed(breaker)
        clock.advance(0.03)
    store.trips = 0

    for _ in range(500):
        clock.advance(0.01)
        for breaker in circle:
            succeed(breaker)

    # Five seconds, and the circuits that began at different moments to be gathered.
    assert store.trips <= 5 * 4 + circuits_in_use


@pytest.mark.parametrize("every_s", [0.4, 1.0, 5.0])
def test_circuits_that_are_used_now_and_then_cost_no_more(
    redis_url: str, every_s: float
) -> None:
    """Twenty in turn, each seldom: whoever asks asks for all."""
    clock = FakeClock()
    store, circle = counting_circle(redis_url, clock, 20)
    for breaker in circle:
        succeed(breaker)
    store.trips = 0

    for _ in range(3):
        for breaker in circle:
            clock.advance(every_s / 20)
            succeed(breaker)

    assert store.trips <= 3 * every_s * 4 + 1


def test_a_circuit_that_nobody_uses_is_not_asked_for(redis_url: str) -> None:
    clock = FakeClock()
    store, (busy, idle) = counting_circle(redis_url, clock, 2)
    for breaker in (busy, idle):
        succeed(breaker)
    asked: list[int] = []
    real = store.decide

    def decide(*questions):  # type: ignore[no-untyped-def]
        asked.append(len(questions))
        return real(*questions)  # type: ignore[no-untyped-call]

    store.decide = decide  # type: ignore[method-assign]
    for _ in range(100):
        clock.advance(0.5)
        succeed(busy)

    assert asked[:10] == [2] * 10
    assert asked[-10:] == [1] * 10


def test_a_reported_failure_costs_one_round_trip(redis_url: str) -> None:
    store, (breaker,) = counting_circle(redis_url, FakeClock(), 1)
    succeed(breaker)
    store.trips = 0

    for _ in range(10):
        fail(breaker)

    assert store.trips == 10


def test_rejected_calls_ask_no_more_often_than_healthy_ones(redis_url: str) -> None:
    clock = FakeClock()
    store, (breaker,) = counting_circle(redis_url, clock, 1)
    breaker.trip()
    store.trips = 0

    for _ in range(100):
        clock.advance(0.01)
        assert type(fail(breaker)).__name__ == "CircuitBreakerOpen"

    assert store.trips <= 4


def test_texts_reach_the_log_as_they_were_said(redis_url: str) -> None:
    breaker = make_breaker(redis_url)
    said = 'moved: "é", \\ and\nso on'
    breaker.operate(action=Action.FORCE_OPEN, actor="Ann Ö'Hara", reason=said)
    done = breaker.operate(action=Action.AUTO, actor="x", reason="a\x1fb" + "c" * 600)

    forced, back = _store(redis_url).log(name="dep", after="0-0")

    assert (forced.transition.actor, forced.transition.reason) == ("Ann Ö'Hara", said)
    assert back.transition == done
    assert done.reason == "a b" + "c" * 497
    assert breaker.snapshot().mode_reason == done.reason


def _store(url: str) -> RedisStore:
    return RedisStore(url=url, key_prefix="cb", timeout=1.0, clock=time.monotonic)


def test_a_lost_script_is_sent_again(redis_url: str) -> None:
    breaker = make_breaker(redis_url)
    client = redis.Redis.from_url(redis_url)
    client.script_flush()
    assert succeed(breaker) == "result"
    fail(breaker)
    client.script_flush()
    fail(breaker)

    assert breaker.snapshot().failures == 2
    assert breaker.snapshot().store_up


def test_a_lost_script_does_not_hurt_a_question_for_many(redis_url: str) -> None:
    clock = FakeClock()
    _, circle = counting_circle(redis_url, clock, 3)
    for breaker in circle:
        succeed(breaker)
    redis.Redis.from_url(redis_url).script_flush()
    for breaker in circle:
        succeed(breaker)
    clock.advance(0.3)

    assert [succeed(breaker) for breaker in circle] == ["result"] * 3


def test_an_idle_closed_circuit_is_forgotten_and_nothing_else(redis_url: str) -> None:
    client = redis.Redis.from_url(redis_url)
    breaker = make_breaker(redis_url, failure_threshold=2)

    def keeps() -> int:
        return int(client.pttl("cb:{dep}"))

    succeed(breaker)
    assert 0 < keeps() <= 24 * 3600 * 1000
    fail(breaker)
    fail(breaker)
    assert keeps() == -1
    for action, forgotten in [
        (Action.RESET, True),
        (Action.FORCE_OPEN, False),
        (Action.DISABLE, False),
        (Action.OBSERVE, False),
        (Action.AUTO, True),
    ]:
        breaker.operate(action=action, actor="ann", reason="x")
        assert (keeps() > 0) is forgotten


def test_an_operators_auto_is_not_forgotten_where_circuits_begin_otherwise(
    redis_url: str,
) -> None:
    client = redis.Redis.from_url(redis_url)
    breaker = make_breaker(redis_url, initial_mode=Mode.OBSERVE)
    succeed(breaker)
    assert client.pttl("cb:{dep}") > 0

    breaker.operate(action=Action.AUTO, actor="ann", reason="trusted now")

    assert client.pttl("cb:{dep}") == -1

    breaker.operate(action=Action.OBSERVE, actor="ann", reason="after all not")

    assert client.pttl("cb:{dep}") == -1


def test_an_operators_mode_outlives_an_emptied_store_beside_other_circuits(
    redis_url: str,
) -> None:
    """The circuit that asks first must not hide from the other that all is gone."""
    clock = FakeClock()
    _, (asking, other) = counting_circle(redis_url, clock, 2)
    other.operate(action=Action.FORCE_OPEN, actor="ann", reason="moving house")
    succeed(asking)
    fail(other)
    redis.Redis.from_url(redis_url).flushall()
    clock.advance(0.3)

    succeed(asking)

    for _ in range(3):
        clock.advance(0.3)
        refused = fail(other)
        assert isinstance(refused, CircuitBreakerOpen)
        assert refused.reason == "moving house"


def test_what_another_circuits_question_restored_is_told_at_once(
    redis_url: str,
) -> None:
    clock = FakeClock()
    _, (asking, other) = counting_circle(redis_url, clock, 2)
    other.operate(action=Action.FORCE_OPEN, actor="ann", reason="moving house")
    succeed(asking)
    fail(other)
    told: list[str] = []
    redis.Redis.from_url(redis_url).flushall()
    clock.advance(0.3)

    with mock.patch.object(
        other._observer,
        "transitioned",
        lambda *, transition: told.append(transition.cause),
    ):
        succeed(asking)

    assert told == ["restored"]


@pytest.mark.parametrize("reason", ["bad \udcff", "bad \0"])
def test_a_reason_that_is_no_text_is_no_outage_of_the_store(
    redis_url: str, reason: str
) -> None:
    breaker = make_breaker(redis_url)
    breaker.trip(reason=reason)

    assert breaker.snapshot().store_up
    assert breaker.snapshot().reason == "bad ?"


def test_redis_that_refuses_is_asked_again_after_growing_pauses() -> None:
    clock = FakeClock()
    store, (breaker,) = counting_circle("redis://127.0.0.1:1/0", clock, 1)
    attempts = []
    real = store._run_all

    def attempt(questions):  # type: ignore[no-untyped-def]
        attempts.append(clock())
        return real(questions)

    store._run_all = attempt  # type: ignore[method-assign]
    started = time.monotonic()
    for _ in range(2000):
        assert succeed(breaker) == "result"
        clock.advance(0.1)

    pauses = [after - before for before, after in itertools.pairwise(attempts)]
    # Up to a fifth less than 1, 2, 4 ... 30 s, and up to one view more.
    for pause, full in zip(pauses, [1, 2, 4, 8, 16, 30, 30], strict=False):
        assert full * 0.8 <= pause <= full + 0.4
    assert len(pauses) >= 7
    assert time.monotonic() - started < 5


@pytest.fixture
def harness(redis_url: str) -> StoreHarness:
    return redis_harness(redis_url)


def test_successes_of_a_rate_are_reported_with_the_next_question(
    harness: StoreHarness,
) -> None:
    breaker = harness.breaker(failure_rate=0.5, minimum_calls=4)
    for _ in range(3):
        succeed(breaker)
    harness.clock.advance(0.3)
    succeed(breaker)
    fail(breaker)
    fail(breaker)
    fail(breaker)
    assert harness.state() == "closed"
    fail(breaker)
    assert harness.state() == "open"
