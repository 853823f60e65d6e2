"""Subscribing in the console: who may, what is shown once, and how it ends."""

from __future__ import annotations

import re

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client
from django.urls import reverse
from pytest_django.fixtures import Settings

from biometrics.connections.tokens import decrypt
from biometrics.models import AlertSubscription

LIST = reverse("admin:biometrics_alertsubscription_changelist")
PAGE = reverse("admin:biometrics_alertsubscription_subscribe")
WISH = {
    "channel": "email",
    "address": "kim@example.org",
    "least": "HIGH",
    "zone": "UTC",
}
HOOK = {**WISH, "channel": "webhook", "address": "https://hooks.example.org/a"}


@pytest.fixture(autouse=True)
def _mail(settings: Settings) -> None:
    settings.EMAIL_HOST = "mail.example.org"


def member(role: str) -> Client:
    user = User.objects.create_user(role, password="x", is_staff=True)
    user.groups.add(Group.objects.get(name=role))
    client = Client()
    client.force_login(user)
    return client


def test_an_admin_subscribes_a_webhook_and_sees_its_secret_once(
    admin_client: Client,
) -> None:
    text = admin_client.post(PAGE, HOOK).content.decode()
    found = re.search(r"whsec_[A-Za-z0-9+/=]+", text)
    assert found is not None
    row = AlertSubscription.objects.get()
    assert row.secret is not None
    assert decrypt(row.secret) == found.group()
    page = reverse("admin:biometrics_alertsubscription_change", args=[row.pk])
    for url in (LIST, page, PAGE):
        assert "whsec_" not in admin_client.get(url).content.decode()


@pytest.mark.parametrize(
    ("role", "looks", "mails", "posts"),
    [
        ("viewer", 403, 0, 0),
        ("operator", 200, 0, 0),
        ("clinician", 200, 1, 0),
        ("admin", 200, 1, 1),
    ],
)
def test_each_role_may_what_it_should(
    db: None, role: str, looks: int, mails: int, posts: int
) -> None:
    client = member(role)
    assert client.get(LIST).status_code == looks
    client.post(PAGE, WISH)
    client.post(PAGE, HOOK)
    kinds = list(AlertSubscription.objects.values_list("channel", flat=True))
    assert (kinds.count("email"), kinds.count("webhook")) == (mails, posts)


@pytest.mark.parametrize(
    "change",
    [
        {"address": "no address"},
        {"channel": "webhook", "address": "ftp://example.org/"},
        {"quiet_from": "22:00"},
        {"least": "MEDIUM"},
    ],
)
def test_a_wish_that_makes_no_sense_is_explained(
    admin_client: Client, change: dict[str, str]
) -> None:
    answer = admin_client.post(PAGE, {**WISH, **change})
    assert answer.status_code == 200
    assert not AlertSubscription.objects.exists()


def test_looking_subscribes_nobody(admin_client: Client) -> None:
    admin_client.get(PAGE, WISH)
    assert not AlertSubscription.objects.exists()


def test_a_subscription_is_ended_with_a_reason(admin_client: Client) -> None:
    admin_client.post(PAGE, WISH)
    row = AlertSubscription.objects.get()
    act = {"action": "end_selected", "_selected_action": [str(row.pk)]}
    admin_client.post(LIST, act)
    assert AlertSubscription.objects.get().ended_at is None
    admin_client.post(LIST, {**act, "reason": "on holiday"})
    ended = AlertSubscription.objects.get()
    assert ended.ended_at is not None
    assert ended.ended_because == "on holiday"
