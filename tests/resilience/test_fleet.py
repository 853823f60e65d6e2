"""One circuit in many processes (S) and without its Redis (R). Real ones of both."""

from __future__ import annotations

import itertools
import os
import signal
import time
from collections.abc import Iterator

import pytest
import redis

from auren.devstack.valkey import EmbeddedValkey
from resilience.protocol import LOG_START
from resilience.states import Action
from resilience.storage.redis import RedisStore
from tests.resilience.clockwork import RecordingObserver, fail, succeed
from tests.resilience.fleet import METHODS, Fleet, all_ask, make_breaker, running

pytestmark = pytest.mark.redis

# Every process hears of a change within this time.
HEARD_S = 0.3


@pytest.fixture(params=METHODS)
def fleet(request: pytest.FixtureRequest, redis_url: str) -> Iterator[Fleet]:
    with running(redis_url, request.param) as started:
        yield started


@pytest.fixture(params=METHODS)
def frail(
    request: pytest.FixtureRequest, own_valkey: EmbeddedValkey
) -> Iterator[tuple[Fleet, EmbeddedValkey]]:
    with running(own_valkey.url, request.param) as started:
        yield started, own_valkey


def store_at(url: str) -> RedisStore:
    return RedisStore(url=url, key_prefix="cb", timeout=0.25, clock=time.monotonic)


def test_s1_failures_of_three_processes_add_up(fleet: Fleet) -> None:
    members = fleet.start(3, failure_threshold=3)

    assert [member.ask("call", "fail") for member in members] == ["BoomError"] * 3

    newcomer = fleet.start(1, failure_threshold=3)[0]
    for member in (*members, newcomer):
        assert member.ask("until", "open", 2.0) is not None


def test_s2_another_process_rejects_within_300_ms(fleet: Fleet) -> None:
    one, other = fleet.start(2, failure_threshold=1)
    assert one.ask("call", "ok") == "result"
    # The worst moment: the other one's view is as new as can be.
    other.ask("refresh")

    seen, tripped_at = one.ask("fail_when", 0.0)
    rejected_at = other.ask("until", "open", 5.0)

    assert seen == "BoomError"
    assert rejected_at is not None
    assert rejected_at - tripped_at <= HEARD_S


def test_s3_a_new_process_is_rejected_by_its_very_first_call(fleet: Fleet) -> None:
    veteran = fleet.start(1, failure_threshold=1)[0]
    veteran.ask("call", "fail")
    opened = make_breaker(fleet.url).snapshot()

    newcomer = fleet.start(1, failure_threshold=1)[0]
    assert newcomer.ask("call", "ok") == "open"

    still = make_breaker(fleet.url).snapshot()
    assert (still.state, still.epoch) == ("open", opened.epoch)
    assert len(store_at(fleet.url).log(name="dep", after=LOG_START)) == 1


def test_s4_eight_processes_make_one_probe_while_undecided(fleet: Fleet) -> None:
    members = fleet.start(8, failure_threshold=1, recovery_timeout=1.5)
    all_ask(members, "call", "ok")
    members[0].ask("call", "fail")
    assert None not in all_ask(members, "until", "open", 1.0)

    got = all_ask(members, "seek_permit", 2.5)

    assert list(itertools.chain(*got)) == [True]


def test_s5_the_opening_is_reported_once_in_the_fleet(fleet: Fleet) -> None:
    members = fleet.start(2, failure_threshold=200)
    assert all_ask(members, "call", "fail") == ["BoomError"] * 2

    seen = all_ask(members, "fail_many", 300)

    changes = list(itertools.chain(*all_ask(members, "changes")))
    assert changes == [("closed", "open")]
    logged = store_at(fleet.url).log(name="dep", after=LOG_START)
    assert [(e.transition.old_state, e.transition.new_state) for e in logged] == changes
    # Failures that came after the opening did not open it again.
    assert sum(counts.get("BoomError", 0) for counts in seen) >= 198


def test_s6_a_killed_probe_gives_way_after_its_lease(fleet: Fleet) -> None:
    policy = {
        "failure_threshold": 1,
        "recovery_timeout": 0.2,
        "success_threshold": 1,
        "call_timeout": 0.5,
        "lease_seconds": 1.0,
    }
    prober, other = fleet.start(2, **policy)
    prober.ask("call", "fail")
    assert prober.ask("hold_probe", 5.0)
    granted_at = time.monotonic()

    prober.kill9()
    assert other.ask("call", "ok") == "half_open"
    recovered_at = other.ask("until", "result", 10.0)

    assert recovered_at is not None
    assert recovered_at - granted_at >= 0.8
    assert recovered_at - granted_at <= 3.0
    assert other.ask("state")[0] == "closed"


def test_s7_an_operators_word_reaches_every_process(fleet: Fleet) -> None:
    one, other = fleet.start(2)
    other.ask("refresh")

    forced_at = one.ask("operate", "force_open")
    rejected_at = other.ask("until", "forced_open", 5.0)
    other.ask("refresh")
    freed_at = one.ask("operate", "reset")
    passed_at = other.ask("until", "result", 5.0)

    assert rejected_at - forced_at <= HEARD_S
    assert passed_at - freed_at <= HEARD_S


