"""Circuits in Redis (or Valkey): one script run is one decision for the whole fleet.

The client is synchronous on purpose: a loop-bound one would tie a breaker to the event
loop that first used it. It never retries by itself and has a pool of its own, so a lost
server costs one caller one short timeout, then nobody anything until the next attempt.
"""

from __future__ import annotations

import hashlib
import json
import logging
import random
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import redis
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisError
from redis.retry import Retry

from resilience.errors import StoreUnavailableError
from resilience.machine import bucket_ms, to_ms
from resilience.protocol import (
    LOG_LENGTH,
    LOG_START,
    LogEntry,
    Op,
    Question,
    Reply,
    Transition,
    View,
)
from resilience.states import ACTOR_LENGTH, REASON_LENGTH, Mode, State

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from resilience.policy import BreakerPolicy

logger = logging.getLogger(__name__)

SCRIPT = Path(__file__).with_name("script.lua").read_text(encoding="utf-8")
# An idle closed circuit has nothing to remember.
KEEP_MS = 24 * 3600 * 1000
FIRST_PAUSE = 1.0
LONGEST_PAUSE = 30.0
# Between the values of a reply; as in the script.
SEPARATOR = "\x1f"
_SYSTEM_RANDOM = random.SystemRandom()
_OPERATOR_OPS = frozenset({Op.OPERATE, Op.RESTORE})


class RedisStore:
    """A store for a fleet. After an error it rests 1, 2, 4 ... 30 s before it tries again.

    What operators ask for is tried at once, resting or not.
    """

    def __init__(
        self,
        *,
        url: str,
        key_prefix: str,
        timeout: float,
        clock: Callable[[], float],
        script: str = SCRIPT,
    ) -> None:
        self._client = redis.Redis.from_url(
            url,
            decode_responses=True,
            socket_timeout=timeout,
            socket_connect_timeout=timeout,
            socket_keepalive=True,
            retry=Retry(NoBackoff(), 0),
        )
        self._prefix = key_prefix
        self._timeout = timeout
        self._clock = clock
        self._script = script
        # Redis names scripts by this digest; nothing rests on its strength.
        self._sha = hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()
        # What is the same in every question of a circuit.
        self._fixed: dict[
            str, tuple[BreakerPolicy, tuple[str, str, str, str], str]
        ] = {}
        # No lock around these: it could be inherited locked by a forked child. Two
        # threads that try at once cost one more short timeout, nothing else.
        self._pause = 0.0
        self._rest_until = float("-inf")

    def decide(self, *questions: Question) -> list[Reply]:
        """Answer the questions in one round trip, each in one atomic step."""
        asked_by_operator = any(q.command.op in _OPERATOR_OPS for q in questions)
        replies = self._guarded(
            lambda: self._run_all(questions), even_resting=asked_by_operator
        )
        return [
            _reply(question.name, cast("str", raw))
            for question, raw in zip(questions, replies, strict=True)
        ]

    def log(self, *, name: str, after: str) -> list[LogEntry]:
        """Return the logged transitions that follow the entry `after`, oldest first."""
        key = self._keys(name)[2]
        entries = self._guarded(
            lambda: self._client.xrange(key, min=f"({after}"), even_resting=True
        )
        return [
            LogEntry(entry_id=entry_id, transition=_transition(name, fields))
            for entry_id, fields in cast("list[tuple[str, dict[str, str]]]", entries)
        ]

    def last_entry(self, *, name: str) -> str:
        """Return the id of the newest log entry, or `LOG_START` for an empty log."""
        key = self._keys(name)[2]
        entries = self._guarded(
            lambda: self._client.xrevrange(key, count=1), even_resting=True
        )
        found = cast("list[tuple[str, dict[str, str]]]", entries)
        return found[0][0] if found else LOG_START

    def names(self) -> list[str]:
        """Return every circuit that the store has heard of, sorted."""
        key = f"{self._prefix}:names"
        members = self._guarded(lambda: self._client.smembers(key), even_resting=True)
        return sorted(cast("set[str]", members))

    def close(self) -> None:
        """Let go of connections; the store can still be used and opens them again."""
        self._client.close()

    def _keys(self, name: str) -> tuple[str, str, str, str]:
        circuit = f"{self._prefix}:{{{name}}}"
        return circuit, f"{circuit}:leases", f"{circuit}:log", f"{self._prefix}:names"

    def _run_all(self, questions: Sequence[Question]) -> list[Any]:
        if len(questions) == 1:
            return [self._run(questions[0])]
        pipeline = self._client.pipeline(transaction=False)
        for question in questions:
            pipeline.evalsha(self._sha, 4, *self._parameters(question))
        try:
            return pipeline.execute()
        except NoScriptError:
            return [self._run(question) for question in questions]

    def _run(self, question: Question) -> Any:
        parameters = self._parameters(question)
        try:
            return self._client.evalsha(self._sha, 4, *parameters)
        except NoScriptError:
            return self._client.eval(self._script, 4, *parameters)

    def _parameters(self, question: Question) -> tuple[str, ...]:
        name, policy = question.name, question.policy
        known = self._fixed.get(name)
        if known is None or known[0] is not policy:
            known = (policy, self._keys(name), _policy_text(policy))
            self._fixed[name] = known
        _, keys, policy_text = known
        return (*keys, _command_text(question), policy_text)

    def _guarded(self, ask: Callable[[], object], *, even_resting: bool) -> Any:
        self._admit(even_resting=even_resting)
        try:
            answer = ask()
        except (RedisError, OSError) as error:
            raise self._lost(error) from error
        if self._pause:
            self._found()
        return answer

    def _admit(self, *, even_resting: bool) -> None:
        if not self._pause:
            return
        now = self._clock()
        if now < self._rest_until and not even_resting:
            msg = "The breakers' Redis is away; the next attempt comes by itself."
            raise StoreUnavailableError(msg)
        # One caller tries; the others go on resting meanwhile.
        self._rest_until = max(self._rest_until, now + 2 * self._timeout)

    def _lost(self, error: Exception) -> StoreUnavailableError:
        is_news = not self._pause
        self._pause = min(self._pause * 2 or FIRST_PAUSE, LONGEST_PAUSE)
        # Up to a fifth sooner, so that processes do not return together.
        pause = self._pause * (1 - 0.2 * _SYSTEM_RANDOM.random())
        self._rest_until = self._clock() + pause
        if is_news:
            logger.warning("breaker.redis_lost", extra={"error": type(error).__name__})
        msg = (
            f"The breakers' Redis did not answer ({type(error).__name__}); "
            "see RESILIENCE_REDIS_URL."
        )
        return StoreUnavailableError(msg)

    def _found(self) -> None:
        self._pause = 0.0
        self._rest_until = float("-inf")
        logger.info("breaker.redis_found")


