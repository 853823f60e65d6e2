"""Accounts and roles, in the console's own look."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, User
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.utils import timezone
from django.utils.text import get_text_list
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp.models import TOTPDevice
from unfold.admin import ModelAdmin
from unfold.decorators import action
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from biometrics import audit
from biometrics.admin import second_factor
from biometrics.admin.reasons import Verb, confirm

admin.site.unregister(User)
admin.site.unregister(Group)
# They would show secrets; everybody has a page for their own.
admin.site.unregister(TOTPDevice)
admin.site.unregister(StaticDevice)


class _Audited:
    """Pages whose changes go into the audit, beside the log of Django's own."""

    audited_as = ""

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        """Note who added somebody or something."""
        self._note(request, obj, "add", "added")
        return super().log_addition(request, obj, message)  # type: ignore[misc]

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        """Note who changed what: the names of the fields, never their values."""
        said = message if isinstance(message, str) else get_text_list(_changed(message))
        self._note(request, obj, "change", f"changed: {said or 'nothing'}")
        return super().log_change(request, obj, message)  # type: ignore[misc]

    def log_deletions(self, request: HttpRequest, queryset: Any) -> Any:
        """Note who deleted somebody or something."""
        for obj in queryset:
            self._note(request, obj, "delete", "deleted")
        return super().log_deletions(request, queryset)  # type: ignore[misc]

    def _note(self, request: HttpRequest, obj: Any, verb: str, reason: str) -> None:
        audit.note(
            actor=request.user.get_username(),
            verb=f"{self.audited_as}.{verb}",
            target=f"{self.audited_as} {obj}",
            reason=reason,
            now=timezone.now(),
        )


def _changed(message: list[dict[str, Any]]) -> list[str]:
    return [
        name for part in message for name in part.get("changed", {}).get("fields", [])
    ]


@admin.register(User)
class StaffAdmin(_Audited, UserAdmin, ModelAdmin):  # type: ignore[type-arg]
    """People who may sign in."""

    audited_as = "staff"
    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    filter_horizontal = ()
    autocomplete_fields = ("groups",)
    actions = ("remove_second_factor",)

    def get_urls(self) -> list[Any]:
        """Add everybody's own page about their second factor."""
        view = self.admin_site.admin_view(self.second_factor)
        own = path("second-factor/", view, name="auth_user_second_factor")
        return [own, *super().get_urls()]

    def second_factor(self, request: HttpRequest) -> HttpResponse:
        """Show one's own second factor; no right is needed for it."""
        return second_factor.second_factor(self.admin_site, request)

    @action(description="Remove the second factor", permissions=["change"])
    def remove_second_factor(
        self, request: HttpRequest, queryset: QuerySet[User]
    ) -> HttpResponse | None:
        """Ask for a reason, then let those who lost their app in without a code."""
        verb = Verb(
            name="remove_second_factor",
            title="Remove the second factor",
            effect="The selected people sign in with their password alone until they set "
            "up an app again. Make sure that it is they who ask.",
            act=_remove,
        )
        return confirm(self, request, queryset, verb)


def _remove(request: HttpRequest, rows: QuerySet[Any], said: Mapping[str, Any]) -> str:
    people = [user for user in rows if second_factor.has_second_factor(user)]
    with transaction.atomic():
        for user in people:
            second_factor.forget(user)
            audit.note(
                actor=request.user.get_username(),
                verb="staff.second_factor_off",
                target=f"staff {user.get_username()}",
                reason=said["reason"],
                now=timezone.now(),
            )
    return f"{len(people)} people sign in without a code now."


@admin.register(Group)
class RoleAdmin(_Audited, GroupAdmin, ModelAdmin):
    """What they may do."""

    audited_as = "role"
    filter_horizontal = ()
    autocomplete_fields = ()
