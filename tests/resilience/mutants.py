"""Breaks the breaker once for each behaviour, and sees its test go red.

    python -m tests.resilience.mutants [--only h2,s4] [--write]

Works on a copy of the tree. A behaviour whose test stays green is printed, and the exit
code is 1. Not part of the suite: it takes minutes.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench.report import machine, put_section
from tests.resilience.mutations import MUTATIONS, Mutation

ROOT = Path(__file__).resolve().parents[2]
_COPIED = ("auren", "biometrics", "resilience", "tests", "manage.py", "pyproject.toml")
_TIMEOUT_S = 150


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the tests of one behaviour said about the broken code."""

    mutation: Mutation
    red: tuple[str, ...]


def main(*, arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="ids, comma-separated")
    parser.add_argument("--write", action="store_true", help="into docs/breaker.md")
    options = parser.parse_args(arguments)
    wanted = {name for name in options.only.lower().split(",") if name}
    chosen = [m for m in MUTATIONS if not wanted or m.behaviour in wanted]
    with tempfile.TemporaryDirectory(prefix="auren-mutants-") as folder:
        home = Path(folder)
        home.chmod(0o711)
        verdicts = [_try(mutation, home=home) for mutation in chosen]
    green = [v.mutation.behaviour for v in verdicts if not v.red]
    if options.write and not green and not wanted:
        put_section("mutants", _table(verdicts), page=ROOT / "docs" / "breaker.md")
    _say(f"{len(verdicts) - len(green)} of {len(verdicts)} were seen red.")
    if green:
        _say(f"STILL GREEN: {', '.join(green)}")
    return 1 if green else 0


def _try(mutation: Mutation, *, home: Path) -> Verdict:
    tree = home / mutation.behaviour
    tree.mkdir()
    for name in _COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(
                source, tree / name, ignore=shutil.ignore_patterns("__pycache__")
            )
        else:
            shutil.copy(source, tree / name)
    for edit in mutation.edits:
        path = tree / "resilience" / edit.file
        text = path.read_text()
        if text.count(edit.old) != 1:
            msg = f"{mutation.behaviour}: {edit.old!r} is not once in {edit.file}."
            raise SystemExit(msg)
        path.write_text(text.replace(edit.old, edit.new))
    red = _red_tests(mutation, tree=tree)
    _say(f"{mutation.behaviour}: {'red' if red else 'GREEN'}  {mutation.broken}")
    shutil.rmtree(tree)
    return Verdict(mutation=mutation, red=red)


def _red_tests(mutation: Mutation, *, tree: Path) -> tuple[str, ...]:
    """Return the failing tests of the behaviour; a run without any test is an error."""
    argv = [sys.executable, "-B", "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    argv += ["--tb=no", "-rfE", "-k", f"test_{mutation.behaviour}_", "tests/resilience"]
    try:
        done = subprocess.run(
            argv,
            cwd=tree,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return ("it hangs",)
    if done.returncode not in {0, 1}:
        msg = (
            f"{mutation.behaviour}: pytest ended with {done.returncode}\n{done.stdout}"
        )
        raise SystemExit(msg)
    failed = [line for line in done.stdout.splitlines() if line.startswith("FAILED")]
    return tuple(sorted({_name(line) for line in failed}))


def _name(line: str) -> str:
    return (
        line.rsplit("::", maxsplit=1)[-1]
        .split(" ", maxsplit=1)[0]
        .split("[", maxsplit=1)[0]
    )


def _table(verdicts: Sequence[Verdict]) -> str:
    rows = [
        f"| {v.mutation.behaviour.upper()} | {v.mutation.broken} | `{'`, `'.join(v.red)}` |"
        for v in verdicts
    ]
    head = (
        "## Every behaviour was seen to fail\n\n"
        "Each behaviour was broken once, on a copy of the tree, and its test went red:"
        f" `python -m tests.resilience.mutants --write`; {machine()}.\n\n"
        "| id | what was broken | red |\n|---|---|---|\n"
    )
    return head + "\n".join(rows)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
