"""Health values are sent to nobody before a reveal, which is permitted and written down."""

from __future__ import annotations

import re
from datetime import timedelta
from types import SimpleNamespace
from uuid import uuid4

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.test import Client
from django.utils import timezone

from biometrics.linking import relink
from biometrics.models import AuditEntry, Subject, WebhookDelivery
from tests.console.addresses import all_addresses
from tests.console.revealing import reveal
from tests.console.test_pages import list_url, page_url

# model -> what its page holds of the planted values.
VALUES = {
    "webhookdelivery": "planted-body-61",
    "biometricevent": "planted-event-62",
    "reading": "63.25",
    "outboxmessage": "planted-record-64",
}


@pytest.fixture
def planted(world: SimpleNamespace) -> SimpleNamespace:
    """Put values that can be told apart on every page of the flow."""
    world.webhookdelivery.body = b'{"value":"planted-body-61"}'
    world.webhookdelivery.save()
    world.biometricevent.data = {"value": "planted-event-62"}
    world.biometricevent.save()
    world.reading.value = 63.25
    world.reading.save()
    world.outboxmessage.value = b'{"value":"planted-record-64"}'
    world.outboxmessage.save()
    return world


def shown(client: Client, world: SimpleNamespace, model: str) -> str:
    return client.get(page_url(model, getattr(world, model).pk)).content.decode()


@pytest.mark.parametrize(("model", "value"), VALUES.items())
def test_a_value_is_hidden_until_it_is_revealed(
    admin_client: Client, planted: SimpleNamespace, model: str, value: str
) -> None:
    before = shown(admin_client, planted, model)
    assert value not in before
    assert "Reveal" in before
    reveal(admin_client, planted.subject.pk)
    assert value in shown(admin_client, planted, model)


@pytest.mark.parametrize(("model", "value"), VALUES.items())
def test_no_list_shows_a_value_even_after_a_reveal(
    admin_client: Client, planted: SimpleNamespace, model: str, value: str
) -> None:
    reveal(admin_client, planted.subject.pk)
    assert value not in admin_client.get(list_url(model)).content.decode()


@pytest.mark.parametrize(
    ("model", "asked"),
    [
        ("reading", "value__gt"),
        ("hrvnight", "value_ms__lt"),
        ("hrvnight", "verdict__z1__lt"),
        ("hrvalert", "evidence__value_ms__lt"),
        ("hrvalert", "message__contains"),
        ("biometricevent", "data__hrv__lt"),
        ("webhookdelivery", "body__contains"),
        ("outboxmessage", "headers__severity"),
        ("auditentry", "reason__contains"),
        ("vendorconnection", "personal_token_sha256__startswith"),
    ],
)
def test_an_address_asks_no_list_for_what_it_hides(
    admin_client: Client,
    planted: SimpleNamespace,
    caplog: pytest.LogCaptureFixture,
    model: str,
    asked: str,
) -> None:
    url = list_url(model)
    for value in ("0", "1000"):
        assert admin_client.get(url, {asked: value}).status_code == 400
    assert admin_client.get(url).status_code == 200
    # The asker's mistake, not ours: nobody is to read a traceback for it.
    assert [line for line in caplog.records if line.exc_info] == []


def test_headers_are_shown_without_what_the_value_was_judged_to_be(
    admin_client: Client, planted: SimpleNamespace
) -> None:
    judged = {
        "severity": "SEVERE-71",
        "priority": "URGENT-72",
        "has_triggers": "yes-73",
        "triggers": "RHR_below_74",
    }
    planted.outboxmessage.headers = {**judged, "ce_source": "/auren/terra"}
    planted.outboxmessage.save()
    before = shown(admin_client, planted, "outboxmessage")
    assert "/auren/terra" in before
    assert [name for name, value in judged.items() if value in before] == []
    reveal(admin_client, planted.subject.pk)
    after = shown(admin_client, planted, "outboxmessage")
    assert [name for name, value in judged.items() if value not in after] == []


def test_every_form_that_asks_why_asks_for_no_measured_value(
    admin_client: Client, world: SimpleNamespace
) -> None:
    asking = 0
    for page in all_addresses():
        if page.name == "logout":
            continue
        text = admin_client.get(page.url).content.decode(errors="replace")
        if 'name="reason"' in text:
            asking += 1
            assert re.search(r"no measured values|without names or values", text), page
    assert asking > 10


def test_a_reveal_is_of_one_person(
    admin_client: Client, planted: SimpleNamespace
) -> None:
    reveal(admin_client, uuid4())
    assert VALUES["reading"] not in shown(admin_client, planted, "reading")


