"""One way of breaking the breaker for each behaviour of the table."""

from __future__ import annotations

from dataclasses import dataclass

RULES, MACHINE, CIRCUIT = "rules.py", "machine.py", "circuit.py"
ANSWER, PROCESS, BREAKER = "answer.py", "process.py", "breaker.py"
SCRIPT, STORE, STAND_IN = "storage/script.lua", "storage/redis.py", "stand_in.py"


@dataclass(frozen=True, slots=True)
class Edit:
    """Text that stands once in a file of the package, and what replaces it."""

    file: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Mutation:
    """A behaviour's id, what is broken in words, and the edits."""

    behaviour: str
    broken: str
    edits: tuple[Edit, ...]


def _of(behaviour: str, broken: str, *edits: tuple[str, str, str]) -> Mutation:
    return Mutation(behaviour, broken, tuple(Edit(*edit) for edit in edits))


_JUDGED = "            outcome = self.policy.judge(error, elapsed=elapsed)\n"


def _judged(condition: str, outcome: str) -> tuple[str, str, str]:
    then = f"            if outcome is Outcome.IGNORED and {condition}:\n"
    return (CIRCUIT, _JUDGED, f"{_JUDGED}{then}                outcome = {outcome}\n")


MUTATIONS = (
    _of(
        "c1",
        "the result is lost",
        (
            BREAKER,
            "(permit, None)\n        return result",
            "(permit, None)\n        return cast('Result', None)",
        ),
    ),
    _of(
        "c2",
        "a failure counts twice",
        (
            RULES,
            "machine.failures += 1\n            machine.count",
            "machine.failures += 2\n            machine.count",
        ),
    ),
    _of(
        "c3",
        "one failure more is needed",
        (
            MACHINE,
            "self.failures >= policy.failure_threshold",
            "self.failures > policy.failure_threshold",
        ),
    ),
    _of(
        "c4",
        "the tripping call gets the breaker's exception",
        (
            BREAKER,
            "self.settle(permit, exc)\n            raise",
            "self.settle(permit, exc)\n            self.acquire()\n            raise",
        ),
    ),
    _of(
        "c5",
        "a success does not end the streak",
        (
            RULES,
            "            machine.failures = 0\n            machine.count",
            "            machine.count",
        ),
    ),
    _of(
        "c6",
        "an excluded exception counts",
        _judged("isinstance(error, Exception)", "Outcome.FAILURE"),
    ),
    _of(
        "c7",
        "an ignored error counts as a success",
        _judged("isinstance(error, Exception)", "Outcome.SUCCESS"),
    ),
    _of(
        "c8",
        "an interrupt counts",
        _judged("not isinstance(error, Exception)", "Outcome.FAILURE"),
    ),
    _of(
        "o1",
        "a refusal names hours",
        (
            CIRCUIT,
            "wait = max(answer.deadline - now, SHORTEST_WAIT)",
            "wait = 10_000.0",
        ),
    ),
    _of(
        "o2",
        "nobody tries after the wait",
        (RULES, "self.now_ms >= machine.retry_at_ms", "self.now_ms < 0"),
    ),
    _of(
        "o3",
        "a late success closes",
        (
            CIRCUIT,
            "if process.answer.quiet and not permit.probe:",
            "if process.answer.quiet and permit.era < 0:",
        ),
        (
            CIRCUIT,
            "if permit.era != process.answer.era:\n            return None",
            "if permit.era < 0:\n            return None",
        ),
        (
            RULES,
            "            self.dropped = True\n        elif machine.state is State.CLOSED:",
            "            self._go(State.CLOSED, cause='recovered')\n        elif machine.state is State.CLOSED:",
        ),
    ),
    _of(
        "h1",
        "a failed probe only counts",
        (RULES, 'self._open(cause="probe_failed")', "machine.failures += 1"),
    ),
    _of(
        "h2",
        "a hundred probes at a time",
        (
            RULES,
            "if len(leases) < self.policy.half_open_probes:",
            "if len(leases) < 100:",
        ),
    ),
    _of(
        "h3",
        "the first success closes",
        (
            RULES,
            "machine.successes >= self.policy.success_threshold",
            "machine.successes >= 1",
        ),
    ),
    _of(
        "h4",
        "an ignored probe opens",
        (
            RULES,
            'elif self.command.outcome is Outcome.FAILURE:\n            self._open(cause="probe_failed")',
            'elif self.command.outcome is not Outcome.SUCCESS:\n            self._open(cause="probe_failed")',
        ),
    ),
    _of(
        "h6",
        "leases never end",
        (RULES, "if expiry <= self.now_ms]", "if expiry <= -1]"),
    ),
    _of(
        "h8",
        "the old count survives recovery",
        (
            RULES,
            "if state is State.CLOSED:\n                machine.failures = 0",
            "if state is State.CLOSED and cause != 'recovered':\n                machine.failures = 0",
        ),
    ),
    _of(
        "h9",
        "the wait does not grow",
        (MACHINE, "doublings = min(earlier, MAX_DOUBLINGS)", "doublings = 0"),
    ),
    _of(
        "m1",
        "forced open lets calls pass",
        (
            ANSWER,
            "elif view.mode is Mode.FORCED_OPEN:\n        admits = False",
            "elif view.mode is Mode.FORCED_OPEN:\n        admits = True",
        ),
    ),
    _of(
        "m2",
        "the old count survives a reset",
        (
            RULES,
            "if state is State.CLOSED:\n                machine.failures = 0",
            "if state is State.CLOSED and cause != 'reset':\n                machine.failures = 0",
        ),
    ),
    _of(
        "e1",
        "each transition is told twice",
        (
            PROCESS,
            "self._unreported.append(reply.transition)",
            "self._unreported.extend([reply.transition] * 2)",
        ),
    ),
    _of(
        "p1",
        "a second report counts",
        (
            CIRCUIT,
            "if permit.settled:\n            return None",
            "if permit.settled and permit.probe:\n            return None",
        ),
    ),
    _of(
        "x1",
        "calls hold the lock",
        (
            BREAKER,
            "            result = function(*args, **kwargs)\n",
            "            with self.here().lock:\n                result = function(*args, **kwargs)\n",
        ),
    ),
    _of(
        "a1",
        "a cancelled call counts",
        _judged("not isinstance(error, Exception)", "Outcome.FAILURE"),
    ),
    _of(
        "s1",
        "failures do not add up",
        (SCRIPT, "set('failures', circuit.failures + 1)", "set('failures', 1)"),
    ),
    _of(
        "s2",
        "a view lives two seconds",
        (ANSWER, "asked_at + policy.view_ttl", "asked_at + policy.view_ttl * 8"),
    ),
    _of(
        "s3",
        "a process's first question resets the circuit",
        (
            SCRIPT,
            "if stored[1] then",
            "if stored[1] and string.sub(command.token, -2) ~= '-1' then",
        ),
    ),
    _of(
        "s4",
        "a hundred probes in the fleet",
        (
            SCRIPT,
            "redis.call('ZCARD', KEYS[2]) < policy.probes",
            "redis.call('ZCARD', KEYS[2]) < 100",
        ),
    ),
    _of(
        "s5",
        "late failures open it again",
        (
            SCRIPT,
            "if command.era ~= circuit.era then\n    dropped = true",
            "if circuit.state == 'open' then\n    open('failures')\n  elseif command.era ~= circuit.era then\n    dropped = true",
        ),
    ),
    _of(
        "s6",
        "a killed probe keeps its slot",
        (SCRIPT, "'-inf', text(now))\nend", "'-inf', '-1')\nend"),
    ),
    _of(
        "s7",
        "a mode is not stored",
        (SCRIPT, "  set('mode', mode)\n", "  circuit.mode = mode\n"),
    ),
    _of(
        "s8",
        "a forked child goes on with its parent's part",
        (CIRCUIT, "if self._process.pid != getpid():", "if self._process.pid < 0:"),
    ),
    _of(
        "r1",
        "the store's error reaches the caller",
        (
            PROCESS,
            "reply = self._stand_in.ask(command, view=self.answer.view)",
            "raise",
        ),
    ),
    _of(
        "r2",
        "the stand-in hears of no failure",
        (
            PROCESS,
            "self._stand_in.ask(command,",
            "self._stand_in.ask(Command(op=command.op, token=command.token),",
        ),
    ),
    _of(
        "r3",
        "the stand-in starts closed",
        (STAND_IN, "state=view.state,", "state=State.CLOSED,"),
    ),
    _of(
        "r5",
        "the script is not sent again",
        (STORE, "return self._client.eval(self._script, 4, *parameters)", "raise"),
    ),
)
