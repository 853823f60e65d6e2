"""The answer for the calls of the next moments, worked out once from a view."""

from __future__ import annotations

from typing import TYPE_CHECKING

from resilience.states import Mode, State

if TYPE_CHECKING:
    from resilience.policy import BreakerPolicy
    from resilience.protocol import View

# No circuit has this era; a call admitted under it is not fed to the machine.
UNFED = 0


class Answer:
    """Whether calls pass until ``fresh_until`` (monotonic), without asking again.

    ``deadline`` is when a refused call may pass. ``quiet`` tells that a healthy success
    needs no report.
    """

    __slots__ = ("admits", "deadline", "era", "fresh_until", "pid", "quiet", "view")

    def __init__(
        self,
        *,
        view: View | None,
        pid: int,
        fresh_until: float,
        deadline: float | None,
        admits: bool,
        era: int,
        quiet: bool,
    ) -> None:
        self.view = view
        self.pid = pid
        self.fresh_until = fresh_until
        self.deadline = deadline
        self.admits = admits
        self.era = era
        self.quiet = quiet


def no_answer(*, pid: int) -> Answer:
    """Return the answer of a process that has not asked yet."""
    return Answer(
        view=None,
        pid=pid,
        fresh_until=float("-inf"),
        deadline=None,
        admits=False,
        era=UNFED,
        quiet=True,
    )


def answer_from(
    view: View, *, policy: BreakerPolicy, pid: int, asked_at: float, now: float
) -> Answer:
    """Return the answer that a view gives; it was asked for at `asked_at`, came `now`."""
    fresh_until = asked_at + policy.view_ttl
    deadline: float | None = None
    admits, era, quiet = False, UNFED, True
    if view.mode is Mode.DISABLED:
        admits = True
    elif view.mode is Mode.FORCED_OPEN:
        admits = False
    elif view.state is State.CLOSED:
        admits, era = True, view.era
        quiet = view.failures == 0 and not policy.by_rate
    else:
        # Counted from the receipt, so never earlier than the store meant. A free probe
        # slot leaves no time to wait: the next call asks the store.
        deadline = now + view.retry_after_ms / 1000
        fresh_until = min(fresh_until, deadline)
        admits = view.mode is Mode.OBSERVE
    return Answer(
        view=view,
        pid=pid,
        fresh_until=fresh_until,
        deadline=deadline,
        admits=admits,
        era=era,
        quiet=quiet,
    )
