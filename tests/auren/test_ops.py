"""Alerts, dashboard, runbook and reference pages speak of what there is."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import CommandError, call_command

from auren.health import TableCollector
from auren.management.commands import reference
from auren.reference import configuration, dependencies
from auren.reference.metrics import described
from tests.drills.faults import FAULTS

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "ops" / "prometheus" / "alerts.yml"
DASHBOARD = ROOT / "ops" / "grafana" / "dashboard.json"
# Prometheus makes these of every target and every histogram.
FOREIGN_LABELS = {"job", "instance", "le"}
_SELECTOR = re.compile(r"(biobridge_[a-z0-9_]+)(?:\{([^}]*)\})?")


def rules() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load(RULES.read_text())["groups"]
    found: list[dict[str, Any]] = group["rules"]
    return found


def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(DASHBOARD.read_text())["panels"]
    return found


def expressions() -> Iterator[tuple[str, str]]:
    for rule in rules():
        yield rule["alert"], rule["expr"]
    for panel in panels():
        for target in panel["targets"]:
            yield panel["title"], target["expr"]


EXPRESSIONS = [
    pytest.param(expr, id=f"{name} {number}")
    for number, (name, expr) in enumerate(expressions())
]


@pytest.mark.parametrize("expr", EXPRESSIONS)
def test_only_metrics_and_labels_that_exist_are_used(expr: str) -> None:
    known = {name: metric for metric in described() for name in metric.series}
    used = _SELECTOR.findall(expr)
    assert used or expr.startswith("up{")
    labels: set[str] = set()
    for name, matchers in used:
        assert name in known, f"{name} does not exist"
        labels |= set(known[name].labels)
        asked = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", matchers))
        assert asked <= set(known[name].labels), name
    for group in re.findall(r"by \(([^)]*)\)", expr):
        assert {label.strip() for label in group.split(",")} <= labels | FOREIGN_LABELS


@pytest.mark.parametrize("expr", EXPRESSIONS)
def test_what_every_host_says_alike_is_never_added_up(expr: str) -> None:
    of_tables = {metric.name for metric in described() if metric.is_of_tables}
    for name, _ in _SELECTOR.findall(expr):
        if name in of_tables:
            assert re.search(rf"max(?: by \([^)]*\))? ?\({name}", expr), expr


@pytest.mark.parametrize("expr", EXPRESSIONS)
def test_brackets_are_closed(expr: str) -> None:
    for opening, closing in ("()", "{}", "[]"):
        assert expr.count(opening) == expr.count(closing)
    assert expr.count('"') % 2 == 0


def test_counters_are_asked_for_their_rate() -> None:
    counters = {
        name
        for metric in described()
        if metric.kind == "counter"
        for name in metric.series
    }
    for title, expr in expressions():
        for name, _ in _SELECTOR.findall(expr):
            if name in counters:
                assert re.search(rf"(?:rate|increase)\({name}", expr), title


def test_every_metric_is_on_the_dashboard() -> None:
    shown = {
        name
        for panel in panels()
        for t in panel["targets"]
        for name, _ in _SELECTOR.findall(t["expr"])
    }
    # Details of circuits are looked at in the admin.
    left_out = re.compile(
        r"biobridge_breaker_(mode|store_up|call_seconds|probes|transitions)"
    )
    missing = [
        metric.name
        for metric in described()
        if not left_out.match(metric.name) and not shown & set(metric.series)
    ]
    assert missing == []


def test_panels_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in panels():
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells


def test_every_alert_is_in_the_runbook_and_no_other() -> None:
    page = (ROOT / "docs" / "runbook.md").read_text()
    entries = re.split(r"^## ", page, flags=re.MULTILINE)[1:]
    named = {entry.partition("\n")[0]: entry for entry in entries}
    assert set(named) == {rule["alert"] for rule in rules()}
    for name, entry in named.items():
        for part in ("Means", "Look at", "Do", "Over"):
            assert f"* **{part}**: " in entry, f"{name}: {part}"


_TRIED = re.compile(r"^\* \*\*Tried\*\* \d{4}-\d\d-\d\d by\s+`(\S+)`:\s", re.MULTILINE)


@pytest.mark.parametrize("alert", [rule["alert"] for rule in rules()])
def test_a_runbook_entry_names_what_caused_its_alert(alert: str) -> None:
    page = (ROOT / "docs" / "runbook.md").read_text()
    (entry,) = re.findall(
        rf"^## {alert}\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL
    )
    causes = _TRIED.findall(entry)
    assert causes
    assert len(causes) == entry.count("**Tried**")
    for cause in causes:
        path, *names = cause.split("::")
        if path == "tests/drills/faults.py":
            assert names == [alert]
            assert alert in {fault.alert for fault in FAULTS}
        else:
            assert _has_test(ROOT / path, names), cause
            assert f'selected("{alert}"' in (ROOT / path).read_text()


def test_the_test_that_the_runbook_names_for_all_rules_exists() -> None:
    page = (ROOT / "docs" / "runbook.md").read_text()
    introduction = page.partition("\n## ")[0]
    ((path, name),) = re.findall(r"`(tests/\S+\.py)::(\w+)`", introduction)
    assert _has_test(ROOT / path, [name])


def _has_test(path: Path, names: list[str]) -> bool:
    """Say whether a file has this function, within these classes."""
    body: list[ast.stmt] = ast.parse(path.read_text()).body
    for name in names:
        found = [
            node
            for node in body
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == name
        ]
        if not found:
            return False
        body = found[0].body
    return names[-1].startswith("test_")


def test_every_alert_says_how_bad_it_is_and_what_it_is() -> None:
    for rule in rules():
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}
        assert rule["annotations"]["summary"]


COMMANDS = re.compile(r"manage\.py\s+([a-z_]+)")


def test_commands_of_the_pages_exist() -> None:
    from django.core.management import get_commands  # noqa: PLC0415

    known = set(get_commands())
    for name in ("runbook.md", "deploy.md", "publishing.md"):
        page = ROOT / "docs" / name
        for command in COMMANDS.findall(page.read_text()):
            assert command in known, f"{name}: {command}"


@pytest.mark.django_db
def test_the_tables_gauges_are_those_that_are_described() -> None:
    collector = TableCollector()
    described_names = [family.name for family in collector.describe()]
    assert [family.name for family in collector.collect()] == described_names


def test_every_declared_metric_is_described() -> None:
    source = (ROOT / "biometrics" / "metrics.py").read_text()
    declared = set(re.findall(r'"(biobridge_[a-z_]+)"', source))
    assert len(declared) > 10
    assert declared <= {metric.name for metric in described()}


def test_the_reference_pages_are_as_the_code_says() -> None:
    out = StringIO()
    call_command("reference", "--check", stdout=out)
    assert "as the code says" in out.getvalue()


def test_every_dependency_has_its_reason_and_licence() -> None:
    page = dependencies.page()
    assert "unknown" not in page
    for file in ("requirements.in", "requirements-dev.in"):
        for line in (ROOT / file).read_text().splitlines():
            if line and line[0].isalpha():
                name, _, why = line.partition("  # ")
                assert re.search(
                    rf"^\| {re.split('[^a-z0-9-]', name)[0]} \| [^|]+ \| \S",
                    page,
                    re.MULTILINE,
                ), line
                assert why, f"{name}: why?"


def test_everything_that_is_installed_is_in_the_page() -> None:
    pinned = re.findall(
        r"^([a-z0-9-]+)==", (ROOT / "requirements-dev.txt").read_text(), re.MULTILINE
    )
    assert len(pinned) > 100
    words = set(re.findall(r"[a-z0-9-]+", dependencies.page()))
    assert set(pinned) <= words


def test_a_page_that_differs_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reference, "DOCS", tmp_path)
    with pytest.raises(CommandError, match=r"\.md differs"):
        call_command("reference", "--check")
    call_command("reference", stdout=StringIO())
    call_command("reference", "--check", stdout=StringIO())
    (tmp_path / "settings.md").write_text("something else")
    with pytest.raises(CommandError, match=r"settings\.md differs"):
        call_command("reference", "--check")


def test_every_setting_says_what_it_is_for() -> None:
    rows = re.findall(
        r"^\| `([A-Z0-9_]+)` \|.*\| (.*) \|$", configuration.page(), re.MULTILINE
    )
    assert len(rows) > 100
    assert [name for name, meaning in rows if not meaning.strip()] == []


def test_a_setting_without_a_meaning_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    example = tmp_path / ".env.example"
    example.write_text("# Intake.\n# What it is for.\nONE_OF_TWO=1\nTWO_OF_TWO=2\n")
    monkeypatch.setattr(configuration, "_EXAMPLE", example)
    with pytest.raises(CommandError, match=r"are for: TWO_OF_TWO\.$"):
        call_command("reference", "--check")
