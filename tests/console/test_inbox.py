"""The inbox: what comes first, what a line says, and one click that settles it."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from uuid import uuid4

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from biometrics.models import AuditEntry, HrvAlert
from tests.console.conftest import NOW

LIST = reverse("admin:biometrics_hrvalert_changelist")


def alert(world: SimpleNamespace, *, severity: str, days: int, **more: object) -> str:
    row = HrvAlert.objects.create(
        **{
            "id": uuid4(),
            "subject": world.subject,
            "night": world.hrvalert.night - timedelta(days=days),
            "series_id": world.hrvalert.series_id,
            "severity": severity,
            "max_severity": severity,
            "reasons": ["R1"],
            "message": "Check in.",
            "ruleset": "hrv-1",
            "raised_at": NOW - timedelta(days=days),
            **more,
        }
    )
    return str(row.pk)


def acknowledge(client: Client, pk: object, **data: str) -> int:
    url = reverse("admin:biometrics_hrvalert_acknowledge", args=[pk])
    return client.post(url, data).status_code


def test_open_alerts_come_worst_first_then_newest(
    admin_client: Client, world: SimpleNamespace
) -> None:
    medium = alert(world, severity="MEDIUM", days=1)
    high = alert(world, severity="HIGH", days=2)
    old = alert(world, severity="CRITICAL", days=9)
    over = alert(world, severity="CRITICAL", days=3, status="resolved")
    page = admin_client.get(LIST, {"status__exact": "open"})
    text = page.content.decode()
    places = [
        text.index(f"{pk}/change") for pk in (world.hrvalert.pk, old, high, medium)
    ]
    assert places == sorted(places)
    assert over not in text


def test_a_line_says_why_in_words_and_no_value(
    admin_client: Client, world: SimpleNamespace
) -> None:
    HrvAlert.objects.update(reasons=["H1_z1<=-2", "C9"], evidence={"value_ms": 31415})
    text = admin_client.get(LIST, {"status__exact": "open"}).content.decode()
    assert "(and 1 more)" in text
    assert "31415" not in text


@pytest.mark.parametrize("feedback", ["useful", "explained", "no_idea"])
def test_one_click_acknowledges_with_what_it_was_worth(
    admin_client: Client, world: SimpleNamespace, feedback: str
) -> None:
    text = admin_client.get(LIST, {"status__exact": "open"}).content.decode()
    url = reverse("admin:biometrics_hrvalert_acknowledge", args=[world.hrvalert.pk])
    assert f'formaction="{url}' in text
    assert f'value="{feedback}"' in text
    assert acknowledge(admin_client, world.hrvalert.pk, feedback=feedback) == 302
    row = HrvAlert.objects.get(pk=world.hrvalert.pk)
    assert (row.status, row.feedback) == ("acknowledged", feedback)
    assert row.acknowledged_by == "ops"
    assert AuditEntry.objects.filter(verb="alert.acknowledge").count() == 1


def test_the_second_of_two_changes_nothing(
    admin_client: Client, world: SimpleNamespace
) -> None:
    acknowledge(admin_client, world.hrvalert.pk, feedback="useful", note="rang her up")
    acknowledge(admin_client, world.hrvalert.pk, feedback="no_idea")
    row = HrvAlert.objects.get(pk=world.hrvalert.pk)
    assert (row.feedback, row.note) == ("useful", "rang her up")


@pytest.mark.parametrize("said", [{}, {"feedback": "nonsense"}])
def test_without_an_answer_nothing_changes(
    admin_client: Client, world: SimpleNamespace, said: dict[str, str]
) -> None:
    assert acknowledge(admin_client, world.hrvalert.pk, **said) == 302
    assert HrvAlert.objects.get(pk=world.hrvalert.pk).status == "open"


def test_looking_changes_nothing(admin_client: Client, world: SimpleNamespace) -> None:
    url = reverse("admin:biometrics_hrvalert_acknowledge", args=[world.hrvalert.pk])
    assert admin_client.get(url, {"feedback": "useful"}).status_code == 405
    assert HrvAlert.objects.get(pk=world.hrvalert.pk).status == "open"


def test_who_may_only_look_sees_no_button(db: None, world: SimpleNamespace) -> None:
    viewer = User.objects.create_user("viewer", password="x", is_staff=True)
    viewer.user_permissions.add(Permission.objects.get(codename="view_hrvalert"))
    client = Client()
    client.force_login(viewer)
    text = client.get(LIST, {"status__exact": "open"}).content.decode()
    assert str(world.hrvalert.pk) in text
    assert "formaction" not in text
    assert acknowledge(client, world.hrvalert.pk, feedback="useful") == 403
    assert HrvAlert.objects.get(pk=world.hrvalert.pk).status == "open"


def test_the_way_back_leads_nowhere_else(
    admin_client: Client, world: SimpleNamespace
) -> None:
    url = reverse("admin:biometrics_hrvalert_acknowledge", args=[world.hrvalert.pk])
    answer = admin_client.post(
        f"{url}?next=https://elsewhere.example/", {"feedback": "useful"}
    )
    assert answer["Location"] == f"{LIST}?status__exact=open"
