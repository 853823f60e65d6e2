"""The dashboard says how often alerts disturb, and lists the worst first."""

from __future__ import annotations

import re
from datetime import timedelta
from types import SimpleNamespace
from uuid import uuid4

import pytest
from django.core.cache import cache
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from biometrics import selectors
from biometrics.admin.hrv_rates import disturbance
from biometrics.models import HrvAlert, HrvNight, Subject


@pytest.fixture(autouse=True)
def _fresh() -> None:
    cache.clear()


def a_month(subject: Subject, *, low: int, alerts: tuple[str, ...]) -> None:
    """Store thirty nights up to today, `low` of them low, the last ones with alerts."""
    today = timezone.now().date()
    for ago in range(30):
        HrvNight.objects.create(
            subject=subject,
            series_id="RMSSD:oura:ring",
            kind="RMSSD",
            night=today - timedelta(days=ago),
            value_ms=50,
            z1=-2.1 if ago < low else 0.1,
            revision_stamp=timezone.now(),
        )
    for ago, severity in enumerate(alerts):
        HrvAlert.objects.create(
            id=uuid4(),
            subject=subject,
            night=today - timedelta(days=ago),
            series_id="RMSSD:oura:ring",
            severity=severity,
            max_severity=severity,
            message="",
            ruleset="hrv-1",
            raised_at=timezone.now() - timedelta(minutes=ago),
        )


def shown(client: Client) -> str:
    page = client.get(reverse("admin:index")).content.decode()
    return " ".join(re.sub(r"<[^>]+>", " ", page).split())


def test_counts_per_30_user_nights_and_shares(admin_client: Client) -> None:
    often = ("MEDIUM", "HIGH", "HIGH", "CRITICAL")
    a_month(Subject.objects.create(label="Kim"), low=3, alerts=often)
    a_month(Subject.objects.create(label="Sam"), low=0, alerts=())
    text = shown(admin_client)
    assert "CRITICAL 1 0.500 up to 0.065" in text
    assert "HIGH 2 1.000 up to 0.43" in text
    assert "MEDIUM 1 0.500 -" in text
    assert "5.0% of judged nights have z1 of -2 or lower; 3% to 6% is expected" in text
    assert "50.0% of people had more than two HIGH or CRITICAL alerts" in text
    assert "60 nights of 2 people with a value in the last 30 dates." in text
    assert "1 critical, 2 high, 1 medium" in text


def test_without_nights_there_is_no_share(db: None) -> None:
    numbers = selectors.dashboard_numbers(now=timezone.now())
    found = disturbance(now=timezone.now(), opened=numbers)
    assert {row.rate for row in found.rows} == {"-"}
    assert found.low_nights.startswith("- of judged nights")


def test_the_worst_open_alert_comes_first(admin_client: Client) -> None:
    # The newest is the mildest.
    alerts = ("MEDIUM", "HIGH", "CRITICAL", "MEDIUM")
    a_month(Subject.objects.create(label="Kim"), low=0, alerts=alerts)
    rows = admin_client.get(reverse("admin:index")).context["tables"]["alerts"]
    found = [row[0]["text"] for row in rows]
    assert found == ["CRITICAL", "HIGH", "MEDIUM", "MEDIUM"]


def test_only_those_who_may_see_alerts_see_the_rates(
    bare_client: Client, world: SimpleNamespace
) -> None:
    assert "user-nights" not in shown(bare_client)
