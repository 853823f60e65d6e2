"""How pages show values and name other rows: links, times, lists, stored bytes."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from functools import wraps
from typing import Any, TypeVar
from urllib.parse import urlencode

from django.db.models import Model, QuerySet
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from biometrics.admin.viewer import may_view
from biometrics.models import Subject

ModelT = TypeVar("ModelT", bound=Model)
AdminT = TypeVar("AdminT")
ShownT = TypeVar("ShownT")

NOTHING = "-"
NOT_KEPT = "Not kept any more (retention)."
_PRETTY_LIMIT = 20_000


def once(
    show: Callable[[AdminT, ModelT], ShownT],
) -> Callable[[AdminT, ModelT], ShownT]:
    """Show a row's field once for each page: the theme asks for it five times."""

    @wraps(show)
    def kept(self: AdminT, row: ModelT) -> ShownT:
        shown = row.__dict__.setdefault("_shown", {})
        if show.__name__ not in shown:
            shown[show.__name__] = show(self, row)
        found: ShownT = shown[show.__name__]
        return found

    return kept


def link(target: Model | None, text: object = None) -> SafeString | str:
    """Return a link to an object's page, a dash where there is none.

    Who may not see the object gets a dash too, but for a person the name alone: it says
    whose the row is.
    """
    if target is None:
        return NOTHING
    if not may_view(type(target)):
        return str(target) if isinstance(target, Subject) else NOTHING
    opts = target._meta  # noqa: SLF001
    url = reverse(f"admin:{opts.app_label}_{opts.model_name}_change", args=[target.pk])
    return format_html(
        '<a class="text-link" href="{}">{}</a>', url, target if text is None else text
    )


def trail_link(delivery: Model | None) -> SafeString | str:
    """Return a link to the page that tells a delivery's whole way, and says so."""
    return link(delivery, None if delivery is None else f"{delivery}: its whole way")


def connect_link(connection: Any) -> SafeString:
    """Return a link to the page that makes its person a new connect link."""
    url = reverse("admin:biometrics_subject_connect", args=[connection.subject_id])
    text = f"Send {connection.subject} a new connect link"
    return format_html('<a class="text-link" href="{}">{}</a>', url, text)


def list_link(model: type[Model], text: object, **query: object) -> SafeString | str:
    """Return a link to a filtered list; the text alone to who may not see the list."""
    if not may_view(model):
        return str(text)
    opts = model._meta  # noqa: SLF001
    url = reverse(f"admin:{opts.app_label}_{opts.model_name}_changelist")
    terms = urlencode(query)
    return format_html('<a class="text-link" href="{}?{}">{}</a>', url, terms, text)


def pretty(value: object) -> SafeString | str:
    """Return JSON or text as a preformatted block, cut when very long."""
    if value in (None, "", {}, []):
        return NOTHING
    text = (
        value
        if isinstance(value, str)
        else json.dumps(value, indent=2, ensure_ascii=False, default=str)
    )
    if len(text) > _PRETTY_LIMIT:
        left = len(text) - _PRETTY_LIMIT
        text = f"{text[:_PRETTY_LIMIT]}\n… {left} more characters"
    return format_html('<pre class="console-pre">{}</pre>', text)


def pretty_bytes(body: bytes | memoryview | None) -> SafeString | str:
    """Return stored bytes as pretty JSON, as text, or as their size."""
    if body is None:
        return NOT_KEPT
    raw = bytes(body)
    try:
        return pretty(json.loads(raw))
    except ValueError:
        return pretty(raw.decode("utf-8", errors="replace"))


def moment(at: datetime | None) -> SafeString | str:
    """Return a time as 24 h UTC, readable by machines too."""
    if at is None:
        return NOTHING
    return format_html(
        '<time datetime="{}">{}</time>',
        at.isoformat(),
        at.strftime("%Y-%m-%d %H:%M:%S"),
    )


def bullets(items: list[SafeString | str]) -> SafeString | str:
    """Return items one below the other, a dash for none."""
    if not items:
        return NOTHING
    return format_html_join(SafeString("<br>"), "{}", ((item,) for item in items))


def first(rows: QuerySet[ModelT], limit: int = 50) -> list[ModelT]:
    """Return the first rows of a related set; a page never loads an unbounded one."""
    return list(rows[:limit])
