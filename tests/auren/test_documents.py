"""What the documents point to is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from biometrics.vendors.base import VendorAdapter
from tests.auren.test_env_example import documented
from tests.bench import scale

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "biometrics/**/*.md", "resilience/**/*.md")
    for path in ROOT.glob(pattern)
)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#\s]+)", page.read_text())
    dead = [link for link in links if not (page.parent / link).exists()]
    assert dead == []


def test_links_lead_to_headings_that_are_there() -> None:
    dead = []
    for page in PAGES:
        for link in re.findall(r"\]\((?!https?:)([^)\s]*#[^)\s]+)\)", page.read_text()):
            path, _, anchor = link.partition("#")
            if anchor not in anchors(page.parent / path if path else page):
                dead.append(f"{page.name}: {link}")
    assert dead == []


def anchors(page: Path) -> set[str]:
    """Return what GitHub makes of a page's headings."""
    heads = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}


def test_every_page_of_the_documentation_is_in_its_index() -> None:
    """Once, so that it is of one kind."""
    index = (ROOT / "docs" / "README.md").read_text()
    found = re.findall(r"\]\(([^)#]+)\)", index)
    pages = {path.name for path in (ROOT / "docs").glob("*.*")} - {"README.md"}
    assert sorted(one for one in found if "/" not in one) == sorted(pages)


def test_the_settings_of_the_readme_have_their_defaults() -> None:
    rows = re.findall(
        r"^\| (`[A-Z_`, ]+`) \| (\S.*?) \|",
        (ROOT / "README.md").read_text(),
        re.MULTILINE,
    )
    told = {
        name: default
        for names, defaults in rows
        for name, default in zip(
            re.findall("[A-Z_]+", names),
            defaults.replace("`", "").split(", "),
            strict=False,
        )
    }
    numbers = {name: default for name, default in told.items() if default.isdigit()}
    assert len(numbers) > 5, "the table is written in another way"
    assert {name: documented()[name] for name in numbers} == numbers


def test_the_table_of_scaling_is_what_its_figures_give() -> None:
    page = (ROOT / "docs" / "scaling.md").read_text()
    shown = page.split("<!-- begin scale -->")[1].split("<!-- end scale -->")[0]
    assert shown.strip() == scale.table([10_000, 100_000, 1_000_000, 10_000_000])


def test_what_an_adapter_may_declare_is_told_to_who_adds_a_vendor() -> None:
    page = (ROOT / "docs" / "adding-a-vendor.md").read_text()
    declared = [name for name in VendorAdapter.__annotations__ if name[0] != "_"]
    assert "payloads" in declared
    assert [name for name in declared if f"`{name}" not in page] == []


def test_chaos_and_speed_can_be_repeated_by_the_page_on_reliability() -> None:
    """What it tells to type is there."""
    page = (ROOT / "docs" / "reliability.md").read_text()
    typed = "\n".join(re.findall(r"^```\n(.*?)^```$", page, re.MULTILINE | re.DOTALL))
    targets = set(re.findall("^make ([a-z-]+)", typed, re.MULTILINE))
    assert targets >= {"chaos", "chaos-short", "bench-drain"}
    made = (ROOT / "Makefile").read_text()
    assert [one for one in targets if f"\n{one}:" not in made] == []
    modules = re.findall(r"^python -m (\S+)", typed, re.MULTILINE)
    assert modules
    paths = [ROOT / f"{one.replace('.', '/')}.py" for one in modules]
    assert [path for path in paths if not path.exists()] == []
