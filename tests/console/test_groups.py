"""Whoever is in a group may look at every table, those that came later too."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group

from biometrics import models


@pytest.mark.django_db
@pytest.mark.parametrize("group", ["viewer", "operator", "clinician", "admin"])
def test_a_group_may_look_at_every_table(group: str) -> None:
    granted = set(
        Group.objects.get(name=group).permissions.values_list("codename", flat=True)
    )
    # What has no page of its own has no permission either.
    wanted = {
        f"view_{name.lower()}"
        for name in models.__all__
        if "view" in getattr(models, name)._meta.default_permissions
    }
    if group == "viewer":
        # Who is told of alerts, and where: not for everybody (test_subscriptions.py).
        wanted -= {"view_alertsubscription", "view_alertnotice"}
    assert wanted <= granted
