"""What all pages of the console share: read-only, cheap on big tables, linked."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import wraps
from typing import Any, TypeVar
from urllib.parse import urlencode
from uuid import UUID

from django.contrib.admin import ShowFacets
from django.core.exceptions import FieldDoesNotExist
from django.db.models import Model, Q, QuerySet, UUIDField
from django.db.models.constants import LOOKUP_SEP
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin
from unfold.paginator import InfinitePaginator

from biometrics.admin.viewer import may_view
from biometrics.models import Subject

ModelT = TypeVar("ModelT", bound=Model)
AdminT = TypeVar("AdminT")
ShownT = TypeVar("ShownT")

NOTHING = "-"
NOT_KEPT = "Not kept any more (retention)."
_PRETTY_LIMIT = 20_000


class ReadOnlyAdmin(ModelAdmin[ModelT]):
    """A console page: nobody adds, edits or deletes rows here.

    Lists never count a table: pages are found by a look one row ahead. They do not load
    the columns in `left_out_of_lists`, which may hold megabytes a row.
    """

    left_out_of_lists: tuple[str, ...] = ()
    # Fields and columns that show rows of other tables: only to who may see those.
    of_others: Mapping[str, type[Model]] = {}
    # Columns by which pages link to this list although it has no filter of them.
    linked_by: tuple[str, ...] = ()
    # What an empty list says: what it means, or what to do.
    nothing_yet = "Nothing has come here yet."

    paginator = InfinitePaginator
    show_full_result_count = False
    show_facets = ShowFacets.NEVER
    list_per_page = 25
    list_disable_select_all = True
    list_filter_submit = True

    def get_list_display(self, request: HttpRequest) -> Any:
        """Leave out columns about tables that this person may not see."""
        return self._seen(super().get_list_display(request))

    def get_sortable_by(self, request: HttpRequest) -> list[Any]:
        """Offer to sort by columns that name their order: an index has it.

        Django offers every column, and a million rows are not sorted for a page.
        """
        shown = self.get_list_display(request)
        return [
            name
            for name in shown
            if getattr(getattr(self, str(name), None), "admin_order_field", None)
        ]

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Leave out fields about tables that this person may not see."""
        kept = [
            (title, {**options, "fields": self._seen(options["fields"])})
            for title, options in super().get_fieldsets(request, obj)
        ]
        return [one for one in kept if one[1]["fields"]]

    def _seen(self, names: Iterable[Any]) -> list[Any]:
        others = self.of_others
        return [name for name in names if name not in others or may_view(others[name])]

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return False: rows come from the flow alone."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return False, which makes Django show plain text instead of fields."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Return False: retention and erasure delete, not a page."""
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[ModelT]:
        """Leave heavy columns out where only lists are shown."""
        rows: QuerySet[ModelT] = super().get_queryset(request)
        match = request.resolver_match
        is_list = match is not None and (match.url_name or "").endswith("_changelist")
        return rows.defer(*self.left_out_of_lists) if is_list else rows

    def lookup_allowed(
        self, lookup: str, value: str, request: HttpRequest | None = None
    ) -> bool:
        """Let an address ask for what the list has filters of, and for nothing else.

        Django allows each column of the table, and whoever may ask which values are
        below 40 needs no reveal.
        """
        name = lookup.partition(LOOKUP_SEP)[0]
        try:
            self.model._meta.get_field(name)  # noqa: SLF001 - Django's own way to fields
        except FieldDoesNotExist:
            return bool(super().lookup_allowed(lookup, value, request))
        return name in {*self.linked_by, *map(_filtered, self.list_filter)}

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[ModelT], search_term: str
    ) -> tuple[QuerySet[ModelT], bool]:
        """Look for the whole term, as what each of `search_fields` is.

        Django's own search compares an id as text, for which no index is of use.
        """
        term = search_term.strip()
        if term and self.search_fields:
            found = Q(pk__in=[])
            for path in self.search_fields:
                found |= _named(self.model, path, term)
            queryset = queryset.filter(found)
        return queryset, False

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> ModelT | None:
        """Load a page's row once, with all that was looked up for it (`once`)."""
        kept = request.__dict__.setdefault("_rows_of_the_page", {})
        key = (self.model, str(object_id), from_field)
        if key not in kept:
            kept[key] = super().get_object(request, object_id, from_field)
        found: ModelT | None = kept[key]
        return found

    def page_context(self, request: HttpRequest, row: ModelT) -> dict[str, Any]:
        """Return what the templates beside the fields of a row's page ask for."""
        return {}

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Show the page with its own context; Django checks the right to it."""
        row = self.get_object(request, object_id)
        own = {} if row is None else self.page_context(request, row)
        context = {**(extra_context or {}), **own}
        page: HttpResponse = super().change_view(request, object_id, form_url, context)
        return page

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """Say whether this person may use the page's verbs."""
        opts = self.model._meta  # noqa: SLF001 - Django's own way to the label
        user = request.user
        return bool(user.has_perm(f"{opts.app_label}.change_{opts.model_name}"))


def _filtered(one: Any) -> str:
    """Return the column, or the name in the address, of an entry of `list_filter`."""
    name = one[0] if isinstance(one, tuple) else one
    return str(getattr(name, "parameter_name", name))


def _named(model: type[Model], path: str, term: str) -> Q:
    """Return the condition that a search field, with its lookup, sets to a term."""
    *way, _lookup = path.split("__")
    field: Any = None
    for name in way:
        field = model._meta.get_field(name)  # noqa: SLF001 - Django's own way to fields
        model = field.related_model or model
    if isinstance(field, UUIDField):
        try:
            return Q(**{"__".join(way): UUID(term)})
        except ValueError:
            return Q(pk__in=[])
    return Q(**{path: term})


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


def safe_next(request: HttpRequest, *, default: str) -> str:
    """Return the address in `next` where it is one of ours, else the default."""
    asked = request.GET.get("next", "")
    if url_has_allowed_host_and_scheme(asked, allowed_hosts={request.get_host()}):
        return asked
    return default


def bullets(items: list[SafeString | str]) -> SafeString | str:
    """Return items one below the other, a dash for none."""
    if not items:
        return NOTHING
    return format_html_join(SafeString("<br>"), "{}", ((item,) for item in items))


def first(rows: QuerySet[ModelT], limit: int = 50) -> list[ModelT]:
    """Return the first rows of a related set; a page never loads an unbounded one."""
    return list(rows[:limit])
