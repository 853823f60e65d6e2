"""An alert's page: why it was raised, drawn and in tables, after a reveal alone."""

from __future__ import annotations

import html
import json
import re
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.admin import site
from django.contrib.admin.utils import flatten_fieldsets, label_for_field
from django.contrib.auth.models import Group, User
from django.test import Client, RequestFactory
from django.urls import reverse
from pytest_django.fixtures import Settings

from biometrics.admin.base import ReadOnlyAdmin
from biometrics.admin.hrv_chart import around, of_person
from biometrics.admin.hrv_evidence import evidence_of
from biometrics.alerts.explaining import AnyRule, Spoke, in_words, spoke, why
from biometrics.alerts.hrv_1 import HRV_1
from biometrics.alerts.ruleset import AbsoluteRule, DropRule
from biometrics.models import HrvAlert, HrvNight
from tests.console.revealing import reveal
from tests.console.test_pages import page_url

SERIES = "RMSSD:terra:garmin"


def rules(*reasons: str, ruleset: str = "hrv-1", state: str = "ACTIVE") -> list[Spoke]:
    return spoke(HrvAlert(reasons=list(reasons), ruleset=ruleset), state=state)


@pytest.fixture
def ill(world: SimpleNamespace) -> SimpleNamespace:
    """Return a person with twenty nights, one of them missing, and a low last one."""
    last = world.hrvnight.night
    for ago in range(1, 21):
        if ago == 7:
            continue
        HrvNight.objects.create(
            subject=world.subject,
            series_id=SERIES,
            kind="RMSSD",
            night=last - timedelta(days=ago),
            value_ms=None if ago == 9 else 54.25 + ago,
            revision_stamp=world.hrvnight.revision_stamp,
            verdict=verdict(nights=20 - ago),
        )
    HrvNight.objects.update(ruleset="hrv-1")
    HrvNight.objects.filter(pk=world.hrvnight.pk).update(
        value_ms=31.5, verdict=verdict(nights=18, z1=-3.1)
    )
    HrvAlert.objects.update(
        reasons=["K2_z<=-3.0_two_corroborators", "M1_z<=-1.5"],
        message="HRV was 31.5 ms.",
        evidence={
            **verdict(nights=18, z1=-3.1),
            "value_ms": 31.5,
            "baseline_ms": 57.1234,
            "z7": -0.42,
            "corroborators": [
                {"signal": "RHR", "value": 66.0, "usual": 52.4, "delta": 13.6, "z": 4.1}
            ],
        },
    )
    world.hrvalert.refresh_from_db()
    return world


def verdict(*, nights: int, z1: float | None = 0.2) -> dict[str, Any]:
    state = "ACTIVE" if nights >= 14 else "PROVISIONAL"
    return {"range_ms": [48.0, 66.5], "z1": z1, "nights": nights, "state": state}


def drawn(text: str) -> dict[str, Any]:
    found = re.search(r'id="hrv-[\w-]+" type="application/json">(.*?)</script>', text)
    assert found is not None
    data: dict[str, Any] = json.loads(found[1])
    return data


PAGES = ("hrvalert", "subject", "hrvnight")


@pytest.mark.parametrize("model", PAGES)
def test_no_value_is_sent_before_a_reveal(
    admin_client: Client, ill: SimpleNamespace, model: str
) -> None:
    url = page_url(model, getattr(ill, model).pk)
    before = admin_client.get(url).content.decode()
    # The seconds of an instant may read 31.5 too: only a value's digits are meant.
    assert not re.search(r"(?<![\d:.])31\.5", before)
    assert "application/json" not in before
    assert "Reveal" in before
    reveal(admin_client, ill.subject.pk)
    assert "31.5" in admin_client.get(url).content.decode()


def test_before_a_reveal_the_alert_page_says_in_words_why(
    admin_client: Client, ill: SimpleNamespace
) -> None:
    url = page_url("hrvalert", ill.hrvalert.pk)
    line = why(ill.hrvalert, state="ACTIVE")
    text = html.unescape(admin_client.get(url).content.decode())
    assert "Why it was raised" in text
    # Above the fields, and among them.
    assert text.count(line) == 2
    offer = reverse("admin:biometrics_subject_reveal", args=[ill.subject.pk])
    assert text.index(f'href="{offer}?') < text.index(line, text.index(line) + 1)
    reveal(admin_client, ill.subject.pk)
    shown = html.unescape(admin_client.get(url).content.decode())
    assert "Why it was raised" not in shown
    assert "HRV was 31.5 ms." in shown


