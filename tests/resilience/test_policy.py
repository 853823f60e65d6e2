"""A policy that cannot be meant does not exist; a good one judges as it says."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from celery import exceptions as celery_exceptions

from resilience.errors import CircuitBreakerOpen, PolicyError
from resilience.policy import BreakerPolicy
from resilience.states import Mode, Outcome
from tests.resilience.clockwork import BizChildError, BizError, BoomError


def judge(
    policy: BreakerPolicy, error: BaseException | None, *, elapsed: float = 0.1
) -> Outcome:
    return policy.judge(error, elapsed=elapsed)


def test_the_defaults_are_those_of_the_specification() -> None:
    policy = BreakerPolicy()

    assert policy.failure_threshold == 5
    assert policy.recovery_timeout == 60
    assert policy.recovery_cap == 600
    assert (policy.half_open_probes, policy.success_threshold) == (1, 2)
    assert policy.view_ttl == 0.25
    assert policy.initial_mode is Mode.AUTO


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("failure_threshold", 0),
        ("failure_threshold", 2.5),
        ("failure_threshold", True),
        ("minimum_calls", 0),
        ("half_open_probes", -1),
        ("success_threshold", 0),
        ("failure_rate", 0),
        ("failure_rate", 1.1),
        ("failure_rate", "half"),
        ("window", 0),
        ("recovery_timeout", 0),
        ("recovery_timeout", float("nan")),
        ("recovery_timeout", float("inf")),
        ("recovery_timeout", "60"),
        ("recovery_cap", 59),
        ("call_timeout", -1),
        ("lease_seconds", 0),
        ("lease_seconds", 5),
        ("slow_call_seconds", 0),
        ("view_ttl", 0),
        ("view_ttl", 1.5),
        ("initial_mode", "auto"),
        ("record_at_once", "no"),
        ("ignore", [BizError]),
        ("ignore", (int,)),
        ("success", ("BizError",)),
        ("late_only", (3,)),
    ],
)
def test_a_field_that_cannot_be_meant_is_refused_by_its_name(
    field: str, value: Any
) -> None:
    with pytest.raises(PolicyError, match=field):
        BreakerPolicy(**{field: value})


def test_a_policy_is_frozen() -> None:
    with pytest.raises(AttributeError):
        BreakerPolicy().failure_threshold = 1  # type: ignore[misc]


def test_the_lease_is_half_more_than_the_calls_own_timeout_at_least_ten_seconds() -> (
    None
):
    assert BreakerPolicy(call_timeout=20).lease == 30
    assert BreakerPolicy(call_timeout=1).lease == 10
    assert BreakerPolicy(call_timeout=1, lease_seconds=2).lease == 2


def test_ignored_and_answered_exceptions_are_told_apart() -> None:
    policy = BreakerPolicy(
        ignore=(BizError,), success=(lambda exc: "404" in str(exc), LookupError)
    )

    assert judge(policy, BizChildError()) is Outcome.IGNORED
    assert judge(policy, BoomError("HTTP 404")) is Outcome.SUCCESS
    assert judge(policy, KeyError()) is Outcome.SUCCESS
    assert judge(policy, BoomError("HTTP 500")) is Outcome.FAILURE
    assert judge(policy, None) is Outcome.SUCCESS


@pytest.mark.parametrize(
    "interrupt",
    [KeyboardInterrupt(), SystemExit(), GeneratorExit(), asyncio.CancelledError()],
)
def test_what_is_no_exception_says_nothing(interrupt: BaseException) -> None:
    assert judge(BreakerPolicy(), interrupt) is Outcome.IGNORED


@pytest.mark.parametrize(
    "steering",
    [
        celery_exceptions.Retry(),
        celery_exceptions.Ignore(),
        celery_exceptions.Reject(),
        CircuitBreakerOpen("other", "open", 1.0, "failures"),
    ],
)
def test_control_flow_says_nothing(steering: Exception) -> None:
    assert judge(BreakerPolicy(), steering) is Outcome.IGNORED


def test_a_soft_time_limit_blames_the_call_only_when_it_was_late() -> None:
    policy = BreakerPolicy(call_timeout=5)
    stop = celery_exceptions.SoftTimeLimitExceeded()

    assert judge(policy, stop, elapsed=4.9) is Outcome.IGNORED
    assert judge(policy, stop, elapsed=5.0) is Outcome.FAILURE


def test_a_time_out_is_a_failure() -> None:
    assert judge(BreakerPolicy(), TimeoutError()) is Outcome.FAILURE


def test_a_slow_success_is_a_failure() -> None:
    policy = BreakerPolicy(slow_call_seconds=2)

    assert judge(policy, None, elapsed=2.0) is Outcome.SUCCESS
    assert judge(policy, None, elapsed=2.1) is Outcome.FAILURE


def test_a_rule_that_fails_itself_applies_to_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken(exc: BaseException) -> bool:
        raise ZeroDivisionError

    assert judge(BreakerPolicy(ignore=(broken,)), BoomError()) is Outcome.FAILURE
    assert "breaker.rule_failed" in caplog.text
