"""Faults on demand: what goes wrong, where, and how many times."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Final

API_FAULTS: Final = frozenset({"429", "500", "401", "slow", "truncated"})
WEBHOOK_FAULTS: Final = frozenset({"duplicate", "reordered", "delayed", "missing"})


class UnknownFaultError(ValueError):
    """No such fault; the message lists those that there are."""


@dataclass(slots=True, kw_only=True)
class Fault:
    """One thing that goes wrong `times` times.

    API faults hit requests whose path contains `path`; an empty one means data routes,
    not OAuth and subscriptions. `seconds` is the delay of `slow` and the Retry-After of
    `429`.
    """

    vendor: str
    kind: str
    times: int = 1
    path: str = ""
    seconds: float = 1.0

    def hits(self, *, vendor: str, path: str) -> bool:
        if self.vendor != vendor:
            return False
        if self.path:
            return self.path in path
        return not any(part in path for part in ("/oauth", "/auth/", "/webhook/"))


@dataclass(slots=True)
class FaultList:
    """The faults that are still to happen, oldest first."""

    _waiting: list[Fault] = field(default_factory=list)

    def add(self, fault: Fault) -> None:
        """Take on a fault; raises UnknownFaultError."""
        known = API_FAULTS | WEBHOOK_FAULTS
        if fault.kind not in known:
            message = f"kind must be one of {', '.join(sorted(known))}"
            raise UnknownFaultError(message)
        self._waiting.append(fault)

    def next_api(self, *, vendor: str, path: str) -> Fault | None:
        """Return the fault that this request meets, and count it down."""
        for fault in self._waiting:
            if fault.kind in API_FAULTS and fault.hits(vendor=vendor, path=path):
                return self._use(fault)
        return None

    def next_webhook(self, *, vendor: str) -> list[str]:
        """Return the faults that this vendor's next webhook meets."""
        for fault in self._waiting:
            if fault.kind in WEBHOOK_FAULTS and fault.vendor == vendor:
                return [self._use(fault).kind]
        return []

    def waiting(self) -> list[dict[str, Any]]:
        """Return what is still to happen."""
        return [asdict(fault) for fault in self._waiting]

    def clear(self) -> None:
        """Let everything go well again."""
        self._waiting.clear()

    def _use(self, fault: Fault) -> Fault:
        fault.times -= 1
        if fault.times <= 0:
            self._waiting.remove(fault)
        return fault
