"""How often alerts disturb, counted over what is stored."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client

from biometrics.alerts.rates import counted, summary
from biometrics.models import HrvAlert, HrvNight
from tests.pipeline.test_alerts import ago, history
from tests.pipeline.world import NOW, World, night, says
from tests.rules import selected


@pytest.fixture(autouse=True)
def _fresh() -> Any:
    cache.clear()
    yield
    cache.clear()


def test_nobody_s_nights_give_no_share(db: None) -> None:
    found = counted(now=NOW)
    assert (found.user_nights, found.people) == (0, 0)
    assert (found.low_share, found.often_share) == (None, None)
    assert found.per_30_user_nights["HIGH"] == 0


def test_alerts_are_counted_per_30_nights_of_a_person(world: World) -> None:
    history(world, nights=14)
    world.now = NOW
    world.carry(says(night(ago(0), 20)))
    found = counted(now=NOW)
    assert (found.user_nights, found.people) == (15, 1)
    assert found.per_30_user_nights == {"MEDIUM": 0, "HIGH": 2.0, "CRITICAL": 0}
    # Seven of the fifteen nights had no baseline yet; tonight is the low one.
    assert found.low_share == pytest.approx(1 / 8)
    assert found.often_share == 0


def test_a_person_who_is_alerted_often_is_counted(world: World) -> None:
    world.carry(says(night(ago(0), 60)))
    subject = HrvNight.objects.get().subject
    for days in range(3):
        HrvAlert.objects.create(
            id=f"00000000-0000-4000-8000-00000000000{days}",
            subject=subject,
            night=ago(days),
            severity="NORMAL",
            max_severity="HIGH",
            raised_at=NOW,
            status="retracted",
        )
    assert counted(now=NOW).often_share == 1


def test_the_rule_of_too_many_alerts_sees_that_person(
    world: World, client: Client
) -> None:
    def seen() -> float:
        summary(now=NOW)
        exposed = client.get("/metrics").content.decode()
        return selected("BridgeAlertsTooOften", exposed)

    test_two_alerts_are_not_often_yet(world)
    assert seen() == 0
    first = HrvAlert.objects.earliest("night")
    first.severity = first.max_severity = "HIGH"
    first.save()
    cache.clear()
    assert seen() == 1


def test_two_alerts_are_not_often_yet(world: World) -> None:
    world.carry(says(night(ago(0), 60)))
    subject = HrvNight.objects.get().subject
    for days, severity in enumerate(("HIGH", "CRITICAL", "MEDIUM")):
        HrvAlert.objects.create(
            id=f"00000000-0000-4000-8000-00000000000{days}",
            subject=subject,
            night=ago(days),
            severity=severity,
            max_severity=severity,
            raised_at=NOW,
        )
    assert counted(now=NOW).often_share == 0


@pytest.mark.parametrize(("z1", "share"), [(-1.999, 0), (-2.0, 1), (-2.001, 1)])
def test_two_own_sd_below_is_low(world: World, z1: float, share: float) -> None:
    world.carry(says(night(ago(0), 60)))
    HrvNight.objects.update(z1=z1)
    assert counted(now=NOW).low_share == share


def test_nights_without_a_value_and_second_sleeps_do_not_count(world: World) -> None:
    short = night(ago(0), 50, record_id="short")
    short["readings"]["sleep_duration"] = 11_000
    world.carry(says(night(ago(0), 60), short, night(ago(1), None)))
    assert HrvNight.objects.count() == 3
    assert counted(now=NOW).user_nights == 1


def test_a_night_with_two_devices_counts_once(world: World) -> None:
    watch = night(ago(0), 60, record_id="w", signals={"series": "RMSSD:acme:watch"})
    world.carry(says(night(ago(0), 55), watch))
    assert HrvNight.objects.count() == 2
    assert counted(now=NOW).user_nights == 1


def test_old_nights_do_not_count(world: World) -> None:
    world.carry(says(night(ago(30), 60), night(ago(29), 60)))
    assert counted(now=NOW).user_nights == 1


def test_the_metrics_tell_it(world: World, client: Client) -> None:
    history(world, nights=1)
    summary(now=NOW)
    text = client.get("/metrics").content.decode()
    assert 'biobridge_hrv_alerts_per_30_user_nights{severity="HIGH"} 0.0' in text
    assert "biobridge_hrv_low_night_ratio" in text
    assert "biobridge_hrv_often_alerted_ratio" in text
