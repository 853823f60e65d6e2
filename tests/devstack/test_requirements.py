"""What this machine cannot offer is a skip that says why, or a failure on demand."""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests import services

ROOT = Path(__file__).parents[2]
PROBE = """
from __future__ import annotations

def test_browser(chromium: str) -> None:
    assert chromium

def test_postgres(postgres: str) -> None:
    assert postgres
"""


def run(tmp_path: Path, **env: str) -> str:
    """Run a suite of two tests on a machine with neither browser nor PostgreSQL."""
    (tmp_path / "test_probe.py").write_text(PROBE)
    (tmp_path / "hide_postgres.py").write_text(
        "from auren.devstack import postgres\n"
        "from auren.devstack.process import UnavailableError\n"
        "def none():\n"
        "    raise UnavailableError('No PostgreSQL server is installed.')\n"
        "postgres.binaries = none\n"
    )
    done = subprocess.run(
        [
            sys.executable,
            *("-m", "pytest", "-q", "-rs", "-p", "tests.services"),
            *("-p", "hide_postgres", "-c", str(ROOT / "pyproject.toml")),
            *("--rootdir", str(tmp_path), str(tmp_path)),
        ],
        cwd=ROOT,
        env={
            **os.environ,
            "PATH": str(tmp_path),
            "PYTHONPATH": f"{ROOT}:{tmp_path}",
            **env,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


def test_a_missing_service_is_a_skip_with_its_reason(tmp_path: Path) -> None:
    said = run(tmp_path, AUREN_REQUIRE="")
    assert "2 skipped" in said
    assert "No browser is installed (looked for chromium" in said
    assert "No PostgreSQL server is installed." in said


def test_what_is_required_fails_instead(tmp_path: Path) -> None:
    said = run(tmp_path, AUREN_REQUIRE="postgres, browser")
    assert "2 errors" in said
    assert "AUREN_REQUIRE names browser: No browser is installed" in said
    assert "AUREN_REQUIRE names postgres: No PostgreSQL server" in said


@pytest.mark.parametrize(
    ("wanted", "outcome"), [("files", pytest.fail), ("", pytest.skip)]
)
def test_a_machine_that_allows_too_few_open_files_is_told(
    monkeypatch: pytest.MonkeyPatch, wanted: str, outcome: Any
) -> None:
    def refuse(_what: int, _limits: tuple[int, int]) -> None:
        raise ValueError("not allowed to raise maximum limit")

    monkeypatch.setattr(resource, "getrlimit", lambda _what: (256, 1024))
    monkeypatch.setattr(resource, "setrlimit", refuse)
    monkeypatch.setenv("AUREN_REQUIRE", wanted)
    with (
        pytest.raises(outcome.Exception, match="allows 1024 open files, 2500"),
        services.open_files(2500),
    ):
        pass


def test_the_check_of_a_clean_machine_skips_nothing() -> None:
    said = (ROOT / ".ci" / "run").read_text()
    (named,) = re.findall(r"^export AUREN_REQUIRE=(\S+)$", said, re.MULTILINE)
    assert set(named.split(",")) == services.REQUIRABLE


def test_a_misspelt_requirement_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUREN_REQUIRE", "postgre")
    with pytest.raises(pytest.UsageError, match="postgre"):
        services.required()
