"""One terminal for many processes."""

from __future__ import annotations

import io
import json
import threading

import pytest

from auren.devstack.terminal import Terminal


@pytest.fixture
def stream() -> io.StringIO:
    return io.StringIO()


def test_a_line_says_whose_it_is(stream: io.StringIO) -> None:
    Terminal(stream).line("web", "hello")
    assert stream.getvalue() == "web       │ hello\n"


def test_a_log_event_becomes_words(stream: io.StringIO) -> None:
    event = {"time": "t", "level": "info", "logger": "l", "event": "e.done", "n": 3}
    Terminal(stream).line("worker", json.dumps(event))
    assert stream.getvalue() == "worker    │ e.done n=3\n"


def test_a_warning_says_that_it_is_one(stream: io.StringIO) -> None:
    Terminal(stream).line("worker", json.dumps({"level": "warning", "event": "odd"}))
    assert stream.getvalue() == "worker    │ warning odd\n"


def test_a_traceback_keeps_its_owner_on_every_line(stream: io.StringIO) -> None:
    event = {"event": "boom", "exception": "Traceback\n  here"}
    Terminal(stream).line("web", json.dumps(event))
    assert stream.getvalue() == (
        "web       │ boom exception=Traceback\nweb       │   here\n"
    )


@pytest.mark.parametrize("text", ["{not json", '{"no": "event"}', "[1]", "{}"])
def test_anything_else_stays_as_it_is(stream: io.StringIO, text: str) -> None:
    Terminal(stream).line("web", text)
    assert stream.getvalue() == f"web       │ {text}\n"


def test_colours_only_for_a_person(
    stream: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    Terminal(stream).line("web", "hello")
    assert stream.getvalue() == "\033[32mweb       │\033[0m hello\n"
    monkeypatch.setenv("NO_COLOR", "1")
    Terminal(stream).line("web", "plain")
    assert stream.getvalue().endswith("web       │ plain\n")


def test_lines_of_many_threads_stay_whole(stream: io.StringIO) -> None:
    terminal = Terminal(stream)
    lines = [f"line {number} " + "x" * 200 for number in range(20)]

    def speak(line: str) -> None:
        for _ in range(50):
            terminal.line("web", line)

    threads = [threading.Thread(target=speak, args=(line,)) for line in lines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    heard = stream.getvalue().splitlines()
    assert sorted(heard) == sorted(f"web       │ {line}" for line in lines * 50)


def test_a_terminal_that_went_away_stops_nobody(stream: io.StringIO) -> None:
    terminal = Terminal(stream)
    stream.close()
    terminal.line("web", "into the void")