def test_no_two_fields_of_a_page_have_the_same_name(rf: RequestFactory) -> None:
    asked = rf.get("/")
    asked.user = User(is_staff=True, is_superuser=True)
    twice = {}
    for model, page in site._registry.items():
        if not isinstance(page, ReadOnlyAdmin):
            continue
        names = [
            label_for_field(name, model, page)
            for name in flatten_fieldsets(page.get_fieldsets(asked))
        ]
        if len(set(names)) < len(names):
            twice[model] = names
    assert twice == {}


def test_without_the_right_the_person_page_says_who_may_see(
    ill: SimpleNamespace,
) -> None:
    viewer = User.objects.create_user("viewer", password="x", is_staff=True)
    viewer.groups.add(Group.objects.get(name="viewer"))
    client = Client()
    client.force_login(viewer)
    page = client.get(page_url("subject", ill.subject.pk)).content.decode()
    assert "shown to staff with the right to reveal" in page
    assert "Reveal" not in page


def test_the_alert_page_shows_the_evidence(
    admin_client: Client, ill: SimpleNamespace
) -> None:
    reveal(admin_client, ill.subject.pk)
    text = admin_client.get(page_url("hrvalert", ill.hrvalert.pk)).content.decode()
    shown = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", text))
    for line in (
        "HRV of the night (RMSSD) 31.5 ms",
        "Own usual range 48 to 66 ms",
        "Own baseline 57.1 ms",
        "z1: this night, in own SD -3.10",
        "z7: last seven nights, in own SD -0.42",
        "Nights used for the baseline 18",
        "Ruleset hrv-1",
        "Resting heart rate 66 bpm 52 bpm +14 bpm +4.10",
        "K2_z&lt;=-3.0_two_corroborators",
        "this night at -3 own SD or lower, with 2 or more other signals",
    ):
        assert line in shown, line


def test_the_chart_has_a_place_for_each_night_and_none_for_a_gap(
    ill: SimpleNamespace,
) -> None:
    chart = around(ill.hrvalert)
    data = chart.data
    assert chart.title == "Nightly HRV (RMSSD), terra garmin"
    assert len(data["nights"]) == 21
    assert data["values"][-1] == 31.5
    assert data["values"][-8] is None  # no row
    assert data["values"][-10] is None  # a row without a value
    assert data["values"][-2] == 55.2
    assert (data["low"][-1], data["high"][-1]) == (48.0, 66.5)
    assert data["low"][-8] is None
    assert data["alerts"] == {ill.hrvalert.night.isoformat(): "CRITICAL"}
    assert "19 of 21 nights have a value." in chart.sentence
    assert "Own usual range 48 to 66 ms, from 18 nights." in chart.sentence


def test_later_nights_are_drawn_for_two_weeks(ill: SimpleNamespace) -> None:
    for ahead in (1, 14, 15):
        HrvNight.objects.create(
            subject=ill.subject,
            series_id=SERIES,
            kind="RMSSD",
            night=ill.hrvalert.night + timedelta(days=ahead),
            value_ms=50,
            revision_stamp=ill.hrvnight.revision_stamp,
        )
    nights = around(ill.hrvalert).data["nights"]
    assert nights[-1] == (ill.hrvalert.night + timedelta(days=14)).isoformat()


def test_an_alert_that_was_taken_back_is_drawn_as_such(ill: SimpleNamespace) -> None:
    HrvAlert.objects.update(status="retracted", severity="NORMAL")
    ill.hrvalert.refresh_from_db()
    chart = around(ill.hrvalert)
    assert list(chart.data["alerts"].values()) == ["Taken back"]
    assert "0 alerts" in chart.sentence


def test_methods_are_never_drawn_together(ill: SimpleNamespace) -> None:
    HrvNight.objects.create(
        subject=ill.subject,
        series_id="SDNN:apple:watch",
        kind="SDNN",
        night=ill.hrvalert.night,
        value_ms=99,
        revision_stamp=ill.hrvnight.revision_stamp,
    )
    charts = of_person(ill.subject, days=30, today=ill.hrvalert.night)
    assert [chart.title for chart in charts] == [
        "Nightly HRV (RMSSD), terra garmin",
        "Nightly HRV (SDNN), apple watch",
    ]
    assert [value for value in charts[1].data["values"] if value is not None] == [99]
    assert "0 of 14 nights: no usual range yet." in charts[1].sentence


