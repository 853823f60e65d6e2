"""A person connects through Terra's widget; only what Terra confirms is believed."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from django.core import mail
from django.test import Client
from django.urls import reverse
from pytest_django.fixtures import Settings

from auren.devstack.fakes.world import World
from biometrics.models import OutboxMessage, Subject, VendorConnection
from tests.connections.test_consent import at_vendor, link_for, said
from tests.connections.vendors import running_fakes

pytestmark = pytest.mark.django_db


@pytest.fixture
def terra(settings: Settings) -> Iterator[World]:
    with running_fakes() as (url, world):
        known = dict(settings.AUREN_VENDORS)
        known["terra"] = {**known["terra"], "api_base": f"{url}/terra"}
        settings.AUREN_VENDORS = known
        yield world


@pytest.fixture
def robin(db: None) -> Subject:
    return Subject.objects.create(label="Robin")


def back_from_widget(client: Client, link: str, *, choice: str) -> str:
    """Follow a link to the widget and choose there; return the way back."""
    went = client.get(f"{link}/start")
    assert went.status_code == 302, said(went)
    back = urlsplit(at_vendor(f"{went['Location']}?{choice}=1"))
    return f"{back.path}?{back.query}"


def test_a_connected_device_becomes_a_connection(
    client: Client, terra: World, robin: Subject
) -> None:
    link = link_for(robin, "terra")
    assert "choose there" in said(client.get(link))
    done = client.get(back_from_widget(client, link, choice="connect"))
    assert done.status_code == 200, said(done)
    row = VendorConnection.objects.get()
    assert [row.account_id] == list(terra.vendors["terra"].accounts)
    assert (row.subject, row.vendor, row.status) == (robin, "terra", "active")
    assert row.reference == str(robin.id)
    assert row.scopes == "ACTIVITY_EXPORT HEALTH_EXPORT"
    assert row.access_token is None
    assert row.backfill_due_at is not None
    assert OutboxMessage.objects.get().event_type == "connection.connected"
    assert client.get(f"{link}/start").status_code == 400


def test_who_cancels_may_use_the_link_again(
    client: Client, terra: World, robin: Subject
) -> None:
    link = link_for(robin, "terra")
    answer = client.get(back_from_widget(client, link, choice="cancel"))
    assert answer.status_code == 400
    assert "was not connected" in said(answer)
    assert (
        client.get(back_from_widget(client, link, choice="connect")).status_code == 200
    )


def test_an_account_of_another_person_is_not_believed(
    client: Client, terra: World, robin: Subject
) -> None:
    kim = Subject.objects.create(label="Kim")
    theirs = back_from_widget(Client(), link_for(kim, "terra"), choice="connect")
    account = theirs.partition("user_id=")[2].partition("&")[0]
    mine = back_from_widget(client, link_for(robin, "terra"), choice="cancel")
    answer = client.get(f"{mine}&user_id={account}")
    assert answer.status_code == 400
    assert "another link" in said(answer)
    answer = client.get(f"{mine}&user_id=nobody")
    assert "does not know this account" in said(answer)
    assert not VendorConnection.objects.exists()


def test_missing_keys_are_no_crash(
    client: Client, terra: World, robin: Subject, settings: Settings
) -> None:
    settings.AUREN_VENDORS["terra"]["api_key"] = ""
    assert client.get(f"{link_for(robin, 'terra')}/start").status_code == 503
    settings.AUREN_VENDORS["terra"]["api_key"] = "wrong"
    assert client.get(f"{link_for(robin, 'terra')}/start").status_code == 400


def test_staff_mail_a_link(
    admin_client: Client, terra: World, robin: Subject, settings: Settings
) -> None:
    maker = reverse("admin:biometrics_subject_connect", args=[robin.pk])
    assert "Mail the link to" not in said(admin_client.get(maker))
    settings.EMAIL_HOST = "mail.example.org"
    assert "Mail the link to" in said(admin_client.get(maker))
    shown = admin_client.post(maker, {"vendor": "terra", "address": "r@example.org"})
    assert "was mailed to r@example.org" in said(shown)
    (sent,) = mail.outbox
    assert sent.to == ["r@example.org"]
    link = next(w for w in sent.body.split() if "/connect/" in w)
    assert link not in said(shown)
    browser = Client()
    back = back_from_widget(browser, urlsplit(link).path, choice="connect")
    assert browser.get(back).status_code == 200
    assert VendorConnection.objects.get().subject == robin


def test_a_mail_server_that_refuses_is_told(
    admin_client: Client, robin: Subject, settings: Settings
) -> None:
    settings.EMAIL_HOST = "127.0.0.1"
    settings.EMAIL_PORT = 1
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    maker = reverse("admin:biometrics_subject_connect", args=[robin.pk])
    shown = admin_client.post(maker, {"vendor": "oura", "address": "r@example.org"})
    assert "The mail was not sent" in said(shown)