def _command_text(question: Question) -> str:
    command = question.command
    return json.dumps(
        {
            "op": command.op,
            "era": command.era,
            "token": command.token,
            "outcome": command.outcome,
            "tally": command.tally,
            "tally_era": command.tally_era,
            "wait_ms": command.wait_ms,
            "jitter": command.jitter,
            "action": command.action,
            "new_mode": command.mode,
            "actor": _plain(command.actor, ACTOR_LENGTH),
            "reason": _plain(command.reason, REASON_LENGTH),
            "error": _plain(command.error, REASON_LENGTH),
            "breaker": question.name,
        }
    )


def _policy_text(policy: BreakerPolicy) -> str:
    return json.dumps(
        {
            "threshold": policy.failure_threshold,
            "rate": policy.failure_rate or 0,
            "minimum_calls": policy.minimum_calls,
            "bucket_ms": bucket_ms(policy),
            "recovery_ms": to_ms(policy.recovery_timeout),
            "cap_ms": to_ms(policy.recovery_cap),
            "lease_ms": to_ms(policy.lease),
            "probes": policy.half_open_probes,
            "to_close": policy.success_threshold,
            "initial_mode": policy.initial_mode,
            "keep_ms": KEEP_MS,
            "log_length": LOG_LENGTH,
        }
    )


def _plain(text: str, length: int) -> str:
    return text[:length].replace(SEPARATOR, " ")


def _reply(name: str, text: str) -> Reply:
    raw = text.split(SEPARATOR)
    pairs = dict(zip(raw[20::2], raw[21::2], strict=True))
    return Reply(
        created=raw[0] == "1",
        admitted=raw[1] == "1",
        probe=raw[2] == "1",
        dropped=raw[3] == "1",
        lost=int(raw[4]),
        view=View(
            state=State(raw[5]),
            mode=Mode(raw[6]),
            era=int(raw[7]),
            epoch=int(raw[8]),
            failures=int(raw[9]),
            successes=int(raw[10]),
            opens=int(raw[11]),
            failures_total=int(raw[12]),
            retry_after_ms=int(raw[13]),
            free_probes=int(raw[14]),
            since_ms=int(raw[15]),
            mode_since_ms=int(raw[16]),
            now_ms=int(raw[17]),
            reason=raw[18],
            mode_reason=raw[19],
        ),
        transition=_transition(name, pairs) if pairs else None,
    )


def _transition(name: str, fields: dict[str, str]) -> Transition:
    return Transition(
        breaker=name,
        epoch=int(fields["epoch"]),
        at_ms=int(fields["at_ms"]),
        old_state=State(fields["old_state"]),
        new_state=State(fields["new_state"]),
        old_mode=Mode(fields["old_mode"]),
        new_mode=Mode(fields["new_mode"]),
        cause=fields["cause"],
        actor=fields["actor"],
        reason=fields["reason"],
        failures=int(fields["failures"]),
        wait_ms=int(fields["wait_ms"]),
        error=fields["error"],
    )
