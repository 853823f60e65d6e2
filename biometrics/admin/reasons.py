"""Verbs that act on selected rows: say what will happen, ask why, then do it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from unfold.admin import ModelAdmin
from unfold.widgets import UnfoldAdminTextInputWidget

from biometrics import waiting


class ReasonForm(forms.Form):
    """The one thing that every verb asks."""

    reason = forms.CharField(
        min_length=3,
        max_length=300,
        help_text="Kept in the audit for good: no measured values.",
        widget=UnfoldAdminTextInputWidget,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Verb:
    """A bulk verb. `effect` is the sentence shown before it is done.

    `act` gets what the form was given. `plan`, where there is one, tells in lines what
    it would change with these rows.
    """

    name: str
    title: str
    effect: str
    act: Callable[[HttpRequest, QuerySet[Any], Mapping[str, Any]], str]
    form: type[ReasonForm] = ReasonForm
    plan: Callable[[QuerySet[Any]], list[str]] | None = None


def confirm(
    admin: ModelAdmin[Any], request: HttpRequest, rows: QuerySet[Any], verb: Verb
) -> HttpResponse | None:
    """Show the page that asks for a reason, or do the verb when one was given."""
    form = verb.form(request.POST if "reason" in request.POST else None)
    if form.is_valid():
        done = verb.act(request, rows, form.cleaned_data)
        messages.success(request, done)
        return None
    context = {
        **admin.admin_site.each_context(request),
        "title": verb.title,
        "verb": verb,
        "form": form,
        "count": waiting.told(waiting.count(rows)),
        "plan": verb.plan(rows) if verb.plan is not None else [],
        "ids": request.POST.getlist(ACTION_CHECKBOX_NAME),
        "checkbox_name": ACTION_CHECKBOX_NAME,
    }
    return TemplateResponse(request, "admin/biometrics/confirm.html", context)
