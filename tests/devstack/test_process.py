"""Child processes: watched, hurt on purpose, and never left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from auren.devstack.process import (
    ManagedProcess,
    ServiceError,
    process_state,
    process_tree,
)


def alive(pid: int) -> bool:
    return process_state(pid) not in "ZX"


def gone_within(pids: list[int], *, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not any(alive(pid) for pid in pids):
            return True
        time.sleep(0.02)
    return False


SLEEPER = "import signal, sys, time; print('up', flush=True); time.sleep(600)"
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    "print('up', flush=True); time.sleep(600)"
)
WITH_CHILD = (
    "import subprocess, sys, time;"
    f"child = subprocess.Popen([sys.executable, '-c', {STUBBORN!r}]);"
    "print('child', child.pid, flush=True); time.sleep(600)"
)


def python(code: str) -> ManagedProcess:
    return ManagedProcess(name="child", argv=[sys.executable, "-c", code])


class TestManagedProcess:
    def test_one_that_ignores_sigterm_is_killed(self) -> None:
        process = python(STUBBORN)
        process.wait_for_line("up", timeout=10)
        process.stop(timeout=0.2)
        assert process.returncode == -signal.SIGKILL

    def test_its_children_end_with_it(self) -> None:
        process = python(WITH_CHILD)
        process.wait_for_line("child", timeout=10)
        process.wait_for_line("up", timeout=10)
        tree = process_tree(process.pid)
        assert len(tree) == 2
        # The parent alone, as an out-of-memory kill would.
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait(timeout=5)
        assert gone_within(tree, seconds=5)

    def test_a_frozen_one_can_be_stopped(self) -> None:
        process = python(SLEEPER)
        process.wait_for_line("up", timeout=10)
        process.pause()
        assert process_state(process.pid) == "T"
        process.stop(timeout=5)
        assert process.returncode == -signal.SIGTERM

    def test_waiting_for_words_that_never_come_says_what_came(self) -> None:
        process = python("print('something else')")
        with pytest.raises(ServiceError, match="something else"):
            process.wait_for_line("up", timeout=10)

    @pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGTERM])
    def test_nothing_is_left_when_its_parent_dies(
        self, tmp_path: Path, signum: int
    ) -> None:
        parent = subprocess.Popen(
            [
                sys.executable,
                "-c",
                "import sys, threading, time\n"
                "from auren.devstack.process import ManagedProcess\n"
                f"argv = [sys.executable, '-c', {WITH_CHILD!r}]\n"
                # From a thread that ends: a parent-death signal would fire at once.
                "def start():\n"
                "    global child\n"
                "    child = ManagedProcess(name='child', argv=argv)\n"
                "thread = threading.Thread(target=start)\n"
                "thread.start(); thread.join()\n"
                "child.wait_for_line('up', timeout=10)\n"
                "print(child.pid, flush=True)\n"
                "time.sleep(600)\n",
            ],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        with parent:
            assert parent.stdout is not None
            tree = process_tree(int(parent.stdout.readline()))
            assert len(tree) == 2
            assert all(alive(pid) for pid in tree)
            parent.send_signal(signum)

        assert gone_within(tree, seconds=6)
