"""A person connects: link, consent page, callback, stored grant. Over real HTTP."""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.auth.models import User
from django.core import signing
from django.test import Client
from django.urls import reverse
from pytest_django.fixtures import Settings

from auren.devstack.fakes import oauth as fake_oauth
from auren.devstack.fakes.grants import Grant
from auren.devstack.fakes.world import Account, Vendor, World
from biometrics.connections import consent, invitations, oauth, tokens
from biometrics.connections.invitations import Invitation
from biometrics.models import (
    AuditEntry,
    OutboxMessage,
    Subject,
    ToldChange,
    VendorConnection,
)
from tests.connections.vendors import running_fakes

pytestmark = pytest.mark.django_db
ACCOUNTS = {"oura": "ring-1", "whoop": "4711"}


@pytest.fixture
def vendors(settings: Settings) -> Iterator[World]:
    """Serve fake vendors that know one account each; the bridge is told where."""
    with running_fakes() as (url, world):
        profiles: dict[str, dict[str, Any]] = {
            "oura": {"personal_info": {"id": "ring-1"}},
            "whoop": {"profile": {"user_id": 4711}},
        }
        known = dict(settings.AUREN_VENDORS)
        for slug, account in ACCOUNTS.items():
            world.vendors[slug].accounts[account] = Account(
                account=account, label=account, profile=profiles[slug]
            )
            known[slug] = {**known[slug], "api_base": f"{url}/{slug}"}
        settings.AUREN_VENDORS = known
        yield world


@pytest.fixture
def robin(db: None) -> Subject:
    return Subject.objects.create(label="Robin")


def link_for(subject: Subject, vendor: str = "oura") -> str:
    made = invitations.make_link(Invitation(subject=subject.id, vendor=vendor))
    return urlsplit(made).path


