"""Step 6 through the tables: nights, verdicts, alerts and how urgent their messages are."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from pytest_django.fixtures import Settings

from biometrics.alerts.staff import acknowledge
from biometrics.models import HrvAlert, HrvNight, OutboxMessage
from biometrics.models.hrv import Feedback
from tests.pipeline.world import NOW, World, night, record, says, sent, value

TODAY = NOW.date()
TERRA_SLEEP = (
    Path(__file__).parents[1]
    / "fixtures"
    / "terra"
    / "assembled_webhook_sleep_full.json"
)


def ago(days: int) -> str:
    return (TODAY - timedelta(days=days)).isoformat()


def history(world: World, *, nights: int, until: int = 1, ms: Any = (50, 60)) -> None:
    """Store ordinary nights up to `until` days ago, and forget that they were told.

    Leaves the clock on that day, since workers' clocks only go forward.
    """
    world.now = NOW - timedelta(days=until)
    days = range(nights + until - 1, until - 1, -1)
    world.carry(says(*(night(ago(d), ms[d % len(ms)]) for d in days)))
    HrvAlert.objects.all().delete()
    OutboxMessage.objects.all().delete()


def alerts() -> list[OutboxMessage]:
    return [m for m in sent() if m.topic == "biometric-alerts"]


class TestNewPerson:
    def test_a_very_low_first_night_is_critical_on_both_records(
        self, world: World
    ) -> None:
        world.store(says(night(ago(0), 20)))
        (outcome,) = world.run()
        event, alert = sent()
        assert event.headers["priority"] == "HIGH"
        assert event.headers["severity"] == "CRITICAL"
        assert event.headers["triggers"] == "A_hrv<25_until_baseline"
        assert alert.topic == "biometric-alerts"
        assert alert.headers["priority"] == "HIGH"
        assert alert.headers["severity"] == "CRITICAL"
        assert alert.headers["ce_type"] == "auren.alert.hrv.raised.v1"
        assert outcome.urgent_shards == outcome.publish_shards
        stored = HrvAlert.objects.get()
        assert (stored.severity, stored.status) == ("CRITICAL", "open")
        assert str(stored.id) == alert.headers["alert-id"]
        assert alert.alert_id == stored.id
        assert stored.hrv_night == HrvNight.objects.get()
        assert "HRV was 20 ms" in stored.message
        assert stored.message.endswith("Wellness information, not a diagnosis.")
        assessment = value(event)["assessment"]
        assert assessment["severity"] == "CRITICAL"
        assert assessment["reasons"] == ["A_hrv<25_until_baseline"]
        assert assessment["ruleset"] == "hrv-1"
        assert value(alert)["evidence"]["value_ms"] == 20

    def test_a_low_one_is_high_and_an_ordinary_one_is_silent(
        self, world: World
    ) -> None:
        world.carry(says(night(ago(0), 35)), account="low")
        world.carry(says(night(ago(0), 55)), account="ordinary")
        low, _, ordinary = sent()
        assert low.headers["severity"] == "HIGH"
        assert ordinary.headers["severity"] == "NORMAL"
        assert value(ordinary)["assessment"]["severity"] == "NORMAL"
        assert HrvAlert.objects.count() == 1

    def test_the_mode_of_fixed_limits_is_a_setting(
        self, world: World, settings: Settings
    ) -> None:
        settings.HRV_ABSOLUTE_RULES = "off"
        world.carry(says(night(ago(0), 20)))
        assert not HrvAlert.objects.exists()
        assert HrvNight.objects.get().severity == "NORMAL"

    def test_a_night_without_a_value_says_nothing(self, world: World) -> None:
        world.carry(says(night(ago(0), None)))
        assert not HrvAlert.objects.exists()

    def test_a_night_from_the_future_is_no_night(self, world: World) -> None:
        world.carry(says(night(ago(-3), 20)))
        assert not HrvNight.objects.exists()
        assert sent()[0].headers["severity"] == "NORMAL"

    @pytest.mark.parametrize("until", [4, 30])
    def test_an_old_night_never_pages(self, world: World, until: int) -> None:
        world.carry(says(night(ago(until), 20)))
        (event,) = sent()
        assert event.headers["severity"] == "CRITICAL"
        assert event.headers["priority"] == "NORMAL"
        assert not HrvAlert.objects.exists()

    def test_a_backfill_never_pages(self, world: World) -> None:
        world.carry(says(night(ago(0), 20)), origin="backfill")
        (event,) = sent()
        assert event.headers["priority"] == "NORMAL"
        assert not HrvAlert.objects.exists()

    def test_a_night_that_a_webhook_corrects_pages_though_a_backfill_brought_it(
        self, world: World
    ) -> None:
        # In one batch: a short sleep that was fetched, and the long one of that night.
        short = night(ago(0), 55, record_id="short")
        short["readings"]["sleep_duration"] = 4 * 3600
        world.store(says(short), origin="backfill")
        world.store(says(night(ago(0), 20)))
        world.run()
        assert HrvAlert.objects.get().severity == "CRITICAL"
        assert len(alerts()) == 1

    def test_a_backfill_does_not_page_beside_a_live_night(self, world: World) -> None:
        world.store(says(night(ago(1), 20)), origin="backfill")
        world.store(says(night(ago(0), 60)))
        world.run()
        assert not alerts()
        assert HrvNight.objects.get(night=ago(1)).severity == "CRITICAL"


class TestBaseline:
    def test_the_personal_baseline_decides_once_it_is_known(self, world: World) -> None:
        history(world, nights=14)
        world.now = NOW
        world.carry(says(night(ago(0), 42)))
        event, alert = sent()
        assessment = value(event)["assessment"]
        assert assessment["severity"] == "MEDIUM"
        assert assessment["reasons"] == ["M1_z<=-1.5"]
        assert assessment["baseline_ms"] == 54.8
        assert assessment["z1"] == -1.94
        assert assessment["nights"] == 14
        assert event.headers["priority"] == "MEDIUM"
        assert alert.headers["severity"] == "MEDIUM"

    def test_the_cool_down_holds_the_second_message(self, world: World) -> None:
        history(world, nights=14, until=2)
        world.wait(days=1)
        world.carry(says(night(ago(1), 42)))
        world.wait(days=1)
        world.carry(says(night(ago(0), 43)))
        severities = HrvNight.objects.order_by("-night").values_list("severity")
        assert severities[0] == severities[1] == ("MEDIUM",)
        assert len(alerts()) == 1

    def test_nights_of_two_devices_never_mix(self, world: World) -> None:
        history(world, nights=14)
        world.now = NOW
        world.carry(says(night(ago(0), 42, signals={"series": "RMSSD:acme:watch"})))
        assert HrvNight.objects.get(night=TODAY).verdict["state"] == "CALIBRATING"
        # The ring has the history, so it is the one that pages.
        assert not alerts()


class TestCorrections:
    def rescored(self, world: World, ms: float | None, **said: Any) -> None:
        world.wait(hours=1)
        stamp = world.now.isoformat()
        world.carry(says({**night(ago(0), ms), "stamp": stamp, **said}))

    def test_a_better_value_retracts(self, world: World) -> None:
        world.carry(says(night(ago(0), 20)))
        self.rescored(world, 60)
        raised, retracted = alerts()
        assert retracted.headers["ce_type"] == "auren.alert.hrv.retracted.v1"
        assert retracted.headers["alert-id"] == raised.headers["alert-id"]
        assert retracted.headers["revision"] == "2"
        assert retracted.headers["priority"] == "NORMAL"
        alert = HrvAlert.objects.get()
        assert (alert.status, alert.severity) == ("retracted", "NORMAL")
        assert alert.max_severity == "CRITICAL"

    def test_a_worse_value_upgrades(self, world: World) -> None:
        world.carry(says(night(ago(0), 35)))
        self.rescored(world, 20)
        assert [m.event_type for m in alerts()] == [
            "hrv_alert.raised",
            "hrv_alert.upgraded",
        ]
        assert HrvAlert.objects.get().severity == "CRITICAL"

    def test_an_older_night_judged_anew_is_not_urgent(self, world: World) -> None:
        """Only the two newest nights may be: what came since is what staff look at."""
        history(world, nights=23, until=0)
        world.now = NOW
        for days, priority in ((2, "NORMAL"), (1, "HIGH")):
            world.carry(says(night(ago(days), 20, version=2)))
            event = [m for m in sent() if m.topic != "biometric-alerts"][-1]
            assert event.headers["severity"] == "HIGH"
            assert event.headers["priority"] == priority

    def test_noise_changes_neither_night_nor_alert(self, world: World) -> None:
        world.carry(says(night(ago(0), 35)))
        self.rescored(world, 35.2)
        stored = HrvNight.objects.get()
        assert stored.value_ms == 35
        assert stored.revision_stamp == world.now
        assert len(alerts()) == 1
        assert value(sent()[-1])["assessment"]["severity"] == "HIGH"

    def test_deleting_the_night_takes_its_alert_back(self, world: World) -> None:
        world.carry(says(night(ago(0), 20)))
        self.rescored(world, None, action="deleted", night=None)
        assert HrvNight.objects.get().value_ms is None
        assert [m.event_type for m in alerts()] == [
            "hrv_alert.raised",
            "hrv_alert.retracted",
        ]

    def test_deleting_after_noise_still_finds_the_night(self, world: World) -> None:
        world.carry(says(night(ago(0), 20)))
        self.rescored(world, 20.1)
        self.rescored(world, None, action="deleted", night=None)
        assert HrvNight.objects.get().value_ms is None

    def test_a_sleep_that_moves_to_another_night_leaves_the_first(
        self, world: World
    ) -> None:
        world.carry(says(night(ago(1), 20, record_id="moving")))
        world.wait(hours=1)
        moved = night(ago(0), 20, record_id="moving")
        world.carry(says({**moved, "stamp": world.now.isoformat()}))
        nights = dict(HrvNight.objects.values_list("night", "value_ms"))
        assert nights == {date.fromisoformat(ago(1)): None, TODAY: 20}

    def test_the_longer_sleep_speaks_for_the_night(self, world: World) -> None:
        def slept(record_id: str, ms: float, seconds: int) -> dict[str, Any]:
            said = night(ago(0), ms, record_id=record_id)
            said["readings"]["sleep_duration"] = seconds
            return said

        world.carry(says(slept("long", 50, 25_000)))
        world.carry(says(slept("short", 20, 12_000)))
        assert HrvNight.objects.get(is_main=True).value_ms == 50
        assert not alerts()

    def test_staffs_notes_survive_a_revision(self, world: World) -> None:
        world.carry(says(night(ago(0), 35)))
        HrvAlert.objects.update(status="acknowledged", note="had a late flight")
        self.rescored(world, 20)
        alert = HrvAlert.objects.get()
        assert (alert.status, alert.note) == ("open", "had a late flight")

    def test_an_alert_that_is_raised_again_is_not_acknowledged(
        self, world: World
    ) -> None:
        world.carry(says(night(ago(0), 20)))
        acknowledge(
            HrvAlert.objects.values_list("id", flat=True),
            feedback=Feedback.EXPLAINED,
            note="had a late flight",
            actor="ops",
            now=world.now,
        )
        self.rescored(world, 60)
        self.rescored(world, 20)
        alert = HrvAlert.objects.get()
        assert (alert.status, alert.acknowledged_at) == ("open", None)
        # Who looks again may read what was found the last time.
        assert (alert.acknowledged_by, alert.feedback) == ("ops", "explained")
        assert alert.note == "had a late flight"

    def test_two_quiet_nights_resolve(self, world: World) -> None:
        history(world, nights=20, until=3)
        for days, ms in ((2, 25), (1, 55), (0, 54)):
            world.now = NOW - timedelta(days=days)
            world.carry(says(night(ago(days), ms)))
        assert [m.event_type for m in alerts()] == [
            "hrv_alert.raised",
            "hrv_alert.resolved",
        ]
        alert = HrvAlert.objects.get()
        assert (alert.status, alert.severity) == ("resolved", "HIGH")
        assert "HRV was 25 ms" in alert.message


class TestOtherSignals:
    def test_a_low_sleep_score_is_shown_and_raises_nothing(self, world: World) -> None:
        world.carry(
            says(
                record(type="daily_sleep", date=ago(0), readings={"sleep_score": 61.0})
            )
        )
        (event,) = sent()
        assert event.headers["severity"] == "MEDIUM"
        assert event.headers["priority"] == "MEDIUM"
        assert event.headers["triggers"] == "L_sleep_score<70"
        assert value(event)["assessment"]["reasons"] == ["L_sleep_score<70"]
        assert not HrvAlert.objects.exists()


def test_a_terra_sleep_of_a_new_person_alarms(world: World) -> None:
    body = orjson.loads(TERRA_SLEEP.read_bytes())
    (sleep,) = body["data"][:1]
    body["data"] = [sleep]
    start = NOW - timedelta(hours=9)
    sleep["metadata"] |= {
        "start_time": start.isoformat(),
        "end_time": (start + timedelta(hours=8)).isoformat(),
        "is_nap": False,
    }
    sleep["heart_rate_data"] = {"summary": {"avg_hrv_rmssd": 20.0}}
    sleep["sleep_durations_data"] = {"asleep": {"duration_asleep_state_seconds": 26000}}
    delivery = world.store(
        orjson.dumps(body), vendor="terra", account=body["user"]["user_id"]
    )
    world.run()
    delivery.refresh_from_db()
    assert delivery.status == "processed", delivery.error
    event, alert = sent()
    assert (event.topic, event.headers["priority"]) == (
        "terra-biometric-events",
        "HIGH",
    )
    assert (alert.topic, alert.headers["priority"]) == ("biometric-alerts", "HIGH")
    assert alert.headers["severity"] == "CRITICAL"
