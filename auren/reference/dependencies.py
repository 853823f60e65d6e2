"""Every package that is installed, why, and under which licence.

The reasons stand in the requirements lists, the licences in the packages' own metadata.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.metadata import PackageMetadata, metadata
from pathlib import Path

from django.conf import settings

_ROOT = Path(settings.BASE_DIR)
_WANTED = re.compile(r"^([a-z][a-z0-9-]*)[^#]*?\s+# (.+)$", re.MULTILINE)
_PINNED = re.compile(r"^([a-z0-9-]+)==", re.MULTILINE)
# Longer texts are the licence itself.
_LONGEST_NAME = 40
# What its metadata does not say, read in the package.
_READ = {"axe-playwright-python": "MIT"}
_HEAD = """# Why each dependency is there

Made by `manage.py reference` from the requirements lists and the metadata of the installed packages. `make audit` looks
for known vulnerabilities of them, as far as advisories can be reached: a report, no gate.

`requirements.txt` is what a production bridge installs. Nothing of a package is copied into this repository.
"""


def page() -> str:
    """Return docs/dependencies.md."""
    runtime = _wanted("requirements.in")
    development = _wanted("requirements-dev.in")
    served = _pinned("requirements.txt")
    others = _pinned("requirements-dev.txt")
    lines = [
        _HEAD,
        "## In production",
        "",
        *_table(runtime),
        "",
        *_brought(served - runtime.keys()),
        "",
        "## Development and tests",
        "",
        *_table(development),
        "",
        *_brought(others - served - development.keys()),
        "",
    ]
    return "\n".join(lines)


def _wanted(file: str) -> dict[str, str]:
    """Return the packages that a list names, each with its reason."""
    return dict(_WANTED.findall((_ROOT / file).read_text(encoding="utf-8")))


def _pinned(file: str) -> set[str]:
    return set(_PINNED.findall((_ROOT / file).read_text(encoding="utf-8")))


def _table(wanted: dict[str, str]) -> Iterator[str]:
    yield from ("| package | licence | why |", "|---|---|---|")
    for name, why in sorted(wanted.items()):
        yield f"| {name} | {licence(name)} | {why} |"


def _brought(names: set[str]) -> Iterator[str]:
    """Yield what comes along, by licence."""
    by_licence: dict[str, list[str]] = {}
    for name in sorted(names):
        by_licence.setdefault(licence(name), []).append(name)
    yield from ("They bring along:", "", "| licence | packages |", "|---|---|")
    for said, packages in sorted(by_licence.items()):
        yield f"| {said} | {', '.join(packages)} |"


def licence(name: str) -> str:
    """Return the licence of an installed package in its own words."""
    if name in _READ:
        return _READ[name]
    said = metadata(name)
    named = said.get_all("License-Expression") or said.get_all("License") or [""]
    short = str(named[0]).strip()
    if short and len(short) <= _LONGEST_NAME and "\n" not in short:
        return short
    return " or ".join(_classified(said)) or "unknown"


def _classified(said: PackageMetadata) -> list[str]:
    prefix = "License :: "
    return [
        one.rpartition(" :: ")[2]
        for one in said.get_all("Classifier") or []
        if one.startswith(prefix)
    ]
