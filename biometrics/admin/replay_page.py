"""What the page of one replay shows: the plan or the progress, in words and numbers."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db.models.functions import Length
from django.http import HttpRequest
from django.urls import reverse
from django.utils.safestring import SafeString

from biometrics.admin.reasons import ReasonForm
from biometrics.admin.reveal import WITHHELD, is_revealed, may_reveal, offer
from biometrics.admin.shown import link
from biometrics.admin.words import plural
from biometrics.models import AuditEntry, ReplayRun, WebhookDelivery
from biometrics.models.replay import ReplayState
from biometrics.replay.comparing import Change, Preview
from biometrics.replay.selection import Selection
from biometrics.trails import people_of

# Reading them again must not slow the page.
_EXAMPLES = 5
_EXAMPLE_BYTES = 256 * 1024
_STEPS = {
    ReplayState.PLANNING: "Step 2 of 3: the plan is being made",
    ReplayState.PLANNED: "Step 2 of 3: look at the plan",
    ReplayState.RUNNING: "Step 3 of 3: it runs",
    ReplayState.DONE: "Done",
    ReplayState.CANCELLED: "Cancelled",
}
_FATES = {
    "processed": "read",
    "partial": "read, some values left out",
    "ignored": "ignored on purpose",
    "to_fetch": "fetched from the vendor first",
    "unlinked": "wait for their account",
    "worker_killed": "left out of the plan: they end their worker",
}
_OUTCOMES = {
    "new": "published anew, as a new revision",
    "unchanged": "unchanged, nothing happens",
    "stale": "older than what stands, nothing is published",
    "seen": "known already, nothing happens",
}


def page(request: HttpRequest, run: ReplayRun, *, may_act: bool) -> dict[str, Any]:
    """Return the page's context."""
    selection, found = Selection.from_json(run.selection), Preview.from_json(run.plan)
    is_plan = run.state in {ReplayState.PLANNING, ReplayState.PLANNED}
    return {
        "run": run,
        "step": _STEPS[ReplayState(run.state)],
        "sentence": _sentence(run, found),
        "chosen": chosen(run),
        "command": selection.as_command(),
        "at": run.planned if is_plan else run.done,
        "live": f"replay_{run.pk}",
        "plan": _plan(found),
        "plan_title": "What would become of them" if is_plan else "What the plan said",
        "examples": _examples(request, run, found),
        "ends": sorted(run.outcomes.items()),
        "may_act": may_act,
        "form": ReasonForm(),
        "audit": _audit(request, run),
        "end": _cancelled(run),
    }


def chosen(run: ReplayRun) -> str:
    """Say in a few words which deliveries are meant."""
    said = dict(run.selection)
    ids = said.pop("ids", [])
    words = [f"{name.replace('_', ' ')} {value}" for name, value in said.items()]
    if ids:
        words.append("1 delivery" if len(ids) == 1 else f"{len(ids)} deliveries")
    return ", ".join(words) or "everything that is stored"


def _sentence(run: ReplayRun, found: Preview) -> str:
    match run.state:
        case ReplayState.PLANNING:
            return (
                "The workers compare what is stored with what today's mapping says. "
                "Nothing is changed."
            )
        case ReplayState.PLANNED if not run.total:
            return (
                "Nothing matches. Raw bodies are kept for RAW_RETENTION_DAYS, and what "
                "waits or is erased cannot be replayed."
            )
        case ReplayState.PLANNED:
            return (
                f"{plural(found.changed, 'record')} would be stored and published anew; the rest "
                "stays as it is."
            )
        case ReplayState.RUNNING:
            return (
                "The workers read the deliveries, a piece at a time; live traffic goes "
                "on. It goes on by itself, whatever process ends."
            )
    read = plural(run.total, "delivery", "deliveries")
    return f"{run.done} of {read} read; {plural(run.changed, 'record')} changed."


def _plan(found: Preview) -> dict[str, list[dict[str, Any]]]:
    return {
        "deliveries": [
            {"what": f"{vendor}: {_FATES.get(fate, f'parked, {fate}')}", "n": n}
            for (vendor, fate), n in sorted(found.deliveries.items())
        ],
        "records": [
            {"what": f"{vendor} {kind}: {_OUTCOMES[outcome]}", "n": n}
            for (vendor, kind, outcome), n in sorted(found.records.items())
        ],
        "fields": [
            {"what": f"{vendor} {kind}: {path}", "n": n}
            for (vendor, kind, path), n in found.fields.most_common(50)
        ],
    }


def _examples(
    request: HttpRequest, run: ReplayRun, found: Preview
) -> list[dict[str, Any]]:
    """Read a few deliveries again and show what would differ in them.

    Values are sent only for people whose values this person has revealed.
    """
    if run.state != ReplayState.PLANNED or not found.examples:
        return []
    rows = (
        WebhookDelivery.objects.filter(pk__in=found.examples, body__isnull=False)
        .annotate(size=Length("body"))
        .filter(size__lte=_EXAMPLE_BYTES)
        .order_by("id")
    )
    here = reverse("admin:biometrics_replayrun_change", args=[run.pk])
    shown: dict[int, Change] = {}
    for change in Preview().add(list(rows[:_EXAMPLES])):
        # One record of each: a delivery may hold a hundred that differ alike.
        shown.setdefault(change.delivery.pk, change)
    people = people_of([change.delivery for change in shown.values()])
    return [
        _example(request, change, whose=people.get(pk), here=here)
        for pk, change in shown.items()
    ]


def _example(
    request: HttpRequest, change: Change, *, whose: UUID | None, here: str
) -> dict[str, Any]:
    """Return one; its values are the former person's where the account was handed on."""
    key = whose or change.delivery.public_id
    shown = is_revealed(request, key)
    return {
        "title": f"{change.vendor} {change.record_type}",
        "delivery": link(change.delivery, change.delivery.public_id),
        "is_revealed": shown,
        "hidden": "" if shown else _hidden(request, key, here=here),
        "fields": [
            {
                "path": one.path,
                "before": one.before if shown else None,
                "after": one.after if shown else None,
            }
            for one in change.fields
        ],
    }


def _hidden(request: HttpRequest, key: UUID, *, here: str) -> SafeString | str:
    return offer(key, here=here) if may_reveal(request) else WITHHELD


def _cancelled(run: ReplayRun) -> AuditEntry | None:
    """Return who ended it, and why."""
    if run.state != ReplayState.CANCELLED:
        return None
    entries = AuditEntry.objects.filter(target=f"replay {run.pk}", verb="replay.cancel")
    return entries.order_by("-at").first()


def _audit(request: HttpRequest, run: ReplayRun) -> str:
    if not request.user.has_perm("biometrics.view_auditentry") or not run.reason:
        return ""
    return f"{reverse('admin:biometrics_auditentry_changelist')}?q=delivery.replay"
