"""Which signing secret still proves anything, from the stored deliveries."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from pytest_django.fixtures import Settings

from auren.health import TableCollector
from biometrics import secret_use
from biometrics.models import SecretUse, WebhookDelivery

START = datetime(2026, 11, 1, 8, 0, tzinfo=UTC)
DAY = timedelta(days=1)
pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _two_secrets(settings: Settings) -> None:
    settings.AUREN_WEBHOOK_SECRETS = {"terra": ["old-one", "new-one"]}


def proven(at: datetime, *, slot: int, vendor: str = "terra", **changes: str) -> None:
    WebhookDelivery.objects.create(
        public_id=uuid4(),
        vendor=vendor,
        dedupe_key=str(uuid4()),
        shard=0,
        secret_slot=slot,
        received_at=at,
        **changes,
    )


def rows() -> dict[int, SecretUse]:
    return {row.slot: row for row in secret_use.rows().filter(vendor="terra")}


def test_each_secret_is_counted_by_its_place() -> None:
    secret_use.keep(now=START)
    for hour in (1, 2, 3):
        proven(START + timedelta(hours=hour), slot=1)
    proven(START + timedelta(hours=2), slot=0)
    proven(START + timedelta(hours=2), slot=0, vendor="whoop")
    proven(START + timedelta(hours=2), slot=0, origin="backfill")
    # What announced it was proven, and is counted.
    proven(START + timedelta(hours=2), slot=0, origin="announced")
    secret_use.keep(now=START + DAY)
    old, new = rows()[0], rows()[1]
    assert (old.proven, new.proven) == (1, 3)
    assert new.last_at == START + timedelta(hours=3)


def test_nothing_is_counted_twice_nor_left_out() -> None:
    secret_use.keep(now=START)
    for minute in range(1, 30):
        at = START + timedelta(minutes=minute)
        proven(at, slot=0)
        secret_use.keep(now=at)
        secret_use.keep(now=at)
    secret_use.keep(now=START + timedelta(hours=1))
    assert rows()[0].proven == 29


def test_an_old_secret_may_go_after_a_week_beside_one_in_use() -> None:
    secret_use.keep(now=START)
    proven(START + timedelta(hours=1), slot=0)
    proven(START + 6 * DAY, slot=1)
    secret_use.keep(now=START + 7 * DAY)
    old, new = rows()[0], rows()[1]
    early, late = START + 7 * DAY, START + 7 * DAY + timedelta(hours=2)
    assert not secret_use.may_go(old, now=early)
    assert secret_use.may_go(old, now=late)
    assert not secret_use.may_go(new, now=late)
    # A vendor that is silent as a whole has not changed its secret.
    assert not secret_use.may_go(old, now=START + 20 * DAY)


def test_the_only_secret_never_may_go(settings: Settings) -> None:
    settings.AUREN_WEBHOOK_SECRETS = {"terra": ["old-one"]}
    secret_use.keep(now=START)
    assert not secret_use.may_go(rows()[0], now=START + 90 * DAY)


def test_a_secret_in_another_ones_place_starts_anew(settings: Settings) -> None:
    """A list that grew in front must not say of the old one that it is unused."""
    secret_use.keep(now=START)
    proven(START + timedelta(hours=1), slot=0)
    secret_use.keep(now=START + DAY)
    settings.AUREN_WEBHOOK_SECRETS = {"terra": ["newest", "old-one", "new-one"]}
    secret_use.keep(now=START + 8 * DAY)
    assert [row.proven for row in rows().values()] == [0, 0, 0]
    assert {row.since for row in rows().values()} == {START + 8 * DAY}
    proven(START + 8 * DAY + timedelta(hours=1), slot=0)
    secret_use.keep(now=START + 9 * DAY)
    assert not any(
        secret_use.may_go(row, now=START + 9 * DAY) for row in rows().values()
    )


def test_a_secret_that_was_taken_out_is_forgotten(settings: Settings) -> None:
    secret_use.keep(now=START)
    settings.AUREN_WEBHOOK_SECRETS = {"terra": ["old-one"]}
    secret_use.keep(now=START + DAY)
    assert list(rows()) == [0]


def test_the_list_asks_no_more_for_more_secrets(
    settings: Settings, django_assert_max_num_queries: Any
) -> None:
    settings.AUREN_WEBHOOK_SECRETS = {
        "terra": [f"terra-{n}" for n in range(9)],
        "oura": [f"oura-{n}" for n in range(9)],
    }
    secret_use.keep(now=START)
    client = Client()
    client.force_login(User.objects.create_superuser("ops", password="x"))
    with django_assert_max_num_queries(12):
        client.get(reverse("admin:biometrics_secretuse_changelist"))


def test_the_console_says_which_may_go_and_shows_no_secret() -> None:
    now = datetime.now(tz=UTC)
    secret_use.keep(now=now - 9 * DAY)
    proven(now - DAY, slot=1)
    secret_use.keep(now=now)
    client = Client()
    client.force_login(User.objects.create_superuser("ops", password="x"))
    text = client.get(reverse("admin:biometrics_secretuse_changelist")).content.decode()
    assert "may go" in text
    assert "in use" in text
    page = reverse("admin:biometrics_secretuse_change", args=[rows()[0].pk])
    detail = client.get(page).content.decode()
    assert "take it out of AUREN_WEBHOOK_SECRET_TERRA" in detail
    for shown in (text, detail):
        assert "old-one" not in shown
        assert rows()[0].fingerprint not in shown


def test_one_secret_has_one_number_everywhere() -> None:
    """Counted from 0: in the list, in both metrics, in the admin and on its page."""
    now = datetime.now(tz=UTC)
    secret_use.keep(now=now)
    proven(now, slot=1)
    client = Client()
    client.force_login(User.objects.create_superuser("ops", password="x"))
    listed = client.get(reverse("admin:biometrics_secretuse_changelist"))
    text = listed.content.decode()
    assert {"terra secret 0", "terra secret 1"} <= set(
        re.findall(r"terra secret \d", text)
    )
    assert "terra secret 2" not in text
    assert "counted from 0" in text
    delivery = WebhookDelivery.objects.get()
    assert secret_use.proof_of(delivery) == "secret 1 of terra (counted from 0)"
    assert {row.slot for row in SecretUse.objects.all()} == {0, 1}


def test_a_token_of_a_person_is_no_secret_of_the_list(settings: Settings) -> None:
    settings.AUREN_WEBHOOK_SECRETS = {"healthkit": ["useless"], "terra": ["old-one"]}
    secret_use.keep(now=START)
    assert set(SecretUse.objects.values_list("vendor", flat=True)) == {"terra"}


def test_the_metric_says_how_long_each_was_idle() -> None:
    now = datetime.now(tz=UTC)
    secret_use.keep(now=now - 9 * DAY)
    proven(now - DAY, slot=1)
    secret_use.keep(now=now)
    idle = {
        sample.labels["slot"]: sample.value / DAY.total_seconds()
        for family in TableCollector().collect()
        for sample in family.samples
        if sample.name == "biobridge_secret_slot_idle_seconds"
    }
    assert idle == {"0": pytest.approx(9, abs=0.1), "1": pytest.approx(1, abs=0.1)}
