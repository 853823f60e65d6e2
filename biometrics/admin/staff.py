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


@admin.register(User)
class StaffAdmin(UserAdmin, ModelAdmin):  # type: ignore[type-arg]
    """People who may sign in."""

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
class RoleAdmin(GroupAdmin, ModelAdmin):
    """What they may do."""

    filter_horizontal = ()
    autocomplete_fields = ()
