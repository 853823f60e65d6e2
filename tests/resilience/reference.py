"""The rules of the circuit as a reference: short rather than fast."""

from __future__ import annotations

from dataclasses import dataclass, field

from resilience.policy import BreakerPolicy
from resilience.protocol import Command
from resilience.states import Outcome


@dataclass
class Reference:
    """The rules in as few words as possible; times in milliseconds."""

    policy: BreakerPolicy
    state: str = "closed"
    mode: str = "auto"
    era: int = 0
    streak: int = 0
    good: int = 0
    opens: int = 0
    retry_at: int = 0
    probes: dict[str, int] = field(default_factory=dict)
    calls: list[tuple[int, bool]] = field(default_factory=list)

    def become(self, state: str) -> None:
        self.state, self.era, self.good = state, self.era + 1, 0
        self.probes, self.calls = {}, []
        if state == "closed":
            self.streak = 0

    def open(self, now: int, jitter: int, asked: int) -> None:
        policy = self.policy
        full = min(policy.recovery_timeout * 2**self.opens, policy.recovery_cap) * 1000
        wait = min(asked, policy.recovery_cap * 1000) or full - full * jitter // 10_000
        self.opens, self.retry_at = self.opens + 1, now + int(wait)
        self.become("open")

    def acquire(self, now: int, token: str) -> str:
        if self.mode in {"forced_open", "disabled"}:
            return "yes" if self.mode == "disabled" else "no"
        if self.state == "open" and now >= self.retry_at:
            self.become("half_open")
        self.probes = {t: end for t, end in self.probes.items() if end > now}
        if (
            self.state == "half_open"
            and len(self.probes) < self.policy.half_open_probes
        ):
            self.probes[token] = now + 10_000
            return "probe"
        return "yes" if self.state == "closed" else "no"

    def settle(self, now: int, command: Command, *, same_era: bool) -> None:
        self.probes = {t: end for t, end in self.probes.items() if end > now}
        if not same_era or self.state == "open":
            return
        failed = command.outcome is Outcome.FAILURE
        if self.state == "half_open":
            if self.probes.pop(command.token, None) is None:
                return
            self.good += command.outcome is Outcome.SUCCESS
            if failed:
                self.open(now, command.jitter, command.wait_ms)
            elif self.good >= self.policy.success_threshold:
                self.opens = 0
                self.become("closed")
        elif command.outcome is not Outcome.IGNORED:
            self.streak = self.streak + 1 if failed else 0
            self.calls.append((now, failed))
            if failed and self.trips(now):
                self.open(now, command.jitter, command.wait_ms)

    def trips(self, now: int) -> bool:
        if self.policy.failure_rate is None:
            return self.streak >= self.policy.failure_threshold
        width = int(self.policy.window * 100)
        recent = [bad for at, bad in self.calls if at // width > now // width - 10]
        share = sum(recent) / len(recent)
        return len(recent) >= self.policy.minimum_calls and share >= (
            self.policy.failure_rate
        )
