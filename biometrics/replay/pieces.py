"""The pieces of a replay: each is one transaction that holds the run's row.

What was done and how far it went are written together, so a killed worker loses nothing.
A piece hands deliveries to the workers and waits until they have come back, so a replay
never stands before live traffic with more than a piece; and no more than
REPLAY_PER_SECOND are handed over in a second, all replays together.
"""

from __future__ import annotations

import logging
from collections import Counter
from datetime import datetime

from django.conf import settings
from django.db import transaction
from django.db.models import Max
from django.db.models.functions import Length

from biometrics import deliveries, leases, nudges
from biometrics.models import BiometricEvent, ReplayRun, WebhookDelivery
from biometrics.models.events import EventStatus
from biometrics.models.intake import DeliveryStatus
from biometrics.models.replay import ReplayState
from biometrics.replay.comparing import Preview
from biometrics.replay.selection import Selection, portion

logger = logging.getLogger(__name__)

# What a pause leaves unused may be made up for, but not more of it than this.
_BURST_S = 5.0
_PIECE = 2000
_PLAN_ROWS = 50
_PLAN_BYTES = 8 * 1024 * 1024
_KILLS = 3


def hand_over(run_id: int, *, now: datetime) -> int:
    """Take back what is done and hand over the next piece; return how many."""
    with leases.transact():
        run = _free(run_id, state=ReplayState.RUNNING)
        if run is None or not _take_back(run):
            return 0
        limit = _allowed(run, now=now)
        ids = _next_ids(run, limit=limit)
        shards: set[int] = set()
        if ids:
            rows = WebhookDelivery.objects.filter(id__in=ids)
            shards = deliveries.make_due(rows)
            run.cursor = ids[-1]
            run.in_hand = ids
            run.handed += len(ids)
            run.handed_at = now
            run.events_before = _events_of(ids)
        elif limit:
            run.state = ReplayState.DONE
            run.finished_at = now
            logger.info("replay.done", extra={"run": run.pk, "changed": run.changed})
        run.save()
        transaction.on_commit(lambda: nudges.nudge_processing(shards))
    return len(ids)


def _free(run_id: int, *, state: ReplayState) -> ReplayRun | None:
    """Lock the run, unless somebody else works on it or it has gone on meanwhile."""
    runs = ReplayRun.objects.select_for_update(skip_locked=True)
    return runs.filter(pk=run_id, state=state).first()


def _take_back(run: ReplayRun) -> bool:
    """Count how the last piece ended; False while some of it is not worked on yet.

    One that waits for its vendor has been worked on: it goes on by itself.
    """
    if not run.in_hand:
        return True
    rows = WebhookDelivery.objects.filter(id__in=run.in_hand)
    statuses = Counter(rows.values_list("status", flat=True))
    if statuses[DeliveryStatus.PENDING]:
        return False
    outcomes = Counter(run.outcomes)
    outcomes.update(statuses)
    run.outcomes = dict(outcomes)
    run.changed += _events_of(run.in_hand) - run.events_before
    run.in_hand = []
    return True


def _events_of(ids: list[int]) -> int:
    """Count what the deliveries said anew; what was stale changed nothing."""
    events = BiometricEvent.objects.filter(delivery_id__in=ids)
    return events.exclude(status=EventStatus.STALE).count()


def _allowed(run: ReplayRun, *, now: datetime) -> int:
    """Return how many may be handed over now."""
    rate = settings.REPLAY_PER_SECOND
    last = ReplayRun.objects.aggregate(at=Max("handed_at"))["at"]
    waited = _BURST_S if last is None else (now - last).total_seconds()
    return min(_PIECE, int(rate * max(0.0, min(waited, _BURST_S))))


def _next_ids(run: ReplayRun, *, limit: int) -> list[int]:
    rows = portion(
        Selection.from_json(run.selection),
        after=run.cursor,
        through=run.through_id,
        limit=limit,
    )
    return list(rows.select_for_update().values_list("id", flat=True)) if limit else []


def compare(run_id: int) -> bool:
    """Compare the next deliveries with what is stored; False when somebody else does.

    The beginning is noted in a transaction of its own: a delivery that kills its worker
    is then found, alone, and left out of the plan.
    """
    with leases.transact():
        run = _free(run_id, state=ReplayState.PLANNING)
        if run is None:
            return False
        place, begun = run.planned_to, run.begun
        run.is_careful = run.is_careful or begun > 0
        run.begun = begun + 1
        run.save(update_fields=["begun", "is_careful"])
    with leases.transact():
        run = _free(run_id, state=ReplayState.PLANNING)
        if run is None or run.planned_to != place:
            return False
        ids = _sized(run)
        found = Preview.from_json(run.plan)
        if begun >= _KILLS and ids:
            rows = WebhookDelivery.objects.filter(id__in=ids).only("vendor")
            found.deliveries.update((row.vendor, "worker_killed") for row in rows)
        elif ids:
            found.add(list(WebhookDelivery.objects.filter(id__in=ids).order_by("id")))
        run.plan = found.as_json()
        run.planned += len(ids)
        run.planned_to = ids[-1] if ids else run.planned_to
        run.begun = 0
        if not ids:
            run.state = ReplayState.PLANNED
        run.save()
    return True


def _sized(run: ReplayRun) -> list[int]:
    """Return the next deliveries to compare: at least one, not too many bytes."""
    rows = portion(
        Selection.from_json(run.selection),
        after=run.planned_to,
        through=run.through_id,
        limit=1 if run.is_careful else _PLAN_ROWS,
    )
    chosen: list[int] = []
    room = _PLAN_BYTES
    for delivery_id, size in rows.values_list("id", Length("body")):
        room -= size or 0
        if chosen and room < 0:
            break
        chosen.append(delivery_id)
    return chosen
