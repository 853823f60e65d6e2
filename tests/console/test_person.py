"""A person's page: which data flows, what waits for somebody, and what may be done."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from types import SimpleNamespace
from uuid import uuid4

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from biometrics.models import BiometricEvent, Reading, StaffAlarm, VendorConnection
from tests.console.revealing import reveal
from tests.console.test_pages import page_url


def records(
    world: SimpleNamespace, record_type: str, *, newest: datetime, days: int
) -> None:
    """Store one record of this type for each of `days` days up to `newest`."""
    for ago in range(days):
        at = newest - timedelta(days=ago)
        BiometricEvent.objects.create(
            id=uuid4(),
            delivery=world.webhookdelivery,
            connection=world.vendorconnection,
            subject=world.subject,
            vendor="terra",
            record_type=record_type,
            record_id=f"{record_type}-{ago}",
            action="created",
            revision_stamp=at,
            content_sha256="1" * 64,
            mapping_version=1,
            start=at - timedelta(hours=8),
            end=at,
            local_date=at.date(),
            data={},
        )


def shown(client: Client, world: SimpleNamespace) -> str:
    page = client.get(page_url("subject", world.subject.pk)).content.decode()
    return " ".join(re.sub(r"<[^>]+>", " ", page).split())


def test_each_data_type_says_how_fresh_it_is(
    admin_client: Client, world: SimpleNamespace
) -> None:
    now = timezone.now()
    records(world, "sleep", newest=now - timedelta(hours=3), days=20)
    records(world, "daily_activity", newest=now - timedelta(days=6), days=20)
    records(world, "workout", newest=now - timedelta(days=2), days=2)
    records(world, "daily_stress", newest=now + timedelta(hours=9), days=20)
    text = shown(admin_client, world)
    assert "Quiet for longer than usual: daily_activity." in text
    found = {
        line.stream: (line.verdict, line.ago, line.usual)
        for line in admin_client.get(page_url("subject", world.subject.pk)).context[
            "freshness"
        ]
    }
    assert found["sleep"] == ("flows", "3 h ago", "every day")
    assert found["daily_stress"] == ("flows", "not over yet", "every day")
    assert found["daily_activity"] == ("quiet", "6 days ago", "every day")
    assert found["workout"] == ("too few days to tell", "2 days ago", "not known yet")


def test_a_lost_consent_comes_first(
    admin_client: Client, world: SimpleNamespace
) -> None:
    world.vendorconnection.status = "needs_reconnect"
    world.vendorconnection.save()
    assert "terra: the consent is gone. Send a new connect link." in shown(
        admin_client, world
    )


def test_of_an_ended_connection_nothing_is_expected(
    admin_client: Client, world: SimpleNamespace
) -> None:
    world.vendorconnection.status = "revoked"
    world.vendorconnection.save()
    records(world, "sleep", newest=timezone.now() - timedelta(days=6), days=20)
    text = shown(admin_client, world)
    assert "Every connection has ended. Send a new connect link." in text
    page = admin_client.get(page_url("subject", world.subject.pk))
    verdicts = {line.verdict for line in page.context["freshness"]}
    assert verdicts == {"ended"}
    VendorConnection.objects.create(
        vendor="oura", account_id="another", subject=world.subject, status="active"
    )
    text = shown(admin_client, world)
    assert "Data flows." in text
    assert "Is the device worn?" not in text


def test_somebody_without_connections_is_to_be_sent_a_link(
    admin_client: Client, world: SimpleNamespace
) -> None:
    BiometricEvent.objects.all().delete()
    world.vendorconnection.delete()
    assert "No vendor is connected. Send a connect link." in shown(admin_client, world)


def test_open_alarms_about_this_person_s_connections_are_shown(
    admin_client: Client, world: SimpleNamespace
) -> None:
    pk = world.vendorconnection.pk
    now = timezone.now()
    for key, text, cleared in (
        (f"{pk}/sleep", "No sleep since Monday.", None),
        (f"{pk}/workout", "No workout since May.", now),
        (f"{pk}1/sleep", "Somebody else's sleep.", None),
    ):
        StaffAlarm.objects.create(
            kind="silence", key=key, text=text, since=now, cleared_at=cleared
        )
    text = shown(admin_client, world)
    assert "No sleep since Monday." in text
    assert "No workout since May." not in text
    assert "Somebody else's sleep." not in text


def test_sleep_and_recovery_are_sent_only_after_a_reveal(
    admin_client: Client, world: SimpleNamespace
) -> None:
    day = timezone.now().date()
    for metric, value, unit in (
        ("sleep_duration", 25_260, "s"),
        ("recovery_score", 61, "%"),
    ):
        Reading.objects.create(
            event=world.biometricevent,
            connection=world.vendorconnection,
            subject=world.subject,
            record_type="sleep",
            record_id="night-1",
            metric=metric,
            value=value,
            unit=unit,
            local_date=day,
            revision_stamp=timezone.now(),
        )
    assert "7 h 01 min" not in shown(admin_client, world)
    reveal(admin_client, world.subject.pk)
    text = shown(admin_client, world)
    assert f"{day} 7 h 01 min" in text
    assert "61 %" in text


def test_a_low_sleep_score_says_so_and_raises_no_alert(
    admin_client: Client, world: SimpleNamespace
) -> None:
    for ago, score in enumerate((69, 70)):
        Reading.objects.create(
            event=world.biometricevent,
            connection=world.vendorconnection,
            subject=world.subject,
            record_type="sleep",
            record_id=f"night-{ago}",
            metric="sleep_score",
            value=score,
            unit="{score}",
            local_date=timezone.now().date() - timedelta(days=ago),
            revision_stamp=timezone.now(),
        )
    reveal(admin_client, world.subject.pk)
    text = shown(admin_client, world)
    assert "69 (MEDIUM)" in text
    assert "70 (MEDIUM)" not in text
    assert "It travels with the record and raises no alert." in text


@pytest.mark.parametrize(
    ("codename", "page"),
    [
        ("change_subject", "connect"),
        ("change_hrvalert", "tuning"),
        ("delete_subject", "erase"),
    ],
)
def test_a_verb_is_offered_to_those_who_may(
    world: SimpleNamespace, codename: str, page: str
) -> None:
    user = User.objects.create_user("one", password="x", is_staff=True)
    view = Permission.objects.get(codename="view_subject")
    user.user_permissions.set([view, Permission.objects.get(codename=codename)])
    client = Client()
    client.force_login(user)
    text = client.get(page_url("subject", world.subject.pk)).content.decode()
    offered = {
        name
        for name in ("connect", "tuning", "erase")
        if reverse(f"admin:biometrics_subject_{name}", args=[world.subject.pk]) in text
    }
    assert offered == {page}


class TestANewLink:
    """Where a page says to send one, it leads there, those who may do so."""

    @pytest.fixture
    def lost(self, world: SimpleNamespace) -> list[str]:
        """Let the consent be gone; return the pages that say so."""
        world.vendorconnection.status = "needs_reconnect"
        world.vendorconnection.save()
        key = str(world.vendorconnection.pk)
        alarms = [
            StaffAlarm.objects.create(
                kind=kind, key=f"{key}{tail}", text="It is gone.", since=timezone.now()
            )
            for kind, tail in (("needs_reconnect", ""), ("silence", "/sleep"))
        ]
        return [
            page_url("vendorconnection", key),
            *(page_url("staffalarm", alarm.pk) for alarm in alarms),
        ]

    @pytest.mark.parametrize(
        ("role", "is_led"),
        [("viewer", False), ("clinician", False), ("operator", True)],
    )
    def test_it_is_one_click_away(
        self, world: SimpleNamespace, lost: list[str], role: str, *, is_led: bool
    ) -> None:
        user = User.objects.create_user("one", password="x", is_staff=True)
        user.groups.add(Group.objects.get(name=role))
        client = Client()
        client.force_login(user)
        there = reverse("admin:biometrics_subject_connect", args=[world.subject.pk])
        for page in lost:
            text = client.get(page).content.decode()
            assert (f'href="{there}"' in text) == is_led, page
            assert ("Send Robin a new connect link" in text) == is_led
        assert client.get(there).status_code == (200 if is_led else 403)

    def test_an_alarm_of_a_connection_that_is_gone_leads_nowhere(
        self, admin_client: Client, world: SimpleNamespace, lost: list[str]
    ) -> None:
        world.vendorconnection.delete()
        assert admin_client.get(lost[1]).status_code == 200

    def test_a_connection_that_works_asks_for_nothing(
        self, admin_client: Client, world: SimpleNamespace
    ) -> None:
        page = admin_client.get(page_url("vendorconnection", world.vendorconnection.pk))
        assert "a new connect link" not in page.content.decode()
