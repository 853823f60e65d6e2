"""Health values stay hidden until somebody with the right says why they must be seen."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any, TypeVar
from urllib.parse import urlencode, urlsplit
from uuid import UUID

from django.contrib import messages
from django.contrib.admin import AdminSite
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import Resolver404, resolve, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.decorators import display

from biometrics import audit
from biometrics.admin.base import ReadOnlyAdmin, safe_next
from biometrics.admin.reasons import ReasonForm
from biometrics.models import Subject

ModelT = TypeVar("ModelT", bound=Model)

PERMISSION = "biometrics.reveal_subject"
_FOR = timedelta(minutes=15)
_SESSION_KEY = "revealed"
MASK = "•••"
WITHHELD = f"{MASK} (shown to staff with the right to reveal)"
_PLACES = ("hidden_values", "withheld_values")


def may_reveal(request: HttpRequest) -> bool:
    """Say whether this person may see health values at all."""
    return bool(request.user.has_perm(PERMISSION))


def is_revealed(request: HttpRequest, key: object) -> bool:
    """Say whether this person revealed these values less than 15 minutes ago."""
    until = request.session.get(_SESSION_KEY, {}).get(str(key))
    if until is None or not may_reveal(request):
        return False
    return timezone.now() < datetime.fromtimestamp(until, tz=UTC)


class HidingAdmin(ReadOnlyAdmin[ModelT]):
    """A page that sends `health_fields` only after a reveal of whom they speak.

    Before it the values are not in the answer at all, not merely invisible. A field in
    `without_values` has another one in its place then, which holds what is no value.
    """

    health_fields: tuple[str, ...] = ()
    without_values: Mapping[str, str] = MappingProxyType({})

    def is_shown(self, request: HttpRequest, row: ModelT) -> bool:
        """Say whether this person may see the row's values now."""
        return is_revealed(request, self.whom(row))

    def whom(self, row: ModelT) -> UUID:
        """Return the id under which the values are revealed: the row's person's."""
        person: UUID = row.subject_id  # type: ignore[attr-defined]
        return person

    def get_readonly_fields(
        self, request: HttpRequest, obj: ModelT | None = None
    ) -> Any:
        """Add the places that stand where values are hidden."""
        own = super().get_readonly_fields(request, obj)
        return (*own, *self.without_values.values(), *_PLACES)

    def get_fieldsets(self, request: HttpRequest, obj: ModelT | None = None) -> Any:
        """Put one line in the place of the values until they are revealed."""
        fieldsets = super().get_fieldsets(request, obj)
        if obj is None or self.is_shown(request, obj):
            return fieldsets
        place = _PLACES[0] if may_reveal(request) else _PLACES[1]
        return [
            (title, {**options, "fields": self._masked(options["fields"], place)})
            for title, options in fieldsets
        ]

    def _masked(self, fields: Any, place: str) -> list[Any]:
        others = {**dict.fromkeys(self.health_fields, place), **self.without_values}
        kept = [others.get(name, name) for name in fields]
        return list(dict.fromkeys(kept))

    @display(description="Health values")
    def hidden_values(self, row: ModelT) -> SafeString:
        """Offer to reveal, and come back here."""
        opts = self.model._meta  # noqa: SLF001 - Django's own way to the label
        here = reverse(
            f"admin:{opts.app_label}_{opts.model_name}_change", args=[row.pk]
        )
        return offer(self.whom(row), here=here)

    @display(description="Health values")
    def withheld_values(self, _row: ModelT) -> str:
        """Say why nothing is shown."""
        return WITHHELD


def _whom_and_what(key: UUID, back: str) -> dict[str, Any]:
    """Return the target and the detail of a reveal: of whom, what, asked on which page."""
    is_person = Subject.objects.filter(pk=key).exists()
    of_whom = "all of the person" if is_person else "the bytes of the delivery"
    return {
        "target": audit.of_subject(key) if is_person else f"delivery {key}",
        "detail": {
            "what": f"health values: {of_whom}, for 15 minutes",
            "asked_on": _page(back),
        },
    }


def _page(address: str) -> str:
    """Name a page of ours as its row, else as its address says."""
    path = urlsplit(address).path
    try:
        match = resolve(path)
    except Resolver404:
        return path
    name = (match.url_name or "").removesuffix("_change").partition("_")[2]
    row = match.kwargs.get("object_id", "")
    return f"{name} {row}" if name and row else path


def offer(key: UUID, *, here: str) -> SafeString:
    """Return what stands for hidden values: a way to reveal them and come back."""
    there = reverse("admin:biometrics_subject_reveal", args=[key])
    return format_html(
        '{} <a class="text-link" href="{}?{}">Reveal</a>',
        *(MASK, there, urlencode({"next": here})),
    )


def reveal(site: AdminSite, request: HttpRequest, key: UUID) -> HttpResponse:
    """Ask for a reason, write it down, and show the values for 15 minutes."""
    if not may_reveal(request):
        raise PermissionDenied
    form = ReasonForm(request.POST or None)
    back = safe_next(request, default=reverse("admin:index"))
    if form.is_valid():
        now = timezone.now()
        audit.note(
            actor=request.user.get_username(),
            verb="values.reveal",
            reason=form.cleaned_data["reason"],
            now=now,
            **_whom_and_what(key, back),
        )
        known = request.session.get(_SESSION_KEY, {})
        open_ones = {k: until for k, until in known.items() if until > now.timestamp()}
        until = (now + _FOR).timestamp()
        request.session[_SESSION_KEY] = {**open_ones, str(key): until}
        messages.success(request, "Revealed for 15 minutes; the audit says why.")
        return HttpResponseRedirect(back)
    context = {
        **site.each_context(request),
        "title": "Reveal health values",
        "form": form,
        "back": back,
        "is_person": Subject.objects.filter(pk=key).exists(),
    }
    return TemplateResponse(request, "admin/biometrics/reveal.html", context)
