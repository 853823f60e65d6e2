"""The commands over stored nights: rebuilding, replaying, reporting on one person."""

from __future__ import annotations

import json
from datetime import timedelta
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from PIL import Image
from pytest_django.fixtures import Settings

from biometrics.alerts.staff import set_offset
from biometrics.models import AuditEntry, HrvAlert, HrvNight, OutboxMessage, Subject
from tests.pipeline.test_alerts import TODAY, ago, history
from tests.pipeline.world import NOW, World, night, says


def told(command: str, *arguments: Any) -> str:
    out = StringIO()
    call_command(command, *(str(word) for word in arguments), stdout=out)
    return out.getvalue()


def ruleset(path: Path, **data: Any) -> str:
    path.write_text(json.dumps({"name": "own-1", **data}))
    return str(path)


@pytest.fixture
def ill(world: World) -> World:
    """Carry twenty ordinary nights and a low one, of which staff were told."""
    history(world, nights=20)
    world.now = NOW
    world.carry(says(night(ago(0), 42)))
    return world


class TestRebuild:
    def test_what_is_right_is_left_alone(self, ill: World) -> None:
        before = list(HrvNight.objects.order_by("id").values())
        assert "0 verdicts changed" in told("rebuild_baselines")
        assert list(HrvNight.objects.order_by("id").values()) == before

    def test_what_differs_is_mended_once_and_told(self, ill: World) -> None:
        wanted = HrvNight.objects.get(night=TODAY)
        HrvNight.objects.filter(pk=wanted.pk).update(
            severity="NORMAL", verdict={}, z1=None
        )
        first = told("rebuild_baselines", "-v", 2)
        assert f"{ago(0)}  {wanted.subject_id}" in first
        assert "1  nights NORMAL -> MEDIUM" in first
        assert "1 people, 21 nights judged by hrv-1: 1 verdicts changed, 1 to" in first
        again = HrvNight.objects.get(night=TODAY)
        assert (again.severity, again.verdict, again.z1) == (
            wanted.severity,
            wanted.verdict,
            wanted.z1,
        )
        assert "0 verdicts changed" in told("rebuild_baselines")

    @pytest.mark.parametrize(
        "wrong",
        [{"severity": "CRITICAL"}, {"ruleset": "x"}, {"z1": 1.0}, {"verdict": {}}],
        ids=lambda wrong: next(iter(wrong)),
    )
    def test_a_dry_run_tells_every_difference_and_writes_nothing(
        self, ill: World, wrong: dict[str, Any]
    ) -> None:
        HrvNight.objects.filter(night=TODAY).update(**wrong)
        before = list(HrvNight.objects.order_by("id").values())
        said = told("rebuild_baselines", "--dry-run")
        assert "1 verdicts would change" in said
        assert list(HrvNight.objects.order_by("id").values()) == before
        assert "1 verdicts changed" in told("rebuild_baselines")
        assert list(HrvNight.objects.order_by("id").values()) != before

    def test_it_judges_by_the_configured_ruleset_and_the_person_s_offset(
        self, ill: World, settings: Settings, tmp_path: Path
    ) -> None:
        settings.HRV_RULESET_FILE = ruleset(tmp_path / "own.json", active_nights=21)
        set_offset(
            Subject.objects.get().pk, offset=0.25, reason="x", actor="ops", now=NOW
        )
        told("rebuild_baselines")
        stored = HrvNight.objects.get(night=TODAY)
        assert stored.verdict["ruleset"] == "own-1"
        assert stored.verdict["state"] == "PROVISIONAL"
        assert stored.verdict["threshold_offset"] == 0.25

    def test_it_raises_and_sends_nothing(self, world: World) -> None:
        history(world, nights=20)
        HrvNight.objects.filter(night=ago(1)).update(value_ms=20.0)
        assert "-> HIGH" in told("rebuild_baselines")
        assert not HrvAlert.objects.exists()
        assert not OutboxMessage.objects.exists()

    def test_one_person_can_be_chosen(self, ill: World) -> None:
        assert "0 people, 0 nights" in told("rebuild_baselines", "--subject", uuid4())

    def test_a_second_sleep_stays_unjudged(self, ill: World) -> None:
        other = night(ago(0), 50, record_id="nap")
        other["readings"]["sleep_duration"] = 11_000
        ill.carry(says(other))
        HrvNight.objects.update(severity="CRITICAL", verdict={"x": 1}, ruleset="y")
        assert "21 nights" in told("rebuild_baselines")
        judged = HrvNight.objects.filter(is_main=True)
        assert set(judged.values_list("ruleset", flat=True)) == {"hrv-1"}
        beside = HrvNight.objects.get(is_main=False)
        assert (beside.severity, beside.verdict) == ("CRITICAL", {"x": 1})


