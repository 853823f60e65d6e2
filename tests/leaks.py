"""All output of the suite is searched for planted secrets and planted health values.

A plugin of conftest.py: what a test prints and logs, what it reads back with ``capsys`` or
``capfd``, what management commands print, and every line of the Python processes that it
starts. What is found fails the test at its end, in whichever process it ran, and names what
was planted, never the value.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management.base import OutputWrapper

from auren.devstack.process import ManagedProcess

ROOT = Path(__file__).resolve().parents[1]
# Vendors' samples: what the tests of all layers send, with numbers nothing else looks like.
_SAMPLES = ("biometrics/vendors/*/sample.json", "tests/fixtures/**/*.json")
_DISTINCTIVE = re.compile(r"\d{2,}\.\d{4,}")
_SECRET_SETTINGS = (
    "SECRET_KEY",
    "AUREN_TOKEN_KEYS",
    "AUREN_OURA_CLIENT_SECRET",
    "AUREN_OURA_VERIFICATION_TOKEN",
    "AUREN_WHOOP_CLIENT_SECRET",
    "AUREN_TERRA_API_KEY",
    "AUREN_WEBHOOK_SECRET_TERRA",
)


class Search:
    """Knows what was planted, and keeps where it was found until somebody asks."""

    def __init__(self) -> None:
        self._planted: dict[str, str] = {}
        self._pattern: re.Pattern[str] | None = None
        self._found: list[str] = []

    def plant(self, name: str, value: str) -> None:
        """Look for a value from now on; what is short would be found by chance."""
        assert len(value) >= 7, f"{name} is too short to be looked for"
        self._planted[value] = name
        self._pattern = None

    def names(self) -> set[str]:
        return set(self._planted.values())

    def named(self, text: str) -> set[str]:
        """Return the names of all that was planted and lies in a text."""
        if self._pattern is None:
            # The longest first: one may begin as another does.
            values = sorted(self._planted, key=len, reverse=True)
            self._pattern = re.compile("|".join(map(_expression, values)) or r"(?!)")
        return {self._planted[value] for value in self._pattern.findall(text)}

    def look(self, text: str, *, where: str) -> None:
        """Keep what lies in a text, for `taken`."""
        self._found += [f"{name} in {where}" for name in sorted(self.named(text))]

    def taken(self) -> list[str]:
        """Return what was found since the last time."""
        found, self._found = self._found, []
        return sorted(set(found))


def _expression(value: str) -> str:
    """Find a number not as a part of a longer one, and not as the seconds of a time."""
    before = r"(?<![\d.:])" if _DISTINCTIVE.fullmatch(value) else ""
    return before + re.escape(value)


SEARCH = Search()


def health_values() -> Iterator[tuple[str, str]]:
    """Yield the place and the digits of the samples' distinctive numbers."""
    for pattern in _SAMPLES:
        for path in sorted(ROOT.glob(pattern)):
            for number in _numbers(json.loads(path.read_text(encoding="utf-8"))):
                if found := _DISTINCTIVE.match(repr(number)):
                    # Four places: it is the same value however far it is written.
                    whole, places = found[0].split(".")
                    yield f"a value of {path.name}", f"{whole}.{places[:4]}"


def _numbers(node: Any) -> Iterator[float]:
    if isinstance(node, float):
        yield node
    elif isinstance(node, dict | list):
        for one in node.values() if isinstance(node, dict) else node:
            yield from _numbers(one)


def pytest_configure(config: pytest.Config) -> None:
    """Plant what the suite's settings hold, and look where output goes by."""
    for name in _SECRET_SETTINGS:
        for value in os.environ[name].split(","):
            SEARCH.plant(name, value)
    for name, value in health_values():
        SEARCH.plant(name, value)
    patch = pytest.MonkeyPatch()
    config.add_cleanup(patch.undo)
    _watch_processes(patch)
    _watch_what_tests_read(patch)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn the end of a test whose output holds what was planted into an error."""
    report = yield
    if report.when != "teardown":
        return report
    for title, text in report.sections:
        # Log lines are in stderr, as the bridge writes them; pytest's own section also has
        # records that no handler writes, such as uvicorn's of each request's address.
        if not title.startswith("Captured log"):
            SEARCH.look(text, where=title)
    found = SEARCH.taken()
    if found:
        # The sections would repeat it on the terminal and in whatever keeps reports.
        report.sections = []
        report.outcome = "failed"
        report.longrepr = "\n".join(["The output holds what was planted:", *found])
    return report


def _watch_processes(patch: pytest.MonkeyPatch) -> None:
    start, communicate = ManagedProcess.__init__, subprocess.Popen.communicate

    def watched_start(
        self: ManagedProcess,
        *,
        name: str,
        argv: Any,
        on_line: Callable[[str], None] | None = None,
        **given: Any,
    ) -> None:
        # A database's own log holds the statements that it refused.
        is_ours = str(argv[0]) == sys.executable

        def see(line: str) -> None:
            if is_ours:
                SEARCH.look(line, where=f"a line of {name}")
            if on_line is not None:
                on_line(line)

        start(self, name=name, argv=argv, on_line=see, **given)

    def watched_end(self: Any, *arguments: Any, **named: Any) -> Any:
        said = communicate(self, *arguments, **named)
        is_ours = isinstance(self.args, list) and str(self.args[0]) == sys.executable
        for text in said if is_ours else ():
            if text:
                whole = text if isinstance(text, str) else text.decode(errors="replace")
                SEARCH.look(whole, where="the output of a process")
        return said

    patch.setattr(ManagedProcess, "__init__", watched_start)
    patch.setattr(subprocess.Popen, "communicate", watched_end)


def _watch_what_tests_read(patch: pytest.MonkeyPatch) -> None:
    """Look at what never reaches a report: it went to a test or to its own buffer."""
    read, write = pytest.CaptureFixture.readouterr, OutputWrapper.write

    def watched_read(self: Any) -> Any:
        said = read(self)
        for text in said:
            if isinstance(text, str):
                SEARCH.look(text, where="what the test captured")
        return said

    def watched_write(self: Any, msg: str = "", *given: Any, **named: Any) -> None:
        SEARCH.look(str(msg), where="what a command printed")
        write(self, msg, *given, **named)

    patch.setattr(pytest.CaptureFixture, "readouterr", watched_read)
    patch.setattr(OutputWrapper, "write", watched_write)
