"""A person's alert settings are changed on a page, with a right and a reason."""

from __future__ import annotations

import re
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

from django.contrib.auth.models import Group, User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from biometrics.models import AuditEntry, HrvTuning
from tests.console.test_pages import page_url


def decide(client: Client, world: SimpleNamespace, **said: Any) -> Any:
    url = reverse("admin:biometrics_subject_tuning", args=[world.subject.pk])
    whole = {"threshold_offset": "0", "muted_until": "", "reason": "talked", **said}
    if "seen" not in whole:
        whole["seen"] = seen(client, world)
    return client.post(url, whole)


def seen(client: Client, world: SimpleNamespace) -> str:
    """Return what the page says of itself, as a browser sends it back."""
    url = reverse("admin:biometrics_subject_tuning", args=[world.subject.pk])
    page = client.get(url).content.decode()
    found = re.search(r'name="seen"[^>]*value="([^"]*)"', page)
    return found[1] if found else ""


def person_page(client: Client, world: SimpleNamespace) -> str:
    return client.get(page_url("subject", world.subject.pk)).content.decode()


def test_thresholds_are_lowered_with_a_reason(
    admin_client: Client, world: SimpleNamespace
) -> None:
    assert "as for everybody" in person_page(admin_client, world)
    assert decide(admin_client, world, threshold_offset="0.25").status_code == 302
    tuning = HrvTuning.objects.get()
    assert (tuning.threshold_offset, tuning.muted_until) == (0.25, None)
    assert (tuning.changed_by, tuning.reason) == ("ops", "talked")
    assert "thresholds 0.25 SD lower" in person_page(admin_client, world)
    assert AuditEntry.objects.filter(verb="hrv.offset", actor="ops").exists()


def test_muting_has_an_end_date(admin_client: Client, world: SimpleNamespace) -> None:
    until = timezone.now().date() + timedelta(days=3)
    decide(admin_client, world, muted_until=until.isoformat())
    assert HrvTuning.objects.get().muted_until == until
    assert f"muted until {until}" in person_page(admin_client, world)
    decide(admin_client, world)
    assert HrvTuning.objects.get().muted_until is None
    verbs = AuditEntry.objects.filter(verb__startswith="hrv.").order_by("id")
    assert [entry.verb for entry in verbs] == ["hrv.mute", "hrv.unmute"]


def test_what_makes_no_sense_is_refused_at_its_field(
    admin_client: Client, world: SimpleNamespace
) -> None:
    late = timezone.now().date() + timedelta(days=91)
    for said in (
        {"threshold_offset": "9"},
        {"muted_until": late.isoformat()},
        {"muted_until": "never"},
        {"threshold_offset": "0.5", "reason": ""},
    ):
        assert decide(admin_client, world, **said).status_code == 200
    assert not HrvTuning.objects.exists()


def test_an_old_page_does_not_undo_a_colleague_s_decision(
    admin_client: Client, world: SimpleNamespace
) -> None:
    before = seen(admin_client, world)
    until = timezone.now().date() + timedelta(days=3)
    decide(admin_client, world, muted_until=until.isoformat())
    late = decide(admin_client, world, threshold_offset="0.25", seen=before)
    assert late.status_code == 200
    assert "Somebody has changed" in late.content.decode()
    tuning = HrvTuning.objects.get()
    assert (tuning.muted_until, tuning.threshold_offset) == (until, 0.0)


def test_nothing_new_writes_nothing(
    admin_client: Client, world: SimpleNamespace
) -> None:
    decide(admin_client, world)
    assert not HrvTuning.objects.exists()


def test_an_operator_may_not(world: SimpleNamespace) -> None:
    operator = User.objects.create_user("op", password="x", is_staff=True)
    operator.groups.add(Group.objects.get(name="operator"))
    client = Client()
    client.force_login(operator)
    assert decide(client, world, threshold_offset="0.25").status_code == 403
    assert not HrvTuning.objects.exists()
