"""Small parts: how long a module, a file of tests and a function may be."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("auren", "biometrics", "resilience")
MODULE, TESTS, FUNCTION = 300, 500, 40
# One list that is read in one order; its reason is in docs/decisions.md.
EXCEPTION = "auren/settings.py"


def sources(*folders: str) -> Iterator[tuple[str, str]]:
    """Yield the path and the text of every module but migrations."""
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            if "migrations" not in path.parts:
                yield str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")


def bodies(source: str) -> Iterator[tuple[str, int]]:
    """Yield the name of every function and how many lines its body has."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            if body:
                yield node.name, (body[-1].end_lineno or 0) - body[0].lineno + 1


def test_a_module_is_short() -> None:
    long = {
        path: lines
        for path, source in sources(*PACKAGES)
        if (lines := len(source.splitlines())) > MODULE
    }
    assert list(long) == [EXCEPTION], long


def test_the_exception_has_its_reason() -> None:
    assert f"`{EXCEPTION}`" in (ROOT / "docs" / "decisions.md").read_text()


def test_a_file_of_tests_is_short() -> None:
    long = {
        path: lines
        for path, source in sources("tests")
        if (lines := len(source.splitlines())) > TESTS
    }
    assert long == {}


def test_a_function_is_short() -> None:
    long = {
        f"{path}:{name}": lines
        for path, source in sources(*PACKAGES)
        for name, lines in bodies(source)
        if lines > FUNCTION
    }
    assert long == {}


@pytest.mark.parametrize("kind", ["def", "async def"])
def test_a_body_is_counted_without_its_docstring(kind: str) -> None:
    source = f'class A:\n    {kind} f(\n        self,\n    ):\n        """Two\n\n        lines."""\n        a = (\n            1\n        )\n\n        return a\n'
    assert list(bodies(source)) == [("f", 5)]
    only_words = f'{kind} f():\n    """Words."""\n'
    assert list(bodies(only_words)) == []
