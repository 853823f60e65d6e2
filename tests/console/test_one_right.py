"""Who may see one table alone is shown no row, block or link of another one."""

from __future__ import annotations

import re
from types import SimpleNamespace
from uuid import uuid4

import pytest
from django.contrib.auth.models import Permission, User
from django.core.cache import cache
from django.test import Client
from django.urls import reverse

from biometrics.models import ParkedQueue
from tests.console.test_pages import MODELS, list_url, page_url


@pytest.fixture(autouse=True)
def _fresh() -> None:
    cache.clear()


def with_right(*codenames: str) -> Client:
    user = User.objects.create_user("new", password="x", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    assert user.user_permissions.count() == len(codenames)
    client = Client()
    client.force_login(user)
    return client


def text_of(client: Client, url: str) -> str:
    answer = client.get(url)
    assert answer.status_code == 200, url
    return " ".join(re.sub(r"<[^>]+>", " ", answer.content.decode()).split())


@pytest.mark.parametrize("model", MODELS)
def test_no_link_of_ones_pages_leads_to_a_refusal(
    world: SimpleNamespace, model: str
) -> None:
    client = with_right(f"view_{model}")
    pages = [
        reverse("admin:index"),
        list_url(model),
        page_url(model, getattr(world, model).pk),
    ]
    shown = {
        link.replace("&amp;", "&"): page
        for page in pages
        for link in re.findall(
            r'href="(/admin/[^"#]*)', client.get(page).content.decode()
        )
    }
    assert len(shown) > 3
    refused = {
        link: page
        for link, page in shown.items()
        if client.get(link).status_code in {400, 403, 404}
    }
    assert refused == {}


@pytest.mark.parametrize(
    "label",
    [
        "auth.group",
        "auth.user",
        "biometrics.alertnotice",
        "biometrics.alertsubscription",
        "biometrics.secretuse",
        "biometrics.vendorsubscription",
        "resilience.breakermode",
        "resilience.breakertransition",
    ],
)
def test_nor_does_one_of_a_list_about_the_bridge_itself(db: None, label: str) -> None:
    app, _, model = label.partition(".")
    client = with_right(f"view_{model}")
    pages = [reverse("admin:index"), reverse(f"admin:{app}_{model}_changelist")]
    if label == "resilience.breakermode":
        pages.append(reverse("admin:resilience_breakermode_detail", args=["kafka"]))
    shown = {
        link
        for page in pages
        for link in re.findall(
            r'href="(/admin/[^"#]*)', client.get(page).content.decode()
        )
    }
    refused = {one for one in shown if client.get(one).status_code in {400, 403, 404}}
    assert refused == set()


def test_the_blocks_of_other_tables_are_not_on_the_page(world: SimpleNamespace) -> None:
    page = page_url("biometricevent", world.biometricevent.pk)
    both = with_right("view_biometricevent", "view_outboxmessage")
    text = text_of(both, page)
    assert "sleep.created: published" in text
    for other in ("From delivery", "Readings", "HRV nights", "resting_heart_rate"):
        assert other not in text
    assert "Messages" in text


def test_a_delivery_does_not_tell_of_alerts_to_those_who_may_not_see_them(
    world: SimpleNamespace,
) -> None:
    world.webhookdelivery.status = "processed"
    world.webhookdelivery.processed_at = world.webhookdelivery.received_at
    world.webhookdelivery.save()
    page = page_url("webhookdelivery", world.webhookdelivery.pk)
    text = text_of(with_right("view_webhookdelivery"), page)
    assert "What happened to this webhook?" in text
    for other in ("CRITICAL", "sleep.created", "What became of it", "partition"):
        assert other not in text


def test_a_person_shows_neither_accounts_nor_alerts_without_the_right(
    world: SimpleNamespace,
) -> None:
    page = page_url("subject", world.subject.pk)
    text = text_of(with_right("view_subject"), page)
    assert "Robin" in text
    for other in ("terra", "CRITICAL", "Does the data flow?", "Latest alerts", "Reset"):
        assert other not in text
    assert "Everything of this person" not in text


def test_whose_row_it_is_is_named_without_a_link(world: SimpleNamespace) -> None:
    page = page_url("hrvalert", world.hrvalert.pk)
    client = with_right("view_hrvalert")
    assert "Robin" in text_of(client, page)
    assert (
        page_url("subject", world.subject.pk) not in client.get(page).content.decode()
    )


@pytest.mark.parametrize(
    ("codename", "parked"),
    [("view_webhookdelivery", "1"), ("view_parkedqueue", "2")],
)
def test_of_parked_work_each_is_told_what_they_may_see(
    world: SimpleNamespace, codename: str, parked: str
) -> None:
    for _ in range(2):
        world.outboxmessage.pk = None
        world.outboxmessage.ce_id = uuid4()
        world.outboxmessage.status = "parked"
        world.outboxmessage.save()
    assert ParkedQueue.objects.count() == 1
    client = with_right(codename)
    page = client.get(reverse("admin:index"))
    assert page.context["numbers"]["parked"] == parked
    assert f'href="{reverse("admin:biometrics_parked")}"' in page.content.decode()
