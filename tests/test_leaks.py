"""The search of the whole suite's output finds what is there, wherever it comes out."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.leaks import SEARCH, Search, health_values

ROOT = Path(__file__).resolve().parents[1]
# Written to a file and run by a pytest of its own: each leaks in one way.
LEAKING = r"""
import asyncio, logging, os, subprocess, sys
from asyncio.subprocess import PIPE
from django.core.management.base import OutputWrapper
from io import StringIO
from auren.devstack.process import ManagedProcess

SECRET = os.environ["AUREN_TERRA_API_KEY"]

def test_prints(): print("key", SECRET)
def test_logs(): logging.getLogger("biometrics").error("refused %s", SECRET)
def test_logs_beside(): logging.getLogger("biometrics").error("x", extra={"k": SECRET})
def test_tells_a_value(): print('{"hrv_rmssd_milli": 31.813562}')
def test_reads_it_back(capsys): print(SECRET); capsys.readouterr()
def test_commands(): OutputWrapper(StringIO()).write(SECRET)
def test_runs():
    subprocess.run([sys.executable, "-c", f"print({SECRET!r})"], capture_output=True)
def test_starts():
    argv = [sys.executable, "-c", f"print({SECRET!r})"]
    assert ManagedProcess(name="it", argv=argv).wait(timeout=60)
def test_types(): subprocess.run(["bash", "-c", f"echo {SECRET}"], capture_output=True)

OWN = {**os.environ, "AUREN_WEBHOOK_SECRET_WHOOP": "of-this-process-alone"}
TELL = [sys.executable, "-c", "import os; print(os.environ['AUREN_WEBHOOK_SECRET_WHOOP'])"]
def test_starts_with_a_secret():
    assert ManagedProcess(name="it", argv=TELL, env=OWN).wait(timeout=60)
def test_tells_what_a_process_has(tmp_path):
    (tmp_path / "key").write_text("of-the-file-of-that\n")
    ManagedProcess(
        name="it", argv=["true"], env={**OWN, "SECRET_KEY_FILE": str(tmp_path / "key")}
    ).wait(timeout=60)
    print("of-the-file-of-that")
def test_tells_an_address_s_password():
    address = "postgres://auren:pass%2Fword-0123@127.0.0.1:1/x"
    subprocess.run(["true"], env={"DATABASE_URL": address})
    print("pass/word-0123")

async def piece_by_piece():
    tell = "import sys\nfor c in sys.argv[1]: print(c, end='', flush=True); input()"
    argv = (sys.executable, "-c", tell, SECRET)
    process = await asyncio.create_subprocess_exec(*argv, stdin=PIPE, stdout=PIPE)
    while await process.stdout.read(1): process.stdin.write(b"\n")
    await process.wait()
def test_reads_piece_by_piece(): asyncio.run(piece_by_piece())

def test_leaves_the_database_its_log(tmp_path):
    (tmp_path / "postgres").write_text(f"#!/bin/sh\necho {SECRET}\n")
    (tmp_path / "postgres").chmod(0o755)
    argv = [tmp_path / "postgres"]
    assert ManagedProcess(name="it", argv=argv).wait(timeout=60)
    subprocess.run(argv, capture_output=True)
def test_is_silent(): print("12:00:31.813562", "131.813562", "all is well")
"""


def test_each_way_out_is_searched_and_fails_the_test(tmp_path: Path) -> None:
    (tmp_path / "test_leaking.py").write_text(LEAKING)
    plugins = ["-p", "tests.leaks", "-p", "no:cacheprovider", "-c", "pyproject.toml"]
    for spread in (["-n", "0"], ["-n", "1"]):
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-rE", *plugins, *spread, str(tmp_path)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert "15 passed, 13 errors" in done.stdout, done.stdout
        assert done.returncode == 1
        named = {line.split("::")[1].split()[0] for line in errors(done.stdout)}
        assert len(named) == 13
        assert not named & {"test_is_silent", "test_leaves_the_database_its_log"}


def errors(said: str) -> list[str]:
    return [line for line in said.splitlines() if line.startswith("ERROR ")]


def test_the_suite_plants_its_secrets_and_its_samples_values() -> None:
    names = SEARCH.names()
    assert {"SECRET_KEY", "AUREN_TOKEN_KEYS", "AUREN_WEBHOOK_SECRET_TERRA"} <= names
    assert len({value for _, value in health_values()}) > 10
    assert SEARCH.named(os.environ["SECRET_KEY"]) == {"SECRET_KEY"}
    assert SEARCH.named("rmssd 31.813562")
    assert not SEARCH.named("12:00:31.813562")


def test_what_was_found_is_told_once_and_never_shown() -> None:
    search = Search()
    search.plant("the key", "planted-key-0123")
    search.look("a planted-key-0123 b", where="a log")
    assert search.taken() == ["the key in a log"]
    assert search.taken() == []


def test_what_chance_would_find_is_not_planted() -> None:
    with pytest.raises(AssertionError, match="too short"):
        Search().plant("pin", "1234")
