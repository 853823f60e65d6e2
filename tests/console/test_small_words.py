"""Numbers, dates, durations and empty lists as people read them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from django.contrib.admin import site
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from biometrics import selectors
from biometrics.admin.base import ReadOnlyAdmin
from biometrics.admin.words import lasted, plural
from biometrics.models import OutboxMessage, ShardLease, WebhookDelivery
from resilience.models import BreakerTransition
from tests.console.revealing import reveal
from tests.console.test_pages import MODELS, act, list_url, page_url


@pytest.mark.parametrize("model", MODELS)
def test_dates_have_one_format(
    admin_client: Client, world: SimpleNamespace, model: str
) -> None:
    reveal(admin_client, world.subject.pk)
    pages = [list_url(model), page_url(model, getattr(world, model).pk)]
    for url in pages:
        text = admin_client.get(url).content.decode()
        assert not re.findall(r"\bNov(?:\.|ember) \d|\d (?:a|p)\.m\.", text), url


def test_dates_are_written_so_that_they_sort(
    admin_client: Client, world: SimpleNamespace
) -> None:
    assert "2026-11-24" in admin_client.get(list_url("hrvnight")).content.decode()


def test_every_empty_list_says_what_it_means(admin_client: Client) -> None:
    said = {}
    for model, page in site._registry.items():
        if isinstance(page, ReadOnlyAdmin) or model is BreakerTransition:
            opts = model._meta
            url = reverse(f"admin:{opts.app_label}_{opts.model_name}_changelist")
            said[url] = page.nothing_yet  # type: ignore[attr-defined]
    assert len(said) > 15
    assert len(set(said.values())) == len(said)
    assert ReadOnlyAdmin.nothing_yet not in said.values()
    rows = dict.fromkeys(said, 0)
    for url, words in said.items():
        text = " ".join(admin_client.get(url).content.decode().split())
        rows[url] = text.count(words.replace("'", "&#x27;"))
    assert [url for url, shown in rows.items() if not shown] == []


def test_one_is_not_told_as_many(admin_client: Client, world: SimpleNamespace) -> None:
    page = act(
        admin_client,
        "webhookdelivery",
        "retry_parked",
        world.webhookdelivery.pk,
        reason="mended",
    )
    assert page.status_code == 302
    shown = admin_client.get(list_url("webhookdelivery")).content.decode()
    assert "Due again: 1 delivery." in shown


def test_what_waits_for_long_is_not_told_in_seconds(world: SimpleNamespace) -> None:
    now = timezone.now()
    OutboxMessage.objects.update(status="pending", created_at=now - timedelta(hours=3))
    WebhookDelivery.objects.update(status="pending")
    assert selectors.dashboard_numbers(now=now)["outbox_oldest"] == "3 h"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 ms"),
        (0.31, "310 ms"),
        (4.24, "4.2 s"),
        (59.99, "1 min"),
        (60, "1 min"),
        (600.4, "10 min"),
        (3599, "59 min 59 s"),
        (3600, "1 h"),
        (11_100, "3 h 5 min"),
        (90_000, "1 d 1 h"),
    ],
)
def test_a_duration_has_two_units_at_most(seconds: float, said: str) -> None:
    assert lasted(timedelta(seconds=seconds)) == said


def test_an_alarm_and_a_lease_that_was_never_held_are_told_in_words(
    admin_client: Client, world: SimpleNamespace
) -> None:
    alarms = admin_client.get(list_url("staffalarm")).content.decode()
    assert "Ledger does not add up" in alarms
    ShardLease.objects.filter(pk=world.shardlease.pk).update(
        until=datetime(1970, 1, 1, tzinfo=UTC)
    )
    leases = admin_client.get(page_url("shardlease", world.shardlease.pk))
    assert "never held" in leases.content.decode()
    # Four digits of an id may be these too: only a date's are meant.
    assert not re.search(r"(?<![\w-])1970|1970-01", leases.content.decode())


def test_a_number_takes_its_word() -> None:
    assert plural(1, "alert") == "1 alert"
    assert plural(0, "alert") == "0 alerts"
    assert plural(2, "person", "people") == "2 people"
