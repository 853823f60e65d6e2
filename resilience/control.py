"""What operators do to circuits. Each action needs a reason and fails loudly.

The row in `BreakerMode` is the truth; the store carries it to every process within
300 ms. When the store does not answer, the row is not changed either.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from django.db import transaction

from resilience.errors import ResilienceError, StoreUnavailableError
from resilience.history import record_transition
from resilience.models import BreakerMode
from resilience.registry import current
from resilience.signals import operated
from resilience.snapshot import at_utc
from resilience.states import ACTOR_LENGTH, MODE_AFTER, REASON_LENGTH, Action, Mode

if TYPE_CHECKING:
    from resilience.breaker import CircuitBreaker
    from resilience.protocol import Transition

logger = logging.getLogger(__name__)

RESTORED_BY = "resilience"


class UnknownBreakerError(ResilienceError):
    """No circuit of that name is in the settings or has been used."""


class ReasonRequiredError(ResilienceError):
    """An operator's action without a usable reason or actor."""


def force_open(name: str, *, actor: str, reason: str) -> Transition:
    """Refuse every call of the whole fleet until the mode is left."""
    return operate(name, action=Action.FORCE_OPEN, actor=actor, reason=reason)


def disable(name: str, *, actor: str, reason: str) -> Transition:
    """Let every call pass, uncounted, until the mode is left."""
    return operate(name, action=Action.DISABLE, actor=actor, reason=reason)


def observe(name: str, *, actor: str, reason: str) -> Transition:
    """Count and log as usual, but refuse no call, until the mode is left."""
    return operate(name, action=Action.OBSERVE, actor=actor, reason=reason)


def auto(name: str, *, actor: str, reason: str) -> Transition:
    """Leave an operator mode; the machine goes on with what it knows."""
    return operate(name, action=Action.AUTO, actor=actor, reason=reason)


def reset(name: str, *, actor: str, reason: str) -> Transition:
    """Leave an operator mode and close the circuit, with all counts wiped."""
    return operate(name, action=Action.RESET, actor=actor, reason=reason)


def operate(
    name: str, *, action: Action, actor: str, reason: str, unseen: bool = False
) -> Transition:
    """Carry out `action` for the whole fleet, or raise and change nothing.

    Must not be called inside a transaction, whose rollback would undo the operator's word.
    `unseen` admits a name that is not in the settings and has never been used.
    """
    reason, actor = reason.strip(), actor.strip()
    _require_texts(reason=reason, actor=actor)
    if not unseen:
        require_known(name)
    breaker = current().get(name)
    with transaction.atomic(durable=True):
        row = _locked_row(breaker)
        done = breaker.operate(action=action, actor=actor, reason=reason)
        row.mode = str(MODE_AFTER[action])
        row.actor, row.reason = actor, reason
        row.epoch, row.set_at = done.epoch, at_utc(done.at_ms)
        row.save()
    record_transition(transition=done)
    logger.warning(
        "breaker.operated",
        extra={"breaker": name, "action": str(action), "actor": actor},
    )
    operated.send_robust(sender=BreakerMode, transition=done, action=action)
    return done


def require_known(name: str) -> None:
    """Raise `UnknownBreakerError` for a name that nobody has used or written down."""
    names = known_names()
    if name not in names:
        msg = f"There is no circuit {name!r}. Known: {', '.join(names) or 'none'}."
        raise UnknownBreakerError(msg)


def known_names() -> list[str]:
    """Return the circuits of the settings, of the fleet and of the operators' rows.

    While the store is away, the ones that only other processes have used are missing.
    """
    try:
        breakers = current().known()
    except StoreUnavailableError:
        breakers = current().all()
    rows = BreakerMode.objects.values_list("breaker", flat=True)
    return sorted({*(breaker.name for breaker in breakers), *rows})


def apply_operator_modes() -> list[str]:
    """Give the store every operator's word that it has lost; return the circuits changed.

    For a scheduler, every few seconds. Raise `StoreUnavailableError` when it is away.
    """
    current().store.names()
    return [name for name in known_names() if _apply(current().get(name))]


def _apply(breaker: CircuitBreaker) -> bool:
    row = BreakerMode.objects.filter(breaker=breaker.name).first()
    wanted = Mode(row.mode) if row else breaker.policy.initial_mode
    if breaker.snapshot().mode is wanted:
        return False
    # Under the row's lock, so that an operator who acts now is not overruled.
    with transaction.atomic():
        row = _locked_row(breaker)
        done = breaker.restore(
            mode=Mode(row.mode), actor=RESTORED_BY, reason=row.reason
        )
    if done is not None:
        record_transition(transition=done)
    return done is not None


def _locked_row(breaker: CircuitBreaker) -> BreakerMode:
    """Return the operators' row of a circuit, locked until the transaction ends."""
    BreakerMode.objects.get_or_create(
        breaker=breaker.name,
        defaults={
            "mode": str(breaker.policy.initial_mode),
            "actor": RESTORED_BY,
            "reason": "the mode that the policy starts with",
            "set_at": breaker.snapshot().mode_since,
        },
    )
    return BreakerMode.objects.select_for_update().get(breaker=breaker.name)


def _require_texts(*, reason: str, actor: str) -> None:
    if not reason or len(reason) > REASON_LENGTH:
        msg = f"Give a reason of at most {REASON_LENGTH} characters."
        raise ReasonRequiredError(msg)
    if not actor or len(actor) > ACTOR_LENGTH:
        msg = f"Say who acts, in at most {ACTOR_LENGTH} characters."
        raise ReasonRequiredError(msg)
    try:
        (reason + actor).encode()
    except UnicodeEncodeError:
        msg = "Reason and actor must be text: a byte of them belongs to no character."
        raise ReasonRequiredError(msg) from None
    if "\0" in reason + actor:
        msg = "Reason and actor must not hold a NUL: PostgreSQL does not keep it."
        raise ReasonRequiredError(msg)
