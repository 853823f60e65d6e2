"""What all pages of the console share: read-only, and cheap on big tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar
from uuid import UUID

from django.contrib.admin import ShowFacets
from django.core.exceptions import FieldDoesNotExist
from django.db.models import Model, Q, QuerySet, UUIDField
from django.db.models.constants import LOOKUP_SEP
from django.http import HttpRequest, HttpResponse
from django.utils.http import url_has_allowed_host_and_scheme
from unfold.admin import ModelAdmin
from unfold.paginator import InfinitePaginator

from biometrics.admin.viewer import may_view

ModelT = TypeVar("ModelT", bound=Model)


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


def safe_next(request: HttpRequest, *, default: str) -> str:
    """Return the address in `next` where it is one of ours, else the default."""
    asked = request.GET.get("next", "")
    if url_has_allowed_host_and_scheme(asked, allowed_hosts={request.get_host()}):
        return asked
    return default
