"""The audit as CSV: what the list's filters keep, and a word in the audit about it."""

from __future__ import annotations

import csv
import json
from datetime import datetime
from typing import Any

from django.contrib import messages
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from unfold.admin import ModelAdmin

from biometrics import audit, waiting
from biometrics.admin.audit_words import reason_in_lists
from biometrics.admin.reasons import ReasonForm
from biometrics.models import AuditEntry

MOST_ROWS = 100_000
_COLUMNS = ("at", "actor", "verb", "target", "reason", "detail")
# A spreadsheet takes a cell that begins so for a formula and carries it out.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def export(admin: ModelAdmin[Any], request: HttpRequest) -> HttpResponse:
    """Ask for a reason, note it, and answer with the file; `?…` are the list's filters."""
    if not admin.has_view_permission(request):
        raise PermissionDenied
    try:
        listed = admin.get_changelist_instance(request)
    except IncorrectLookupParameters:
        # As the list itself answers filters that it does not know: without them.
        messages.error(request, "There is no such filter: here is the whole audit.")
        return HttpResponseRedirect(reverse("admin:biometrics_auditentry_changelist"))
    rows = listed.get_queryset(request)
    form = ReasonForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        now = timezone.now()
        # Before the act is noted, so that the file holds what was seen.
        found = list(rows[:MOST_ROWS])
        audit.note(
            actor=request.user.get_username(),
            verb="audit.export",
            target=f"{len(found)} entries",
            reason=form.cleaned_data["reason"],
            now=now,
            detail={"filters": request.GET.urlencode()},
        )
        return _file(found, now=now)
    count = waiting.count(rows, most=MOST_ROWS)
    back = reverse("admin:biometrics_auditentry_changelist")
    query = request.GET.urlencode()
    context = {
        **admin.admin_site.each_context(request),
        "title": "Audit as CSV",
        "count": waiting.told(count, most=MOST_ROWS),
        "is_one": count == 1,
        "most": MOST_ROWS if count > MOST_ROWS else None,
        "filters": query,
        "form": form,
        "back": f"{back}?{query}" if query else back,
    }
    return TemplateResponse(request, "admin/biometrics/audit_export.html", context)


def _file(rows: list[AuditEntry], *, now: datetime) -> HttpResponse:
    answer = HttpResponse(content_type="text/csv; charset=utf-8")
    name = f"audit-{now:%Y%m%d-%H%M%S}.csv"
    answer["Content-Disposition"] = f'attachment; filename="{name}"'
    writer = csv.writer(answer)
    writer.writerow(_COLUMNS)
    for row in rows:
        detail = json.dumps(row.detail, ensure_ascii=False) if row.detail else ""
        cells = (row.actor, row.verb, row.target, reason_in_lists(row), detail)
        writer.writerow([row.at.isoformat(), *(_plain(cell) for cell in cells)])
    return answer


def _plain(cell: str) -> str:
    return f"'{cell}" if cell.startswith(_FORMULA) else cell
