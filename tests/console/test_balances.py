"""What beat counted is shown with its time; without Redis the page counts itself."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.core.cache import cache
from django.test import Client, override_settings
from django.urls import reverse
from django.utils import timezone

from biometrics import balances, ledger, nudges, tasks
from biometrics.alerts import rates
from biometrics.models import HrvAlert, HrvNight, IntakeCount, WebhookDelivery

LEDGER = reverse("admin:biometrics_ledger")


@pytest.fixture
def _redis(redis_url: str) -> Iterator[None]:
    with override_settings(REDIS_URL=redis_url):
        nudges.connect.cache_clear()
        nudges.connect().flushdb()
        yield
    nudges.connect.cache_clear()


@pytest.fixture(autouse=True)
def _fresh() -> None:
    cache.clear()


@pytest.fixture(autouse=True)
def _settled(world: SimpleNamespace) -> None:
    """Let the world's alert be as old as its message."""
    HrvAlert.objects.update(updated_at=world.hrvalert.raised_at)


def lose_one() -> None:
    IntakeCount.objects.create(
        period=timezone.now(), vendor="terra", outcome="stored", count=1
    )


@pytest.mark.redis
@pytest.mark.usefixtures("_redis")
class TestWithRedis:
    def test_the_count_of_beat_is_shown_as_it_was(
        self, admin_client: Client, world: SimpleNamespace
    ) -> None:
        WebhookDelivery.objects.update(received_at=timezone.now())
        tasks.check_ledger()
        counted = ledger.balance(now=timezone.now(), hours=balances.HOURS)
        kept, at = balances.recent(now=timezone.now() + timedelta(minutes=1))
        assert kept == counted
        assert kept.imbalance == 1
        assert timezone.now() - at < timedelta(minutes=1)
        lose_one()
        lose_one()
        page = admin_client.get(LEDGER)
        assert page.context["balance"] == counted
        assert f"counted at {at:%H:%M:%S} UTC" in page.content.decode()

    def test_it_is_counted_again_on_demand(
        self, admin_client: Client, world: SimpleNamespace
    ) -> None:
        tasks.check_ledger()
        lose_one()
        assert admin_client.get(LEDGER).context["balance"].imbalance == 0
        assert admin_client.get(LEDGER, {"now": ""}).context["balance"].imbalance == 1
        assert admin_client.get(LEDGER).context["balance"].imbalance == 1

    def test_rates_of_alerts_come_from_beat_too(self, world: SimpleNamespace) -> None:
        HrvNight.objects.update(night=timezone.now().date())
        tasks.count_hrv_rates()
        HrvNight.objects.all().delete()
        assert rates.summary(now=timezone.now()).user_nights == 1


def test_without_redis_a_page_counts_itself(
    admin_client: Client, world: SimpleNamespace
) -> None:
    lose_one()
    assert admin_client.get(LEDGER).context["balance"].imbalance == 1
    HrvNight.objects.update(night=timezone.now().date())
    assert rates.summary(now=timezone.now()).user_nights == 1
