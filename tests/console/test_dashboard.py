"""The first page: what it says at once, and that nothing is left out without a word."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission, User
from django.core.cache import cache
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django.fixtures import Settings

from biometrics.board.summary import summary
from biometrics.models import StaffAlarm
from resilience import force_open, registry

INDEX = reverse("admin:index")


@pytest.fixture(autouse=True)
def _fresh() -> None:
    cache.clear()


def text_of(client: Client) -> str:
    page = client.get(INDEX).content.decode()
    return " ".join(re.sub(r"<[^>]+>", " ", page).split())


def alarms(number: int) -> None:
    now = timezone.now()
    for ago in range(number):
        StaffAlarm.objects.create(
            kind="silence",
            key=f"{ago}/sleep",
            text=f"Nothing came for {ago} days.",
            since=now - timedelta(days=ago),
        )


def test_an_empty_bridge_is_told_to_be_quiet(admin_client: Client) -> None:
    text = text_of(admin_client)
    assert (
        "Nothing is lost. All quiet: nothing waits for a person,"
        " every circuit lets calls pass." in text
    )
    assert "no stream is silent, every connection stands" in text


def test_alarms_beyond_those_shown_are_counted_and_one_link_away(
    admin_client: Client,
) -> None:
    alarms(11)
    page = admin_client.get(INDEX).content.decode()
    assert page.count("Nothing came for") == 8
    assert "Nothing came for 10 days." in page
    text = text_of(admin_client)
    assert "The 8 oldest of 11." in text
    assert "For a person: 11 alarms." in text
    listed = reverse("admin:biometrics_staffalarm_changelist")
    assert f'href="{listed}?state=open"' in page


def test_an_alarm_says_in_words_what_it_is_about(admin_client: Client) -> None:
    alarms(1)
    assert "Silent stream 0/sleep Nothing came for 0 days." in text_of(admin_client)


@pytest.fixture
def _circuits(settings: Settings, redis_url: str) -> Iterator[None]:
    settings.RESILIENCE_REDIS_URL = redis_url
    registry.clear()
    yield
    registry.clear()


@pytest.mark.redis
@pytest.mark.usefixtures("_circuits")
def test_a_circuit_that_refuses_is_in_the_first_sentence_and_leads_to_its_page(
    admin_client: Client,
) -> None:
    force_open("kafka", actor="ops", reason="The brokers are being moved")
    text = text_of(admin_client)
    assert "Nothing is lost. Calls are refused: kafka." in text
    assert "All quiet" not in text
    assert "Forced open for 0 s (The brokers are being moved)" in text
    page = reverse("admin:resilience_breakermode_detail", args=["kafka"])
    assert f'href="{page}"' in admin_client.get(INDEX).content.decode()


def test_the_first_sentence_speaks_only_of_what_one_may_see(
    bare_client: Client,
) -> None:
    alarms(2)
    user = User.objects.get(username="new")
    user.user_permissions.add(Permission.objects.get(codename="view_webhookdelivery"))
    text = text_of(bare_client)
    assert "Nothing is lost. All quiet: nothing waits for a person. On" in text
    assert "alarm" not in text
    assert "circuit" not in text


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        ({}, ""),
        (
            {"ledger_imbalance": "7"},
            "7 deliveries or messages cannot be accounted for.",
        ),
        (
            {"alerts_open": "1", "parked": "2", "deliveries_unlinked": "1"},
            "For a person: 1 open alert, 2 parked deliveries and messages,"
            " 1 delivery that waits for its account.",
        ),
        (
            {"breakers_refusing": ""},
            "All quiet: every circuit lets calls pass.",
        ),
    ],
)
def test_what_the_first_sentence_says(numbers: dict[str, str], said: str) -> None:
    assert summary(numbers) == said
