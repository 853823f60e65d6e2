"""Every address of the admin, filled in with rows that there are.

Taken from the URL configuration: a page that is added later is among them, and one whose
arguments nobody filled in fails the tests that go over all of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.urls import URLPattern, URLResolver, reverse

from biometrics.models import HrvAlert, ReplayRun, Subject, WebhookDelivery

_BREAKER_ACTIONS = ("open", "disable", "observe", "auto", "reset")
_ROW_PAGES = ("change", "delete", "history")
# Redirects to a row's own site, of which there is none, and the catch-all of the admin.
_NOT_PAGES = {"view_on_site", None}
_QUERIES = {
    "autocomplete": "?app_label=auth&model_name=user&field_name=groups&term=a",
    "biometrics_parked_verb": "?code=unreadable",
    "search": "?s=terra",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """One page: its name in the URL configuration, and where it is."""

    name: str
    url: str

    def __str__(self) -> str:
        return self.url


def all_addresses() -> list[Address]:
    """Return every page that the rows in the database have."""
    found: list[Address] = []
    for pattern in _patterns(admin.site.get_urls()):
        if pattern.name in _NOT_PAGES:
            continue
        name = str(pattern.name)
        for args in _arguments(pattern):
            url = reverse(f"admin:{name}", args=args) + _QUERIES.get(name, "")
            found.append(Address(name=name, url=url))
    return found


def _patterns(patterns: Sequence[Any]) -> Iterator[URLPattern]:
    for one in patterns:
        if isinstance(one, URLResolver):
            yield from _patterns(one.url_patterns)
        else:
            yield one


def _arguments(pattern: URLPattern) -> list[list[Any]]:
    """Return the arguments with which to open a page, each time anew."""
    name = str(pattern.name)
    special = _special(name)
    if special is not None:
        return special
    if not pattern.pattern.regex.groups:
        return [[]]
    app, _, rest = name.partition("_")
    model, _, page = rest.partition("_")
    if page not in _ROW_PAGES:
        message = f"Say in {__name__} with which arguments {name} is opened."
        raise KeyError(message)
    row = apps.get_model(app, model)._default_manager.first()
    return [] if row is None else [[row.pk]]


def _special(name: str) -> list[list[Any]] | None:
    subject = Subject.objects.order_by("label").last()
    person = [] if subject is None else [[subject.pk]]
    found: dict[str, list[list[Any]]] = {
        "app_list": [["biometrics"], ["resilience"], ["auth"]],
        "auth_user_password_change": [[row.pk] for row in User.objects.all()[:1]],
        "biometrics_hrvalert_acknowledge": [[x.pk] for x in HrvAlert.objects.all()[:1]],
        "biometrics_parked_verb": [
            ["deliveries", "retry"],
            ["deliveries", "skip"],
            ["queues", "fix"],
            ["queues", "retry"],
            ["queues", "skip"],
        ],
        "biometrics_replay_cancel": [[x.pk] for x in ReplayRun.objects.all()[:1]],
        "biometrics_replay_confirm": [[x.pk] for x in ReplayRun.objects.all()[:1]],
        "biometrics_webhookdelivery_body": [
            [x.pk] for x in WebhookDelivery.objects.all()[:1]
        ],
        "biometrics_subject_connect": person,
        "biometrics_subject_erase": person,
        "biometrics_subject_reveal": person,
        "biometrics_subject_tuning": person,
        "resilience_breakermode_action": [
            ["kafka", action] for action in _BREAKER_ACTIONS
        ],
        "resilience_breakermode_detail": [["kafka"]],
    }
    return found.get(name)


def groups() -> list[str]:
    """Return the names of the roles that the migrations make."""
    return list(Group.objects.order_by("name").values_list("name", flat=True))