def test_s8_a_breaker_used_before_the_fork_serves_parent_and_child(
    redis_url: str,
) -> None:
    observer = RecordingObserver()
    breaker = make_breaker(
        redis_url, observer=observer, failure_threshold=1, success_threshold=1
    )
    assert succeed(breaker) == "result"
    with running(redis_url, "fork") as fleet:
        # Forked in the middle of a question: the child must not wait for this lock.
        with breaker.here().lock:
            child = fleet.inherit(breaker, observer)
        # Tokens of probes must not collide with the parent's.
        assert child.ask("token_prefix") != breaker.here().new_token().split("-")[0]
        assert child.ask("call", "fail") == "BoomError"
        time.sleep(breaker.policy.view_ttl)
        assert type(fail(breaker)).__name__ == "CircuitBreakerOpen"

        breaker.operate(action=Action.RESET, actor="ann", reason="test")
        assert child.ask("until", "result", 2.0) is not None
        fail(breaker)
        assert child.ask("until", "open", 2.0) is not None
        assert child.ask("changes") == [("closed", "open")]
    assert observer.changes == [("open", "closed"), ("closed", "open")]


def test_s8_a_permit_from_before_the_fork_is_settled_after_it(redis_url: str) -> None:
    breaker = make_breaker(redis_url, failure_rate=0.5)
    permit = breaker.acquire()
    read, write = os.pipe()
    # Forked in the middle of a question: the child must not wait for this lock.
    with breaker.here().lock:
        child = os.fork()
        if child == 0:
            signal.alarm(10)
            permit.settle(None)
            os.write(write, b"settled")
            os._exit(0)
    os.close(write)
    _, status = os.waitpid(child, 0)

    assert (status, os.read(read, 20)) == (0, b"settled")


def test_r1_without_redis_a_call_runs_and_returns(
    frail: tuple[Fleet, EmbeddedValkey],
) -> None:
    fleet, server = frail
    member = fleet.start()[0]
    assert member.ask("call", "ok") == "result"
    server.kill9()
    time.sleep(0.3)

    seen, seconds = member.ask("timed_call")

    assert seen == "result"
    assert seconds < 0.5
    assert member.ask("state") == ("closed", 0, False)
    assert fleet.start()[0].ask("call", "ok") == "result"


def test_r1_a_frozen_redis_costs_one_short_wait(
    frail: tuple[Fleet, EmbeddedValkey],
) -> None:
    fleet, server = frail
    member = fleet.start()[0]
    assert member.ask("call", "ok") == "result"
    server.pause()
    try:
        time.sleep(0.3)
        timings = [member.ask("timed_call") for _ in range(20)]
    finally:
        server.resume()

    assert [seen for seen, _ in timings] == ["result"] * 20
    assert max(seconds for _, seconds in timings) < 1.0
    assert sum(seconds > 0.1 for _, seconds in timings) == 1


def test_r2_without_redis_the_local_breaker_opens(
    frail: tuple[Fleet, EmbeddedValkey],
) -> None:
    fleet, server = frail
    member, other = fleet.start(2, failure_threshold=3)
    all_ask((member, other), "call", "ok")
    server.kill9()

    assert [member.ask("call", "fail") for _ in range(3)] == ["BoomError"] * 3

    assert member.ask("call", "ok") == "open"
    # It speaks for itself alone, and reports nothing in the fleet's name.
    assert other.ask("call", "ok") == "result"
    assert member.ask("changes") == []


def test_r3_open_stays_open_when_redis_goes(
    frail: tuple[Fleet, EmbeddedValkey],
) -> None:
    fleet, server = frail
    one, other = fleet.start(2, failure_threshold=1, recovery_timeout=2)
    one.ask("call", "fail")
    assert other.ask("until", "open", 2.0) is not None
    server.kill9()

    time.sleep(0.4)
    assert one.ask("call", "ok") == "open"
    assert other.ask("call", "ok") == "open"
    # For the rest of the wait only: then each process tries by itself.
    assert other.ask("until", "result", 5.0) is not None


def test_r3_when_redis_comes_back_it_decides_again(
    frail: tuple[Fleet, EmbeddedValkey],
) -> None:
    fleet, server = frail
    one, other = fleet.start(2, failure_threshold=1)
    all_ask((one, other), "call", "ok")
    server.kill9()
    one.ask("call", "fail")
    assert one.ask("call", "ok") == "open"
    server.start()

    # The fleet's circuit never opened; the local one gives way within its pause.
    assert one.ask("until", "result", 10.0) is not None
    assert one.ask("state") == ("closed", 0, True)
    one.ask("call", "fail")
    assert other.ask("until", "open", 10.0) is not None


def test_r5_flushall_reaches_no_caller_and_the_circuit_works_on(
    frail: tuple[Fleet, EmbeddedValkey],
) -> None:
    fleet, server = frail
    one, other = fleet.start(2, failure_threshold=2)
    assert [one.ask("call", "fail") for _ in range(2)] == ["BoomError"] * 2
    client = redis.Redis.from_url(server.url)
    before = make_breaker(server.url).snapshot().epoch
    client.flushall()
    client.script_flush()

    assert one.ask("call", "ok") in {"open", "result"}
    assert other.ask("call", "ok") in {"open", "result"}
    for member in (one, other):
        assert member.ask("until", "result", 3.0) is not None
    one.ask("call", "fail")
    other.ask("call", "fail")
    assert one.ask("until", "open", 3.0) is not None
    assert make_breaker(server.url).snapshot().epoch > before


def test_r5_an_operators_mode_survives_flushall(
    frail: tuple[Fleet, EmbeddedValkey],
) -> None:
    fleet, server = frail
    one, other = fleet.start(2)
    one.ask("operate", "force_open")
    assert other.ask("until", "forced_open", 2.0) is not None
    redis.Redis.from_url(server.url).flushall()
    time.sleep(0.3)

    assert one.ask("call", "ok") == "forced_open"
    assert other.ask("call", "ok") == "forced_open"