def at_vendor(url: str) -> str:
    """Open the vendor's page as a browser does; return where it sends the browser."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=10)
    try:
        connection.request("GET", f"{parts.path}?{parts.query}")
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 302, answer.status
        return answer.headers["Location"]
    finally:
        connection.close()


def leave(browser: Client, link: str, *, choice: str) -> str:
    """Follow a link to the vendor and choose there; return the way back."""
    went = browser.get(f"{link}/start")
    assert went.status_code == 302, went.content
    back = urlsplit(at_vendor(f"{went['Location']}&{choice}"))
    return f"{back.path}?{back.query}"


def said(answer: Any) -> str:
    text: str = answer.content.decode()
    return text


@pytest.mark.parametrize("vendor", ACCOUNTS)
def test_a_consent_becomes_a_grant(
    client: Client, vendors: World, robin: Subject, vendor: str
) -> None:
    link, account = link_for(robin, vendor), ACCOUNTS[vendor]
    assert "daily" in said(client.get(link)) or "read:sleep" in said(client.get(link))
    done = client.get(leave(client, link, choice=f"account={account}"))
    assert done.status_code == 200, said(done)
    assert "Not granted" not in said(done)
    row = VendorConnection.objects.get()
    assert (row.subject, row.vendor, row.account_id) == (robin, vendor, account)
    assert row.status == "active"
    assert set(row.scopes.split()) == set(consent.scopes_of(vendor))
    token = tokens.decrypt(row.access_token or b"")
    book = vendors.vendors[vendor].grants
    grant = book.by_access(token, now=vendors.clock())
    assert grant is not None
    assert grant.account == account
    assert tokens.decrypt(row.refresh_token or b"") == grant.refresh_token
    (told,) = OutboxMessage.objects.all()
    assert told.event_type == "connection.connected"
    # By this the ledger would miss the message.
    assert ToldChange.objects.get().ce_id == told.ce_id
    assert AuditEntry.objects.get().verb == "connection.consent"


def test_what_was_not_granted_is_named(
    client: Client, vendors: World, robin: Subject
) -> None:
    went = client.get(f"{link_for(robin)}/start")["Location"]
    narrowed = went.replace("heartrate+", "")
    assert narrowed != went
    back = urlsplit(at_vendor(f"{narrowed}&account=ring-1"))
    done = client.get(f"{back.path}?{back.query}")
    assert "Not granted: heartrate" in said(done)


def test_the_way_back_names_scopes_that_the_token_does_not(
    client: Client,
    vendors: World,
    robin: Subject,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    genuine = fake_oauth.token_answer

    def silent(vendor: Vendor, grant: Grant) -> dict[str, object]:
        answer = genuine(vendor, grant)
        return {name: said for name, said in answer.items() if name != "scope"}

    monkeypatch.setattr(fake_oauth, "token_answer", silent)
    went = client.get(f"{link_for(robin)}/start")["Location"]
    back = urlsplit(at_vendor(f"{went.replace('heartrate+', '')}&account=ring-1"))
    done = client.get(f"{back.path}?{back.query}")
    assert "Not granted: heartrate" in said(done)
    granted = VendorConnection.objects.get().scopes.split()
    assert "heartrate" not in granted
    assert "heart_health" in granted


@pytest.mark.parametrize("answer", [[], {"access_token": 5}, {"access_token": "a\n"}])
def test_nonsense_for_a_grant_is_told_and_the_link_stays_good(
    client: Client,
    vendors: World,
    robin: Subject,
    monkeypatch: pytest.MonkeyPatch,
    answer: object,
) -> None:
    link = link_for(robin)
    with monkeypatch.context() as patch:
        patch.setattr(fake_oauth, "token_answer", lambda *_: answer)
        back = leave(client, link, choice="account=ring-1")
        assert client.get(back).status_code == 503
    assert not VendorConnection.objects.exists()
    again = leave(client, link, choice="account=ring-1")
    assert client.get(again).status_code == 200


@pytest.mark.parametrize("account", [None, "", "x" * 201, "a\x00b", 1.5, ["ring-1"]])
def test_an_account_without_a_name_is_none(
    client: Client, vendors: World, robin: Subject, account: object
) -> None:
    vendors.vendors["oura"].accounts["ring-1"].profile["personal_info"]["id"] = account
    answer = client.get(leave(client, link_for(robin), choice="account=ring-1"))
    assert answer.status_code == 503
    assert "whose account" in said(answer)
    assert not VendorConnection.objects.exists()


def test_opening_a_link_begins_nothing(client: Client, robin: Subject) -> None:
    page = client.get(link_for(robin))
    assert page.status_code == 200
    assert not page.cookies


def test_a_no_is_told_and_stores_nothing(
    client: Client, vendors: World, robin: Subject
) -> None:
    answer = client.get(leave(client, link_for(robin), choice="deny=1"))
    assert answer.status_code == 400
    assert "access_denied" in said(answer)
    assert not VendorConnection.objects.exists()


def test_another_browser_cannot_finish(
    client: Client, vendors: World, robin: Subject
) -> None:
    back = leave(client, link_for(robin), choice="account=ring-1")
    assert Client().get(back).status_code == 400
    assert not VendorConnection.objects.exists()
    assert client.get(back).status_code == 200


def test_an_answer_works_once(client: Client, vendors: World, robin: Subject) -> None:
    back = leave(client, link_for(robin), choice="account=ring-1")
    cookie = client.cookies["auren_connect"].value
    assert client.get(back).status_code == 200
    client.cookies["auren_connect"] = cookie
    assert client.get(back).status_code == 400


def test_the_verifier_is_needed_and_not_in_the_address(
    client: Client, vendors: World, robin: Subject, settings: Settings
) -> None:
    went = client.get(f"{link_for(robin)}/start")["Location"]
    query = parse_qs(urlsplit(went).query)
    assert query["code_challenge_method"] == ["S256"]
    ticket = client.cookies["auren_connect"].value
    nonce = signing.loads(ticket, salt="auren.connect.state")["n"]
    assert oauth._verifier(nonce) not in went
    assert nonce not in went
    back = urlsplit(at_vendor(f"{went}&account=ring-1"))
    book = vendors.vendors["oura"].grants
    code = parse_qs(back.query)["code"][0]
    assert book._codes[code].challenge == query["code_challenge"][0]


def test_no_challenge_goes_where_none_is_documented(
    client: Client, vendors: World, robin: Subject
) -> None:
    went = client.get(f"{link_for(robin, 'whoop')}/start")["Location"]
    assert "code_challenge" not in went


@pytest.mark.parametrize("length", [43, 8])
def test_the_state_is_as_long_as_the_setting_says(
    client: Client,
    vendors: World,
    robin: Subject,
    settings: Settings,
    length: int,
) -> None:
    if length == 8:
        settings.AUREN_VENDORS["whoop"]["state_length"] = 8
    back = leave(client, link_for(robin, "whoop"), choice="account=4711")
    (state,) = parse_qs(urlsplit(back).query)["state"]
    assert len(state) == length
    for forged in (state[:-1], state[::-1], ""):
        answer = client.get(back.replace(f"state={state}", f"state={forged}"))
        assert answer.status_code == 400
    # Of a journey that this browser began, but not of the last one.
    other = leave(client, link_for(robin, "whoop"), choice="account=4711")
    assert client.get(back).status_code == 400
    assert not VendorConnection.objects.exists()
    assert client.get(other).status_code == 200


def test_another_persons_account_is_not_taken(
    client: Client, vendors: World, robin: Subject
) -> None:
    kim = Subject.objects.create(label="Kim")
    VendorConnection.objects.create(subject=kim, vendor="oura", account_id="ring-1")
    answer = client.get(leave(client, link_for(robin), choice="account=ring-1"))
    assert answer.status_code == 409
    row = VendorConnection.objects.get()
    assert (row.subject, row.access_token) == (kim, None)


def test_a_link_connects_once(client: Client, vendors: World, robin: Subject) -> None:
    link = link_for(robin)
    assert client.get(leave(client, link, choice="deny=1")).status_code == 400
    first = leave(client, link, choice="account=ring-1")
    cookie = client.cookies["auren_connect"].value
    second = leave(client, link, choice="account=ring-1")
    assert client.get(second).status_code == 200
    for page in ("", "/start"):
        answer = client.get(f"{link}{page}")
        assert answer.status_code == 400
        assert "used already" in said(answer)
    VendorConnection.objects.all().delete()
    client.cookies["auren_connect"] = cookie
    asked = vendors.vendors["oura"].requests.total()
    assert client.get(first).status_code == 400
    assert not VendorConnection.objects.exists()
    # Nothing was had of the vendor that could not be kept.
    assert vendors.vendors["oura"].requests.total() == asked


def test_used_links_are_forgotten_once_they_are_too_old(robin: Subject) -> None:
    now = datetime(2026, 11, 20, tzinfo=UTC)
    invitations.use(Invitation(subject=robin.id, vendor="oura"), now=now)
    assert invitations.forget_used(now=now + timedelta(hours=48)) == 0
    assert invitations.forget_used(now=now + timedelta(hours=49)) == 1


def test_a_setting_decides_what_is_asked_for(
    client: Client, vendors: World, robin: Subject, settings: Settings
) -> None:
    settings.AUREN_VENDORS["oura"]["scopes"] = ["daily", "spo2"]
    went = client.get(f"{link_for(robin)}/start")["Location"]
    assert parse_qs(urlsplit(went).query)["scope"] == ["daily spo2"]
    assert "daily, spo2" in said(client.get(link_for(robin)))


def test_a_new_consent_revives_the_connection(
    client: Client, vendors: World, robin: Subject
) -> None:
    VendorConnection.objects.create(
        subject=robin, vendor="oura", account_id="ring-1", status="needs_reconnect"
    )
    assert (
        client.get(leave(client, link_for(robin), choice="account=ring-1")).status_code
        == 200
    )
    assert VendorConnection.objects.get().status == "active"


@pytest.mark.parametrize("page", ["", "/start"])
def test_an_old_or_forged_link_is_refused(
    client: Client, robin: Subject, monkeypatch: pytest.MonkeyPatch, page: str
) -> None:
    link = link_for(robin)
    assert client.get(f"{link}x{page}").status_code == 400
    late = time.time() + 48 * 3600 + 1
    monkeypatch.setattr("django.core.signing.time.time", lambda: late)
    answer = client.get(f"{link}{page}")
    assert answer.status_code == 400
    assert "expired" in said(answer)


def test_a_vendor_that_is_away_is_no_crash(
    client: Client, robin: Subject, vendors: World, settings: Settings
) -> None:
    back = leave(client, link_for(robin), choice="account=ring-1")
    settings.AUREN_VENDORS["oura"]["api_base"] = "http://127.0.0.1:1"
    assert client.get(back).status_code == 503


def test_staff_make_links_on_the_persons_page(
    client: Client, robin: Subject, vendors: World
) -> None:
    client.force_login(User.objects.create_superuser("ops", password="x"))
    page = reverse("admin:biometrics_subject_change", args=[robin.pk])
    maker = reverse("admin:biometrics_subject_connect", args=[robin.pk])
    assert maker in said(client.get(page))
    shown = client.post(maker, {"vendor": "whoop"})
    links = [word for word in said(shown).split('"') if "/connect/" in word]
    token = next(w for w in links if w.startswith("http")).rpartition("/")[2]
    invited = invitations.read_link(token)
    assert (invited.subject, invited.vendor) == (robin.id, "whoop")
    assert AuditEntry.objects.get().verb == "connection.invite"
    assert client.post(maker, {"vendor": "nobody"}).status_code == 200
    assert AuditEntry.objects.count() == 1


def test_links_need_the_permission_to_change(client: Client, robin: Subject) -> None:
    client.force_login(User.objects.create_user("new", password="x", is_staff=True))
    maker = reverse("admin:biometrics_subject_connect", args=[robin.pk])
    assert client.post(maker, {"vendor": "whoop"}).status_code == 403
