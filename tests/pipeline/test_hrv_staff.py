"""What staff decide for a person reaches the judging, and ends when it should."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from biometrics.alerts.staff import TuningError, acknowledge, mute, set_offset
from biometrics.audit import ReasonMissingError
from biometrics.models import AuditEntry, HrvAlert, HrvNight, HrvTuning, Subject
from biometrics.models.hrv import Feedback
from tests.pipeline.test_alerts import TODAY, ago, alerts, history
from tests.pipeline.world import NOW, World, night, says, sent


def decided(world: World, **more: Any) -> dict[str, Any]:
    return {"reason": "talked to them", "actor": "ops", "now": world.now, **more}


def person() -> Any:
    return Subject.objects.get().pk


class TestOffset:
    def test_it_lowers_the_thresholds_of_the_next_nights(self, world: World) -> None:
        history(world, nights=14)
        set_offset(person(), offset=0.5, **decided(world))
        world.now = NOW
        world.carry(says(night(ago(0), 42)))
        stored = HrvNight.objects.get(night=TODAY)
        # z1 is -1.94: MEDIUM from -1.5 on, but for this person from -2.0 on.
        assert stored.severity == "NORMAL"
        assert stored.verdict["threshold_offset"] == 0.5
        assert not alerts()

    def test_a_ruleset_that_allows_less_cuts_a_stored_one(
        self, world: World, settings: Settings, tmp_path: Path
    ) -> None:
        history(world, nights=14)
        set_offset(person(), offset=1.0, **decided(world))
        path = tmp_path / "own.json"
        path.write_text('{"name": "own-1", "maximum_offset": 0.25}')
        settings.HRV_RULESET_FILE = str(path)
        world.now = NOW
        assert world.carry(says(night(ago(0), 42))).status == "processed"
        stored = HrvNight.objects.get(night=TODAY)
        assert stored.verdict["threshold_offset"] == 0.25
        assert stored.severity == "MEDIUM"

    @pytest.mark.parametrize("offset", [-0.25, 0.1, 2.25, float("nan"), float("inf")])
    def test_other_values_are_refused(self, world: World, offset: float) -> None:
        history(world, nights=1)
        with pytest.raises(TuningError, match="threshold offset"):
            set_offset(person(), offset=offset, **decided(world))
        assert not HrvTuning.objects.exists()

    def test_an_old_alert_that_is_judged_anew_by_it_is_taken_back(
        self, world: World
    ) -> None:
        history(world, nights=20, until=3)
        world.now = NOW - timedelta(days=2)
        world.carry(says(night(ago(2), 42)))
        assert HrvAlert.objects.get().status == "open"
        set_offset(person(), offset=1.0, **decided(world))
        assert HrvAlert.objects.get().status == "open"
        # A night that came late: the ones after it are judged anew.
        world.now = NOW
        world.carry(says(night(ago(24), 55)))
        assert HrvAlert.objects.get().status == "retracted"

    def test_each_decision_keeps_its_own_reason(self, world: World) -> None:
        history(world, nights=1)
        set_offset(person(), offset=0.25, **decided(world, reason="many alerts"))
        mute(person(), until=TODAY, **decided(world, reason="on holiday"))
        tuning = HrvTuning.objects.get()
        assert (tuning.reason, tuning.muted_because) == ("many alerts", "on holiday")

    def test_it_needs_a_reason_and_is_written_down(self, world: World) -> None:
        history(world, nights=1)
        with pytest.raises(ReasonMissingError):
            set_offset(person(), offset=0.25, **decided(world, reason=" "))
        assert not HrvTuning.objects.exists()
        set_offset(person(), offset=0.25, **decided(world))
        entry = AuditEntry.objects.get()
        assert (entry.verb, entry.actor) == ("hrv.offset", "ops")
        assert entry.detail == {"threshold_offset": "0.25"}


class TestMute:
    def muted(self, world: World, *, days: int) -> None:
        history(world, nights=14)
        until = TODAY + timedelta(days=days)
        mute(person(), until=until, **decided(world))
        world.now = NOW

    def test_nothing_is_raised_until_its_end(self, world: World) -> None:
        self.muted(world, days=0)
        world.carry(says(night(ago(0), 20)))
        assert not alerts()
        assert not HrvAlert.objects.exists()
        # The night is judged and shown all the same, but it is not urgent.
        assert HrvNight.objects.get(night=TODAY).severity == "HIGH"
        (event,) = sent()
        assert event.headers["severity"] == "HIGH"
        assert event.headers["priority"] == "NORMAL"

    def test_it_ends_by_itself(self, world: World) -> None:
        self.muted(world, days=0)
        world.now = NOW + timedelta(days=1)
        world.carry(says(night((TODAY + timedelta(days=1)).isoformat(), 20)))
        assert len(alerts()) == 1

    def test_a_false_alert_is_still_taken_back(self, world: World) -> None:
        world.carry(says(night(ago(0), 20)))
        mute(person(), until=TODAY, **decided(world))
        world.wait(hours=1)
        again = {**night(ago(0), 60), "stamp": world.now.isoformat()}
        world.carry(says(again))
        assert HrvAlert.objects.get().status == "retracted"

    def test_it_can_be_ended_early(self, world: World) -> None:
        self.muted(world, days=5)
        mute(person(), until=None, **decided(world))
        world.carry(says(night(ago(0), 20)))
        assert len(alerts()) == 1
        verbs = AuditEntry.objects.order_by("id").values_list("verb", flat=True)
        assert list(verbs) == ["hrv.mute", "hrv.unmute"]

    @pytest.mark.parametrize("days", [-3, 91])
    def test_a_date_that_makes_no_sense_is_refused(
        self, world: World, days: int
    ) -> None:
        with pytest.raises(TuningError, match="muted until"):
            self.muted(world, days=days)


class TestFeedback:
    def test_an_alert_is_acknowledged_with_what_it_was_worth(
        self, world: World
    ) -> None:
        world.carry(says(night(ago(0), 20)))
        ids = list(HrvAlert.objects.values_list("id", flat=True))
        said: Any = {"note": "has a cold", "actor": "ops", "now": world.now}
        assert acknowledge(ids, feedback=Feedback.USEFUL, **said) == 1
        assert acknowledge(ids, feedback=Feedback.NO_IDEA, **said) == 0
        alert = HrvAlert.objects.get()
        assert (alert.status, alert.feedback) == ("acknowledged", "useful")
        assert (alert.acknowledged_by, alert.note) == ("ops", "has a cold")


class TestDevices:
    """The ring has the history; a watch is worn beside it, and then alone."""

    def both(self, world: World) -> None:
        history(world, nights=20, until=2)
        world.now = NOW - timedelta(days=1)
        world.carry(says(night(ago(1), 25)))
        assert HrvAlert.objects.get().series_id == "RMSSD:acme:ring"
        # The watch's past arrives and makes it the primary one.
        watch = [self.watch(days, 60 + days % 3) for days in range(29, -1, -1)]
        world.now = NOW
        world.carry(says(*watch))

    def watch(self, days: int, ms: float) -> dict[str, Any]:
        signals = {"series": "RMSSD:acme:watch"}
        return night(ago(days), ms, record_id=f"watch-{days}", signals=signals)

    def test_the_new_device_does_not_take_the_old_one_s_alert_back(
        self, world: World
    ) -> None:
        self.both(world)
        alert = HrvAlert.objects.get()
        assert (alert.status, alert.severity) != ("retracted", "NORMAL")
        assert alert.series_id == "RMSSD:acme:ring"

    def test_the_old_device_still_takes_its_own_alert_back(self, world: World) -> None:
        self.both(world)
        world.wait(hours=1)
        again = {**night(ago(1), 55), "stamp": world.now.isoformat()}
        world.carry(says(again))
        alert = HrvAlert.objects.get()
        assert (alert.status, alert.severity) == ("retracted", "NORMAL")

    def test_the_old_device_makes_its_own_alert_no_worse(self, world: World) -> None:
        history(world, nights=20, until=1)
        world.now = NOW
        world.carry(says(night(ago(0), 42)))
        assert HrvAlert.objects.get().severity == "MEDIUM"
        world.carry(
            says(*(self.watch(days, 60 + days % 3) for days in range(29, -1, -1)))
        )
        told = len(alerts())
        world.wait(hours=1)
        # The ring's night turns out to be far lower; the watch saw an ordinary one.
        world.carry(says({**night(ago(0), 25), "stamp": world.now.isoformat()}))
        assert HrvNight.objects.get(night=TODAY, value_ms=25).severity == "HIGH"
        assert HrvAlert.objects.get().severity == "MEDIUM"
        assert len(alerts()) == told

    def test_the_old_device_raises_nothing_any_more(self, world: World) -> None:
        self.both(world)
        told = len(alerts())
        world.carry(says(night(ago(0), 20)))
        assert len(alerts()) == told
