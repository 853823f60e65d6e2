"""The page of the vendors holds what their tables map, and nothing else."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from biometrics.catalogue import METRICS, Metric
from biometrics.management.commands import coverage as command
from biometrics.vendors.coverage import times
from biometrics.vendors.matrix import render
from biometrics.vendors.registry import all_adapters
from biometrics.vendors.whoop.adapter import Whoop


def run(*arguments: str) -> str:
    told = StringIO()
    call_command("coverage", *arguments, stdout=told)
    return told.getvalue()


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a copy of the committed page, which the command works on."""
    copy = tmp_path / "vendors.md"
    copy.write_text(command.PAGE.read_text(encoding="utf-8"), encoding="utf-8")
    monkeypatch.setattr(command, "PAGE", copy)
    return copy


def test_the_committed_page_is_as_the_code_says() -> None:
    assert "as the code says" in run("--check")


def test_a_difference_is_shown_and_writing_mends_it_below_the_prose(page: Path) -> None:
    committed = page.read_text(encoding="utf-8")
    page.write_text(committed.replace("recovery", "rest"), encoding="utf-8")
    with pytest.raises(CommandError, match="differs from the code") as caught:
        run("--check")
    assert "\n+ | " in str(caught.value)
    run()
    run("--check")
    prose = committed.partition("<!--")[0].replace("recovery", "rest")
    assert page.read_text(encoding="utf-8").startswith(prose)


def test_a_page_without_a_place_for_the_tables_is_left_alone(page: Path) -> None:
    page.write_text("prose", encoding="utf-8")
    with pytest.raises(CommandError, match="no line"):
        run()
    assert page.read_text(encoding="utf-8") == "prose"


def test_every_metric_has_a_row_and_every_vendor_a_table() -> None:
    text = render(all_adapters())
    for metric in METRICS:
        assert f"\n| `{metric}` | " in text
    for adapter in all_adapters():
        assert f"\n## Fields of {adapter.title}\n" in text
        assert all(f"`{row.field}`" in text for row in adapter.coverage)


def test_every_metric_of_the_catalogue_has_a_source() -> None:
    found = {row.metric for adapter in all_adapters() for row in adapter.coverage}
    assert set(Metric) == found


def test_a_row_says_where_the_number_comes_from_and_what_is_done_to_it() -> None:
    lines = render([Whoop()]).splitlines()
    assert "| `heart_rate_variability_rmssd` | `ms` | recovery |" in lines
    assert (
        "| recovery | `score.hrv_rmssd_milli` | `heart_rate_variability_rmssd` | `ms`"
        " | sleep | as sent |  |"
    ) in lines
    (energy,) = [x for x in lines if x.startswith("| cycle | `score.kilojoule`")]
    assert energy.endswith("| / 4.184 |")


@pytest.mark.parametrize(
    ("scale", "said"),
    [(1.0, ""), (0.001, "x 0.001"), (-0.001, "x -0.001"), (1 / 4.184, "/ 4.184")],
)
def test_factors_are_written_as_they_are_meant(scale: float, said: str) -> None:
    assert times(scale) == said
