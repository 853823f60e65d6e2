"""All output of the suite is searched for planted secrets and planted health values.

A plugin of conftest.py: what a test prints and logs, what it reads back with ``capsys`` or
``capfd``, what management commands print, and what the processes say that it starts, be it
by a shell or asyncio. Looked for are the suite's own secrets, those in the environment of
every process from its start on, and the distinctive numbers of the bodies that are sent.
What is found fails the test at its end, in whichever process it ran, and names what was
planted, never the value.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import threading
from collections.abc import Callable, Generator, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from django.core.management.base import OutputWrapper

from auren.devstack.process import ManagedProcess
from tests.e2e import bodies

ROOT = Path(__file__).resolve().parents[1]
# Vendors' samples: what the tests of all layers send, with numbers nothing else looks like.
_SAMPLES = ("biometrics/vendors/*/sample.json", "tests/fixtures/**/*.json")
_DISTINCTIVE = re.compile(r"\d{2,}\.\d{4,}")
_SECRET_SETTING = re.compile(
    r"(SECRET_KEY|METRICS_TOKEN|(POSTGRES|EMAIL_HOST|KAFKA_SECURITY_SASL)_PASSWORD"
    r"|AUREN_\w*(SECRET|TOKEN|API_KEY|TOKEN_KEYS)|AUREN_WEBHOOK_SECRET_[A-Z0-9_]+?)"
    r"(?P<file>_FILE)?"
)
_ADDRESS = re.compile(r"(DATABASE|REDIS)_URL(?P<file>_FILE)?")
# Placeholders are shorter, and their words stand in many a text.
_SHORTEST_SECRET = 12
# Their own logs hold the statements that they refused, their tools' files the tables.
_DATABASES = frozenset(
    {"initdb", "pg_ctl", "pg_dump", "pg_restore", "postgres", "psql"}
)


class Search:
    """Knows what was planted, and keeps where it was found until somebody asks."""

    def __init__(self) -> None:
        self._planted: dict[str, str] = {}
        self._pattern: re.Pattern[str] | None = None
        self._found: list[str] = []
        # Output is read in threads.
        self._lock = threading.Lock()

    def plant(self, name: str, value: str) -> None:
        """Look for a value from now on; what is short would be found by chance."""
        assert len(value) >= 7, f"{name} is too short to be looked for"
        with self._lock:
            if value not in self._planted:
                self._planted[value] = name
                self._pattern = None

    def plant_environment(self, environment: Mapping[str, str]) -> None:
        """Look for the secrets that a process is started with."""
        for name, value in secrets_in(environment):
            self.plant(name, value)

    def names(self) -> set[str]:
        return set(self._planted.values())

    def named(self, text: str) -> set[str]:
        """Return the names of all that was planted and lies in a text."""
        with self._lock:
            if self._pattern is None:
                # The longest first: one may begin as another does.
                values = sorted(self._planted, key=len, reverse=True)
                any_of = "|".join(map(_expression, values))
                self._pattern = re.compile(any_of or r"(?!)")
            pattern = self._pattern
        return {self._planted[value] for value in pattern.findall(text)}

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


def secrets_in(environment: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the name and the value of each secret of a bridge with this environment."""
    for name, text in environment.items():
        listed, address = _SECRET_SETTING.fullmatch(name), _ADDRESS.fullmatch(name)
        found = listed or address
        if found is None:
            continue
        told = _content(Path(text)) if found["file"] else text
        if address:
            told = unquote(urlsplit(told.strip()).password or "")
        for value in map(str.strip, told.split(",")):
            if len(value) >= _SHORTEST_SECRET:
                yield name, value


def _content(path: Path) -> str:
    """Return a secret's file; some tests name one that cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def health_values() -> Iterator[tuple[str, str]]:
    """Yield the place and the digits of the samples' and bodies' distinctive numbers."""
    for number in bodies.DISTINCTIVE:
        yield "a value of tests/e2e/bodies.py", f"{number:.4f}"
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
    SEARCH.plant_environment(os.environ)
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
    _watch_beginnings(patch)
    _watch_lines(patch)
    _watch_ends(patch)
    _watch_pieces(patch)


def _watch_beginnings(patch: pytest.MonkeyPatch) -> None:
    """Plant the secrets of whatever is started; all ways to start one end here."""
    begin = subprocess.Popen.__init__

    def watched(self: Any, *arguments: Any, **named: Any) -> None:
        environment = named.get("env")
        SEARCH.plant_environment(os.environ if environment is None else environment)
        begin(self, *arguments, **named)

    patch.setattr(subprocess.Popen, "__init__", watched)


def _is_searched(argv: Any) -> bool:
    words = [argv] if isinstance(argv, str | Path) else list(argv)
    return Path(str(words[0])).name not in _DATABASES


def _watch_lines(patch: pytest.MonkeyPatch) -> None:
    start = ManagedProcess.__init__

    def watched_start(
        self: ManagedProcess,
        *,
        name: str,
        argv: Any,
        on_line: Callable[[str], None] | None = None,
        **given: Any,
    ) -> None:
        is_searched = _is_searched(argv)

        def see(line: str) -> None:
            if is_searched:
                SEARCH.look(line, where=f"a line of {name}")
            if on_line is not None:
                on_line(line)

        start(self, name=name, argv=argv, on_line=see, **given)

    patch.setattr(ManagedProcess, "__init__", watched_start)


def _watch_ends(patch: pytest.MonkeyPatch) -> None:
    communicate = subprocess.Popen.communicate

    def watched_end(self: Any, *arguments: Any, **named: Any) -> Any:
        said = communicate(self, *arguments, **named)
        for text in said if _is_searched(self.args) else ():
            if text:
                whole = text if isinstance(text, str) else text.decode(errors="replace")
                SEARCH.look(whole, where="the output of a process")
        return said

    patch.setattr(subprocess.Popen, "communicate", watched_end)


def _watch_pieces(patch: pytest.MonkeyPatch) -> None:
    """Look at what asyncio reads, however a test then takes it."""
    kind = asyncio.subprocess.SubprocessStreamProtocol
    receive = kind.pipe_data_received

    def watched_receive(self: Any, fd: int, data: bytes) -> None:
        before = self.__dict__.setdefault("_searched", {})
        whole = before.get(fd, b"") + data
        # As much as the beginning of a secret may be long.
        before[fd] = whole[-500:]
        SEARCH.look(whole.decode(errors="replace"), where="the output of a process")
        receive(self, fd, data)

    patch.setattr(kind, "pipe_data_received", watched_receive)


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