def test_a_reveal_ends_after_15_minutes(
    admin_client: Client, planted: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    reveal(admin_client, planted.subject.pk)
    later = timezone.now() + timedelta(minutes=15, seconds=1)
    monkeypatch.setattr(timezone, "now", lambda: later)
    assert VALUES["reading"] not in shown(admin_client, planted, "reading")


def test_a_reveal_is_written_down(
    admin_client: Client, planted: SimpleNamespace
) -> None:
    reveal(admin_client, planted.subject.pk, reason="asked by the person")
    entry = AuditEntry.objects.get(verb="values.reveal")
    assert entry.actor == "ops"
    assert entry.target == f"subject {planted.subject.pk}"
    assert entry.reason == "asked by the person"


@pytest.mark.parametrize(
    ("where", "page"),
    [
        ("reading", "reading {pk}"),
        ("hrvalert", "hrvalert {pk}"),
        ("https://example.org/x", ""),
    ],
)
def test_it_says_what_was_revealed_and_from_which_page(
    admin_client: Client, planted: SimpleNamespace, where: str, page: str
) -> None:
    row = getattr(planted, where, None)
    here = where if row is None else page_url(where, row.pk)
    reveal(admin_client, planted.subject.pk, next=here)
    detail = AuditEntry.objects.get(verb="values.reveal").detail
    assert detail["what"] == "health values: all of the person, for 15 minutes"
    asked_on = page.format(pk=row.pk) if row is not None else "/admin/"
    assert detail["asked_on"] == asked_on


def test_of_a_delivery_alone_it_names_the_delivery(
    admin_client: Client, planted: SimpleNamespace
) -> None:
    key = planted.webhookdelivery.public_id
    reveal(admin_client, key)
    entry = AuditEntry.objects.get(verb="values.reveal")
    assert entry.target == f"delivery {key}"
    assert "the bytes of the delivery" in entry.detail["what"]


def test_without_a_reason_nothing_is_revealed(
    admin_client: Client, planted: SimpleNamespace
) -> None:
    assert reveal(admin_client, planted.subject.pk, reason="").status_code == 200
    assert VALUES["reading"] not in shown(admin_client, planted, "reading")
    assert not AuditEntry.objects.filter(verb="values.reveal").exists()


def test_looking_at_the_form_reveals_nothing(
    admin_client: Client, planted: SimpleNamespace
) -> None:
    page = shown(admin_client, planted, "reading")
    url = page.partition('href="/admin/biometrics/subject/reveal/')[2].partition('"')[0]
    form = admin_client.get(f"/admin/biometrics/subject/reveal/{url}")
    assert form.status_code == 200
    assert VALUES["reading"] not in shown(admin_client, planted, "reading")


def test_one_comes_back_to_the_page_and_nowhere_else(
    admin_client: Client, planted: SimpleNamespace
) -> None:
    here = page_url("reading", planted.reading.pk)
    assert reveal(admin_client, planted.subject.pk, next=here)["Location"] == here
    away = reveal(admin_client, planted.subject.pk, next="https://example.org/")
    assert away["Location"] == "/admin/"


def test_without_the_right_there_is_neither_link_nor_form(
    planted: SimpleNamespace,
) -> None:
    viewer = User.objects.create_user("viewer", password="x", is_staff=True)
    viewer.groups.add(Group.objects.get(name="viewer"))
    client = Client()
    client.force_login(viewer)
    page = shown(client, planted, "reading")
    assert VALUES["reading"] not in page
    assert "Reveal" not in page
    assert reveal(client, planted.subject.pk).status_code == 403


def test_losing_the_right_hides_the_values_at_once(planted: SimpleNamespace) -> None:
    clinician = User.objects.create_user("doc", password="x", is_staff=True)
    clinician.groups.add(Group.objects.get(name="clinician"))
    client = Client()
    client.force_login(clinician)
    reveal(client, planted.subject.pk)
    assert VALUES["reading"] in shown(client, planted, "reading")
    clinician.groups.set([Group.objects.get(name="viewer")])
    assert VALUES["reading"] not in shown(client, planted, "reading")


def test_a_delivery_of_nobody_is_revealed_for_itself(
    admin_client: Client, planted: SimpleNamespace
) -> None:
    planted.biometricevent.delete()
    WebhookDelivery.objects.update(account_id="unknown")
    assert VALUES["webhookdelivery"] not in shown(
        admin_client, planted, "webhookdelivery"
    )
    reveal(admin_client, planted.webhookdelivery.public_id)
    assert VALUES["webhookdelivery"] in shown(admin_client, planted, "webhookdelivery")


@pytest.mark.parametrize("has_spoken", [True, False])
def test_what_came_before_a_relink_is_not_the_new_persons(
    admin_client: Client, planted: SimpleNamespace, *, has_spoken: bool
) -> None:
    if not has_spoken:
        planted.biometricevent.delete()
    kim = Subject.objects.create(label="Kim")
    relink(
        connection_id=planted.vendorconnection.pk,
        subject=kim,
        actor="ops",
        reason="the watch was passed on",
        now=timezone.now(),
    )
    reveal(admin_client, kim.pk)
    page = shown(admin_client, planted, "webhookdelivery")
    assert VALUES["webhookdelivery"] not in page
    whose = planted.subject.pk if has_spoken else planted.webhookdelivery.public_id
    assert f"/subject/reveal/{whose}/" in page
    reveal(admin_client, whose)
    assert VALUES["webhookdelivery"] in shown(admin_client, planted, "webhookdelivery")


@pytest.mark.parametrize(
    ("role", "has", "lacks"),
    [
        ("viewer", "view_reading", "reveal_subject"),
        ("viewer", "view_breakertransition", "change_webhookdelivery"),
        ("operator", "operate_breaker", "reveal_subject"),
        ("operator", "change_parkedqueue", "change_hrvalert"),
        ("clinician", "reveal_subject", "operate_breaker"),
        ("clinician", "change_hrvalert", "change_webhookdelivery"),
        ("admin", "change_user", "view_session"),
        ("admin", "reveal_subject", "view_logentry"),
    ],
)
@pytest.mark.django_db
def test_each_role_has_its_rights(role: str, has: str, lacks: str) -> None:
    held = set(
        Permission.objects.filter(group__name=role).values_list("codename", flat=True)
    )
    assert has in held
    assert lacks not in held
