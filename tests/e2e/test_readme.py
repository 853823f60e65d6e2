"""The command blocks of README.md do what it says, against a running bridge."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from auren.devstack.process import ManagedProcess
from tests.e2e.stack import ROOT, Stack
from tests.e2e.typed import Terminal, blocks

pytestmark = [pytest.mark.kafka, pytest.mark.postgres, pytest.mark.redis]
# By their first line: what is run below, and what tests/devstack/test_devstack.py starts.
RUN = (
    ". .devstack/secrets.env",
    ".venv/bin/python manage.py consume",
    "from kafka import",
)
STARTED_ELSEWHERE = ("make run", "make test", "python3.11 -m venv")


def readme() -> list[str]:
    """Return the blocks of the page but for the picture of the flow."""
    return [one for one in blocks("README.md") if "-> 2 verify ->" not in one]


def block(start: str) -> str:
    (found,) = [one for one in readme() if one.startswith(start)]
    return found


def test_no_block_is_forgotten() -> None:
    for one in readme():
        assert one.startswith((*RUN, *STARTED_ELSEWHERE)), one
    for start in (*RUN, *STARTED_ELSEWHERE):
        block(start)


def test_the_blocks_that_install_and_start_end_in_what_other_tests_do() -> None:
    """Make says what it would do; the plain commands do the same."""
    start = ".venv/bin/python manage.py devstack"
    assert recipe("make run")[-1] == f"exec {start}"
    on_sqlite, on_postgres = recipe("make test")[-2:]
    assert on_sqlite.startswith(".venv/bin/pytest ")
    assert on_postgres.startswith(".venv/bin/python -m tests.on_postgres ")
    install, plain = block(STARTED_ELSEWHERE[2]).splitlines()
    assert plain == start
    (file,) = re.findall(r"pip install -r (\S+)$", install)
    pins = {
        name: set(re.findall(r"^\S+==\S+", text(name), re.MULTILINE)) for name in LISTS
    }
    assert file == LISTS[1]
    assert pins[LISTS[0]] <= pins[LISTS[1]]


LISTS = ("requirements.txt", "requirements-dev.txt")


def text(name: str) -> str:
    return (ROOT / name).read_text()


def recipe(typed: str) -> list[str]:
    """Return what make would run for a block of the page."""
    assert block(typed) == f"{typed}\n"
    done = subprocess.run(
        [*typed.split(), "--dry-run"],
        cwd=ROOT,
        # Whoever runs the suite by make has other flags and targets.
        env={k: v for k, v in os.environ.items() if "MAKE" not in k},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout.splitlines()


@pytest.fixture(scope="module")
def delivered(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Type the block that signs by hand; return what curl printed."""
    terminal = Terminal(stack, tmp_path_factory.mktemp("typed") / "clone")
    return terminal.type(block(RUN[0]))


def test_a_delivery_by_hand_is_accepted(delivered: str) -> None:
    assert '"status":"accepted"' in delivered


def test_its_alert_is_read_from_the_topic(stack: Stack, delivered: str) -> None:
    command = block(RUN[1]).split()
    assert command[:2] == [".venv/bin/python", "manage.py"]

    def alert() -> bool:
        code, said = stack.run(*command[2:])
        return code == 0 and "CRITICAL" in said

    stack.until(alert, "the alert is on the topic")


def test_the_consumer_in_python_reads_it(
    stack: Stack, delivered: str, tmp_path: Path
) -> None:
    program = block(RUN[2]).replace("127.0.0.1:19092", stack.kafka.bootstrap_servers)
    # A new group begins at the end; the reader of a test wants what is there.
    program = program.replace(
        'group_id="my-service",', 'group_id="my-service", auto_offset_reset="earliest",'
    ).replace(".decode())\n", ".decode(), flush=True)\n")
    (tmp_path / "consumer.py").write_text(program)
    seen = threading.Event()
    lines: list[str] = []

    def keep(line: str) -> None:
        lines.append(line)
        if "hrv" in line:
            seen.set()

    process = ManagedProcess(
        name="consumer",
        argv=[sys.executable, "consumer.py"],
        cwd=tmp_path,
        on_line=keep,
    )
    try:
        assert seen.wait(60), lines
    finally:
        process.kill9()
