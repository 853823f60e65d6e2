"""An operator's word: kept, heard by all, loud when it cannot be."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import redis
from django.db import IntegrityError, transaction
from pytest_django.fixtures import Settings

import resilience
from resilience import control, registry
from resilience.errors import CircuitBreakerOpen, StoreUnavailableError
from resilience.models import BreakerMode, BreakerTransition
from resilience.states import Action, Mode, State
from tests.resilience.clockwork import fail, succeed
from tests.resilience.conftest import POLICIES
from tests.resilience.fleet import make_breaker

pytestmark = [
    pytest.mark.redis,
    pytest.mark.django_db,
    pytest.mark.usefixtures("circuits"),
]

VERBS: dict[str, tuple[Callable[..., object], Mode]] = {
    "force_open": (resilience.force_open, Mode.FORCED_OPEN),
    "disable": (resilience.disable, Mode.DISABLED),
    "observe": (resilience.observe, Mode.OBSERVE),
    "auto": (resilience.auto, Mode.AUTO),
    "reset": (resilience.reset, Mode.AUTO),
}


@pytest.mark.parametrize("verb", VERBS)
def test_an_action_is_kept_heard_and_written_with_who_and_why(
    verb: str, circuits: str
) -> None:
    act, mode = VERBS[verb]

    act("kafka", actor="ann", reason=" because ")

    row = BreakerMode.objects.get()
    assert (row.breaker, row.mode, row.actor, row.reason) == (
        "kafka",
        mode,
        "ann",
        "because",
    )
    history = BreakerTransition.objects.get()
    assert (history.cause, history.actor, history.reason) == (verb, "ann", "because")
    assert (history.epoch, history.at) == (row.epoch, row.set_at)
    assert make_breaker(circuits, name="kafka").snapshot().mode is mode


def test_reset_closes_an_open_circuit_and_auto_does_not() -> None:
    breaker = resilience.get_breaker("kafka")
    fail(breaker)
    fail(breaker)
    resilience.auto("kafka", actor="ann", reason="x")
    assert breaker.snapshot().state is State.OPEN

    resilience.reset("kafka", actor="ann", reason="x")

    assert succeed(breaker) == "result"


def test_without_the_store_nothing_changes_and_the_operator_is_told(
    lose_redis: Callable[[], None],
) -> None:
    resilience.observe("kafka", actor="ann", reason="new")
    lose_redis()

    for act, _ in VERBS.values():
        with pytest.raises(StoreUnavailableError):
            act("kafka", actor="bob", reason="now")

    row = BreakerMode.objects.get()
    assert (row.mode, row.actor) == ("observe", "ann")
    assert BreakerTransition.objects.count() == 1


@pytest.mark.parametrize(
    ("actor", "reason"),
    [("ann", " "), ("", "x"), ("ann", "x" * 501), ("ann", "a\0b"), ("a\0b", "x")],
)
def test_an_action_needs_a_person_and_a_reason(actor: str, reason: str) -> None:
    with pytest.raises(control.ReasonRequiredError):
        resilience.force_open("kafka", actor=actor, reason=reason)

    assert not BreakerMode.objects.exists()
    assert resilience.get_breaker("kafka").snapshot().mode is Mode.AUTO


def test_a_mistyped_name_makes_no_circuit() -> None:
    with pytest.raises(control.UnknownBreakerError, match="database, kafka"):
        resilience.force_open("kafak", actor="ann", reason="x")

    assert registry.current().store.names() == []
    control.operate(
        "vendor:new", action=Action.OBSERVE, actor="ann", reason="x", unseen=True
    )
    assert control.known_names() == ["database", "kafka", "vendor:new"]


def test_circuits_that_only_other_processes_use_are_known(circuits: str) -> None:
    make_breaker(circuits, name="vendor:oura").snapshot()

    assert control.known_names() == ["database", "kafka", "vendor:oura"]


@pytest.mark.django_db(transaction=True)
def test_an_action_inside_a_transaction_is_refused() -> None:
    with pytest.raises(RuntimeError, match="durable"), transaction.atomic():
        resilience.force_open("kafka", actor="ann", reason="x")

    assert not BreakerMode.objects.exists()


class TestApplyOperatorModes:
    def test_after_flushall_every_word_is_heard_again(self, circuits: str) -> None:
        resilience.force_open("kafka", actor="ann", reason="maintenance")
        resilience.disable("database", actor="ann", reason="noise")
        redis.Redis.from_url(circuits).flushdb()
        registry.clear()

        assert resilience.apply_operator_modes() == ["database", "kafka"]
        assert resilience.apply_operator_modes() == []

        with pytest.raises(CircuitBreakerOpen) as caught:
            succeed(make_breaker(circuits, name="kafka"))
        assert caught.value.reason == "maintenance"
        restored = BreakerTransition.objects.get(breaker="kafka", cause="restored")
        assert (restored.actor, restored.new_mode) == ("resilience", "forced_open")

    def test_the_row_wins_over_what_only_the_store_says(self, circuits: str) -> None:
        make_breaker(circuits, name="kafka").operate(
            action=Action.FORCE_OPEN, actor="?", reason="the row was rolled back"
        )

        assert resilience.apply_operator_modes() == ["kafka"]

        assert make_breaker(circuits, name="kafka").snapshot().mode is Mode.AUTO

    def test_without_a_word_the_policys_first_mode_holds(
        self, settings: Settings, circuits: str
    ) -> None:
        settings.RESILIENCE = {**POLICIES, "kafka": {"initial_mode": "observe"}}

        assert resilience.apply_operator_modes() == []
        assert resilience.get_breaker("kafka").snapshot().mode is Mode.OBSERVE
        resilience.auto("kafka", actor="ann", reason="proven")
        redis.Redis.from_url(circuits).flushdb()
        registry.clear()
        assert resilience.apply_operator_modes() == ["kafka"]
        assert resilience.get_breaker("kafka").snapshot().mode is Mode.AUTO

    def test_it_says_so_when_the_store_is_away(
        self, lose_redis: Callable[[], None]
    ) -> None:
        lose_redis()

        with pytest.raises(StoreUnavailableError):
            resilience.apply_operator_modes()


def test_the_database_knows_no_other_mode() -> None:
    resilience.observe("kafka", actor="ann", reason="x")

    with pytest.raises(IntegrityError):
        BreakerMode.objects.update(mode="shut")
