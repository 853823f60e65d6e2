"""The installation's ruleset: a file, else hrv-1; a wrong one stops the start."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured
from pytest_django.fixtures import Settings

from biometrics.alerts.configured import configured_ruleset, read_ruleset
from biometrics.alerts.hrv_1 import HRV_1
from tests.auren.test_settings import run


def written(path: Path, **data: object) -> str:
    path.write_text(json.dumps(data))
    return str(path)


def test_without_a_file_it_is_hrv_1() -> None:
    assert configured_ruleset() is HRV_1


def test_a_file_gives_the_rules_and_their_name(
    settings: Settings, tmp_path: Path
) -> None:
    settings.HRV_RULESET_FILE = written(
        tmp_path / "own.json", name="own-1", active_nights=21
    )
    ruleset = configured_ruleset()
    assert (ruleset.name, ruleset.active_nights) == ("own-1", 21)
    assert ruleset.rules == HRV_1.rules


def test_the_mode_of_fixed_limits_holds_for_it_too(
    settings: Settings, tmp_path: Path
) -> None:
    settings.HRV_RULESET_FILE = written(tmp_path / "own.json", name="own-2")
    settings.HRV_ABSOLUTE_RULES = "off"
    assert configured_ruleset().name == "own-2+off"


def test_a_files_own_modes_hold_unless_one_mode_is_set_for_all(
    settings: Settings, tmp_path: Path
) -> None:
    limits = [
        {"below_ms": 25, "severity": "CRITICAL", "mode": "always"},
        {"below_ms": 40, "severity": "HIGH", "mode": "guarded"},
    ]
    path = written(tmp_path / "own.json", name="own-4", absolute=limits)
    settings.HRV_RULESET_FILE = path
    for ruleset in (configured_ruleset(), read_ruleset(path)):
        assert ruleset.name == "own-4"
        assert [rule.mode for rule in ruleset.absolute] == ["always", "guarded"]
    settings.HRV_ABSOLUTE_RULES = "until_baseline"
    for ruleset in (configured_ruleset(), read_ruleset(path)):
        assert ruleset.name == "own-4+until_baseline"
        assert {rule.mode for rule in ruleset.absolute} == {"until_baseline"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"name": "own-3", "active_nights": 0}', "active_nights"),
        ('{"name": "own-3", "rule": []}', "rule"),
        ("not json", "JSON"),
    ],
)
def test_a_wrong_file_is_refused_by_its_field(
    settings: Settings, tmp_path: Path, text: str, said: str
) -> None:
    path = tmp_path / "wrong.json"
    path.write_text(text)
    settings.HRV_RULESET_FILE = str(path)
    with pytest.raises(ImproperlyConfigured, match=f"HRV_RULESET_FILE.*{said}"):
        configured_ruleset()


def test_a_missing_file_stops_every_process(tmp_path: Path) -> None:
    path = str(tmp_path / "none.json")
    named = {"DJANGO_SETTINGS_MODULE": "auren.settings", "HRV_RULESET_FILE": path}
    done = run("import django; django.setup()", **named)
    assert done.returncode != 0
    last = done.stderr.splitlines()[-1]
    assert "HRV_RULESET_FILE" in last
    assert path in last