class TestReplay:
    def test_both_rulesets_stand_side_by_side(self, ill: World, tmp_path: Path) -> None:
        rule = {"code": "M9_z<=-1.0", "severity": "HIGH", "at_most": -1.0}
        path = ruleset(tmp_path / "own.json", rules=[rule])
        before = HrvAlert.objects.values().get()
        told_lines = told("hrv_replay", "--ruleset", path, "--since", ago(5), "-v", 2)
        lines = told_lines.splitlines()
        assert lines[0] == f"6 user-nights since {ago(5)}"
        assert lines[1].split() == ["hrv-1", "own-1"]
        assert lines[3].split() == ["HIGH", "0", "(0.000)", "1", "(5.000)"]
        assert lines[4].split() == ["MEDIUM", "1", "(5.000)", "0", "(0.000)"]
        assert "RAISED HIGH  M9_z<=-1.0" in lines[-1]
        # Nothing was raised or changed by looking.
        assert HrvAlert.objects.values().get() == before

    def test_it_tells_what_was_really_raised(self, world: World) -> None:
        """Live and replayed, the same nights raise the same alerts."""
        values = [50, 60] * 10 + [30, 31, 32, 55, 56, 57, 28]
        first = len(values) - 1
        for place, ms in enumerate(values):
            world.now = NOW - timedelta(days=first - place)
            world.carry(says(night(ago(first - place), ms)))
        live = {(alert.night, alert.max_severity) for alert in HrvAlert.objects.all()}
        text = told(
            "hrv_replay", "--ruleset", "docs/hrv-1.json", "--since", ago(first), "-v", 2
        )
        replayed: dict[str, str] = {}
        for line in text.splitlines():
            if " RAISED " in line or " UPGRADED " in line:
                day, _person, _kind, severity, *_ = line.split()
                replayed[day] = severity
        assert {(str(day), severity) for day, severity in live} == set(replayed.items())

    @pytest.mark.parametrize("nights", [1, 6, 7])
    def test_an_alert_is_over_after_as_many_quiet_nights_as_the_ruleset_wants(
        self, world: World, settings: Settings, tmp_path: Path, nights: int
    ) -> None:
        settings.HRV_RULESET_FILE = ruleset(
            tmp_path / "own.json", sending={"resolve_nights": nights}
        )
        history(world, nights=20, until=nights + 1)
        # The low night, then as many ordinary ones.
        for back in range(nights, -1, -1):
            assert not HrvAlert.objects.filter(status="resolved").exists()
            world.now = NOW - timedelta(days=back)
            world.carry(says(night(ago(back), 24 if back == nights else 62)))
        (alert,) = HrvAlert.objects.all()
        assert (alert.max_severity, alert.status) == ("HIGH", "resolved")

    def test_a_wrong_ruleset_is_refused_by_its_field(
        self, ill: World, tmp_path: Path
    ) -> None:
        path = ruleset(tmp_path / "own.json", prior_weight="much")
        with pytest.raises(CommandError, match="prior_weight"):
            told("hrv_replay", "--ruleset", path, "--since", ago(5))


class TestReport:
    def report(self, *arguments: Any) -> str:
        person = Subject.objects.get().pk
        return told("hrv_report", person, "--reason", "asked", *arguments)

    def test_it_shows_nights_and_alerts_and_writes_it_down(self, ill: World) -> None:
        text = self.report()
        assert "RMSSD:acme:ring, 21 nights" in text
        last = [line for line in text.splitlines() if line.startswith(ago(0))]
        assert last[0].split()[1] == "42.0"
        assert last[0].endswith("MEDIUM   MEDIUM (open)")
        assert "not a diagnosis" in text
        entry = AuditEntry.objects.get(verb="values.reveal")
        assert (entry.target, entry.reason) == (
            f"subject {Subject.objects.get().pk}",
            "asked",
        )
        assert entry.detail["what"] == "the HRV nights of 90 days"

    def test_the_chart_is_a_picture(self, ill: World, tmp_path: Path) -> None:
        path = tmp_path / "chart.png"
        assert f"Chart: {path}" in self.report("--png", path)
        with Image.open(BytesIO(path.read_bytes())) as picture:
            assert (picture.format, picture.size) == ("PNG", (1000, 420))
            colours = {colour for _, colour in picture.getcolors(100_000) or []}
        # Band, line and the alert's triangle are drawn.
        assert {(219, 234, 254), (29, 78, 216), (3, 105, 161)} <= colours

    def test_without_a_reason_nothing_is_shown(self, ill: World) -> None:
        with pytest.raises(CommandError, match="reason"):
            told("hrv_report", Subject.objects.get().pk, "--reason", " ")

    def test_an_unknown_person_or_series_is_named(self, ill: World) -> None:
        with pytest.raises(CommandError, match="Nobody has the id"):
            told("hrv_report", uuid4(), "--reason", "asked")
        with pytest.raises(CommandError, match=r"known are RMSSD:acme:ring"):
            self.report("--series", "SDNN:apple:watch")
