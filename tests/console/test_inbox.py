"""The inbox: what comes first, what a line says, and one click that settles it."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape
from types import SimpleNamespace
from urllib.parse import urlencode
from uuid import UUID, uuid4

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from biometrics.admin.alerts import AcknowledgeForm
from biometrics.alerts.staff import state_of
from biometrics.models import AuditEntry, HrvAlert
from tests.console.conftest import NOW
from tests.console.revealing import reveal
from tests.console.test_pages import page_url

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


def acknowledge(
    client: Client, pk: UUID | str, *, seen: str | None = None, **data: str
) -> int:
    """Press a button of the alert as it is, or as a page showed it once."""
    url = reverse("admin:biometrics_hrvalert_acknowledge", args=[pk])
    seen = state_of(HrvAlert.objects.get(pk=pk)) if seen is None else seen
    return client.post(f"{url}?{urlencode({'seen': seen})}", data).status_code


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


@pytest.mark.parametrize(
    ("code", "words", "number"),
    [
        ("A_hrv<25_until_baseline", "below a fixed limit", "below 25"),
        ("H5_z<=-3.0", "a night below the own usual", "-3 own SD"),
    ],
)
def test_no_list_tells_a_value_by_its_limit(
    admin_client: Client, world: SimpleNamespace, code: str, words: str, number: str
) -> None:
    HrvAlert.objects.update(reasons=[code])
    for url in (LIST, reverse("admin:index")):
        text = unescape(admin_client.get(url).content.decode())
        assert words in text
        assert code not in text
        assert number not in text
    page = page_url("hrvalert", world.hrvalert.pk)
    assert code not in unescape(admin_client.get(page).content.decode())
    reveal(admin_client, world.subject.pk)
    text = unescape(admin_client.get(page).content.decode())
    assert code in text
    assert number in text


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
    key, seen = world.hrvalert.pk, state_of(world.hrvalert)
    acknowledge(admin_client, key, seen=seen, feedback="useful", note="rang her up")
    acknowledge(admin_client, key, seen=seen, feedback="no_idea")
    acknowledge(admin_client, key, seen="", feedback="no_idea")
    row = HrvAlert.objects.get(pk=key)
    assert (row.feedback, row.note) == ("useful", "rang her up")
    assert AuditEntry.objects.filter(verb="alert.acknowledge").count() == 1


@pytest.mark.parametrize("status", ["acknowledged", "resolved", "retracted"])
def test_what_is_over_can_still_be_answered_and_corrected(
    admin_client: Client, world: SimpleNamespace, status: str
) -> None:
    key = world.hrvalert.pk
    HrvAlert.objects.filter(pk=key).update(status=status)
    page = admin_client.get(page_url("hrvalert", key)).content.decode()
    buttons = re.findall(r'formaction="([^"]+)" name="feedback" value="no_idea"', page)
    assert len(buttons) == 1
    assert "It is over: what was it worth?" in page
    admin_client.post(
        unescape(buttons[0]), {"feedback": "no_idea", "note": "asked her"}
    )
    row = HrvAlert.objects.get(pk=key)
    assert (row.status, row.feedback, row.note) == (status, "no_idea", "asked her")
    page = admin_client.get(page_url("hrvalert", key)).content.decode()
    assert "Correct what was said" in page
    acknowledge(admin_client, key, feedback="explained", note="it was the flight")
    row.refresh_from_db()
    assert (row.status, row.feedback) == (status, "explained")
    assert AuditEntry.objects.filter(verb="alert.acknowledge").count() == 2


def test_what_was_found_before_it_was_raised_again_is_shown(
    admin_client: Client, world: SimpleNamespace
) -> None:
    key = world.hrvalert.pk
    acknowledge(admin_client, key, feedback="explained", note="a late flight")
    HrvAlert.objects.filter(pk=key).update(status="open", acknowledged_at=None)
    page = admin_client.get(page_url("hrvalert", key)).content.decode()
    assert "Before: ops, explained" in page
    assert "a late flight" not in page
    reveal(admin_client, world.subject.pk)
    page = admin_client.get(page_url("hrvalert", key)).content.decode()
    assert "a late flight" in page


def test_no_answer_is_chosen_beforehand(
    admin_client: Client, world: SimpleNamespace
) -> None:
    form = AcknowledgeForm({"reason": "rang her up"})
    assert form.initial.get("feedback") is None
    assert not form.is_valid()
    assert "feedback" in form.errors
    assert '<option value="" selected>Choose</option>' in str(form["feedback"])


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
