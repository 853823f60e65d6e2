"""A replay from its plan to its end: asked for, confirmed, gone on with, cancelled."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Max

from biometrics import audit
from biometrics.errors import BiometricsError
from biometrics.models import ReplayRun, WebhookDelivery
from biometrics.models.replay import ReplayState
from biometrics.replay import pieces
from biometrics.replay.selection import Selection, count

# It is the vendor's name of a person; the audit outlives an erasure.
_NOT_AUDITED = "account_id"


class ReplayError(BiometricsError):
    """A replay cannot be had as asked; the text says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What an advance did: `is_working` when there is more to do, now or soon."""

    is_working: bool = False
    handed: int = 0


def plan(selection: Selection, *, actor: str, now: datetime) -> ReplayRun:
    """Have the workers find out what a replay would change; nothing else is written."""
    return _new(selection, actor=actor, now=now, state=ReplayState.PLANNING)


def begin(selection: Selection, *, actor: str, reason: str, now: datetime) -> ReplayRun:
    """Replay without a plan. Raises ReasonMissingError."""
    with transaction.atomic():
        run = _new(selection, actor=actor, now=now, state=ReplayState.RUNNING)
        _confirmed(run, actor=actor, reason=reason, now=now)
    return run


def confirm(run_id: int, *, actor: str, reason: str, now: datetime) -> ReplayRun:
    """Do what was planned. Raises ReplayError and ReasonMissingError.

    When the deliveries meant are not as many as the plan counted, it is made anew and
    has to be confirmed again.
    """
    with transaction.atomic():
        run = _locked(run_id)
        if run.state != ReplayState.PLANNED:
            message = f"It is {run.state}: only a finished plan can be confirmed."
            raise ReplayError(message)
        selection = Selection.from_json(run.selection)
        counted = _counted(selection, through_id=run.through_id)
        moved = counted != run.counted
        if moved:
            _start_over(run, counted=counted)
        else:
            _confirmed(run, actor=actor, reason=reason, now=now)
    if moved:
        message = (
            "The deliveries meant have changed since the plan: it is made anew. Look at "
            "it and confirm again."
        )
        raise ReplayError(message)
    return run


def cancel(run_id: int, *, actor: str, reason: str, now: datetime) -> ReplayRun:
    """Hand over no more; what was handed over goes on. Raises ReplayError."""
    with transaction.atomic():
        run = _locked(run_id)
        if run.state in {ReplayState.DONE, ReplayState.CANCELLED}:
            message = f"It is {run.state} already."
            raise ReplayError(message)
        run.state = ReplayState.CANCELLED
        run.finished_at = now
        run.save()
        audit.note(
            actor=actor,
            verb="replay.cancel",
            target=f"replay {run.pk}",
            reason=reason,
            now=now,
            detail={"handed_over": run.handed, "of": run.total},
        )
    return run


def advance(*, now: Callable[[], datetime], budget_s: float) -> Step:
    """Go on with the oldest run and the oldest plan, for about `budget_s`.

    Any number of workers may call it at once: one of them works on a run at a time.
    """
    handed, is_working = 0, False
    running = _oldest(ReplayState.RUNNING)
    if running is not None:
        handed, is_working = pieces.hand_over(running, now=now()), True
    until = time.monotonic() + budget_s
    while (planning := _oldest(ReplayState.PLANNING)) is not None:
        is_working = True
        if not pieces.compare(planning) or time.monotonic() >= until:
            break
    return Step(is_working=is_working, handed=handed)


def audited(selection: Selection) -> dict[str, Any]:
    """Return of what was chosen what the audit keeps."""
    said = {k: v for k, v in selection.as_json().items() if k != _NOT_AUDITED}
    return {**said, **audit.named("ids", selection.ids)} if selection.ids else said


def _new(
    selection: Selection, *, actor: str, now: datetime, state: ReplayState
) -> ReplayRun:
    newest = WebhookDelivery.objects.aggregate(id=Max("id"))["id"] or 0
    counted = _counted(selection, through_id=newest)
    return ReplayRun.objects.create(
        selection=selection.as_json(),
        state=state,
        actor=actor[:150],
        through_id=newest,
        counted=counted,
        total=sum(n for _, _, n in counted),
        created_at=now,
    )


def _counted(selection: Selection, *, through_id: int) -> list[list[Any]]:
    found = count(selection, through_id=through_id)
    return [[vendor, status, n] for (vendor, status), n in sorted(found.items())]


def _locked(run_id: int) -> ReplayRun:
    run = ReplayRun.objects.select_for_update().filter(pk=run_id).first()
    if run is None:
        message = f"There is no replay {run_id}."
        raise ReplayError(message)
    return run


def _oldest(state: ReplayState) -> int | None:
    runs = ReplayRun.objects.filter(state=state).order_by("id")
    return runs.values_list("id", flat=True).first()


def _confirmed(run: ReplayRun, *, actor: str, reason: str, now: datetime) -> None:
    """Let the run begin, and write down who wanted it and why."""
    run.state = ReplayState.RUNNING
    run.reason = reason[:500]
    run.confirmed_at = now
    run.save()
    chosen = audited(Selection.from_json(run.selection))
    audit.note(
        actor=actor,
        verb="delivery.replay",
        target=f"replay {run.pk}: {run.total} deliveries",
        reason=reason,
        now=now,
        detail={
            "chosen": chosen,
            "deliveries": {f"{v} {status}": n for v, status, n in run.counted},
        },
    )


def _start_over(run: ReplayRun, *, counted: list[list[Any]]) -> None:
    run.state = ReplayState.PLANNING
    run.counted = counted
    run.total = sum(n for _, _, n in counted)
    run.plan = {}
    run.planned = 0
    run.planned_to = 0
    run.save()