@pytest.mark.parametrize(
    ("query", "length"), [({}, 90), ({"days": "30"}, 30), ({"days": "x"}, 90)]
)
def test_the_person_page_draws_the_span_that_is_asked_for(
    admin_client: Client,
    ill: SimpleNamespace,
    query: dict[str, str],
    length: int,
) -> None:
    HrvNight.objects.filter(night__lt=ill.hrvalert.night).delete()
    reveal(admin_client, ill.subject.pk)
    url = page_url("subject", ill.subject.pk)
    chart = of_person(ill.subject, days=length, today=ill.hrvalert.night)[0]
    assert len(chart.data["nights"]) == length
    # The page looks back from today, which is not the world's.
    assert admin_client.get(url, query).status_code == 200


def test_a_chart_costs_few_queries(
    ill: SimpleNamespace, django_assert_max_num_queries: Any
) -> None:
    with django_assert_max_num_queries(4):
        of_person(ill.subject, days=90, today=ill.hrvalert.night)
    with django_assert_max_num_queries(3):
        around(ill.hrvalert)


class TestRulesInWords:
    def test_every_rule_of_the_ruleset_has_its_own_words(self) -> None:
        rules: list[AnyRule] = [*HRV_1.rules, *HRV_1.absolute, *HRV_1.drops]
        words = [in_words(rule) for rule in rules]
        assert len(set(words)) == len(rules)

    def test_a_rule_over_several_nights(self) -> None:
        assert in_words(HRV_1.rules[0]) == (
            "this night at -2 own SD or lower, as on 2 of the last 3 nights, on 2 of"
            " them at -1.5 or lower together with another signal"
        )

    def test_a_fixed_limit_says_that_it_is_one(self) -> None:
        assert in_words(AbsoluteRule(below_ms=25, severity="CRITICAL")) == (
            "below 25 ms, a fixed limit (only until the own baseline is known)"
        )

    def test_a_drop_says_from_what(self) -> None:
        assert in_words(DropRule(percent=30, severity="HIGH", mode="always")) == (
            "more than 30 % below the own baseline (always on)"
        )

    def test_a_ruleset_that_is_not_at_hand_explains_nothing(self) -> None:
        (one,) = rules("M1_z<=-1.5", ruleset="hrv-2")
        assert (one.severity, one.words) == ("-", "see ruleset hrv-2")

    def test_the_rulesets_at_hand_explain_whatever_is_set_now(
        self, settings: Settings, tmp_path: Path
    ) -> None:
        path = tmp_path / "own.json"
        path.write_text('{"name": "hrv-2"}')
        settings.HRV_RULESET_FILE = str(path)
        settings.HRV_ABSOLUTE_RULES = "off"
        for named in ("hrv-1", "hrv-1+always", "hrv-2", "hrv-2+guarded"):
            (one,) = rules("M1_z<=-1.5", ruleset=named)
            assert one.severity == "MEDIUM", named

    def test_a_rule_that_was_capped_counts_as_what_it_was_allowed(self) -> None:
        (one,) = rules("H5_z<=-3.0", state="PROVISIONAL")
        assert one.severity == "MEDIUM"
        assert one.words.endswith("no more than MEDIUM until the own baseline is known")
        (one,) = rules("H5_z<=-3.0", state="ACTIVE")
        assert one.severity == "HIGH"
        assert "no more than" not in one.words

    @pytest.mark.parametrize(
        ("mode", "severity"), [("guarded", "MEDIUM"), ("always", "CRITICAL")]
    )
    def test_a_guarded_limit_never_counts_as_more_than_medium(
        self, *, mode: str, severity: str
    ) -> None:
        for state in ("CALIBRATING", "ACTIVE"):
            (one,) = rules(f"A_hrv<25_{mode}", ruleset=f"hrv-1+{mode}", state=state)
            assert one.severity == severity

    def test_the_inbox_names_the_rule_that_made_it_so_severe(self) -> None:
        both = HrvAlert(
            reasons=["M1_z<=-1.5", "A_hrv<25_until_baseline"], ruleset="hrv-1"
        )
        said = why(both, state="PROVISIONAL")
        assert said.startswith("below a fixed limit")
        assert said.endswith("(and 1 more)")

    def test_an_alert_of_old_has_empty_places(self, world: SimpleNamespace) -> None:
        found = evidence_of(world.hrvalert)
        assert ("z1: this night, in own SD", "-") in found.figures
        assert found.corroborators == []
