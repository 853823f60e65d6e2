"""What staff do with deliveries: retry what is parked, replay what was read before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from biometrics import parked
from biometrics.admin.reasons import Verb
from biometrics.admin.words import plural
from biometrics.replay import runs
from biometrics.replay.comparing import Preview
from biometrics.replay.selection import Selection


def _plan(rows: QuerySet[Any]) -> list[str]:
    """Tell by vendor and record type what the replay would find."""
    found = Preview()
    found.add(list(_selection(rows).rows().order_by("id")))
    fates = [f"{v}: {n} {fate}" for (v, fate), n in sorted(found.deliveries.items())]
    records = [
        f"{vendor} {record_type}: {n} {outcome}"
        for (vendor, record_type, outcome), n in sorted(found.records.items())
    ]
    fields = [
        f"{vendor} {record_type}: {path} differs in {n}"
        for (vendor, record_type, path), n in sorted(found.fields.items())
    ]
    return [*fates, *records, *fields] or [
        "None of them can be replayed (no bytes, or waiting)."
    ]


def _selection(rows: QuerySet[Any]) -> Selection:
    return Selection(ids=list(rows.values_list("public_id", flat=True)))


def _replay(request: HttpRequest, rows: QuerySet[Any], said: Mapping[str, Any]) -> str:
    run = runs.begin(
        _selection(rows),
        actor=request.user.get_username(),
        reason=said["reason"],
        now=timezone.now(),
    )
    read = plural(run.total, "delivery", "deliveries")
    return f"To be read again: {read}, as replay {run.pk}."


def _retry(request: HttpRequest, rows: QuerySet[Any], said: Mapping[str, Any]) -> str:
    count = parked.retry_deliveries(
        rows,
        actor=request.user.get_username(),
        reason=said["reason"],
        now=timezone.now(),
    )
    return f"Due again: {plural(count, 'delivery', 'deliveries')}."


RETRY = Verb(
    name="retry_parked",
    title="Retry",
    effect="The parked ones among the selected deliveries are worked on again, from "
    "their stored bytes. What they already published is not repeated.",
    act=_retry,
)
REPLAY = Verb(
    name="replay_selected",
    title="Replay",
    effect="The stored bytes of the selected deliveries are read again with today's "
    "mapping. Only what says something new is stored and published.",
    act=_replay,
    plan=_plan,
)
