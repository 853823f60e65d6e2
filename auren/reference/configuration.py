"""Every setting, as .env.example documents it; a test holds that file to the code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings
from django.core.management.base import CommandError

_EXAMPLE = Path(settings.BASE_DIR) / ".env.example"
_VARIABLE = re.compile(r"^(?:# )?([A-Z][A-Z0-9_]+)=(.*)$")


def page() -> str:
    """Return docs/settings.md; `CommandError` names the variables without a meaning."""
    blocks = list(_blocks())
    silent = [n for _, variables in blocks for n, _, text in variables if not text]
    if silent:
        message = f".env.example does not say what these are for: {', '.join(silent)}."
        raise CommandError(message)
    lines = [
        "# Settings",
        "",
        "Made by `manage.py reference` from [.env.example](../.env.example). Each variable may",
        "also be given as `NAME_FILE`, the path of a file that holds the value; not so those of",
        "circuit breakers and of `make run`, `PROMETHEUS_MULTIPROC_DIR` and `POSTGRES_PASSWORD`.",
        "A wrong value stops the start with an error that names the variable.",
        "",
    ]
    for heading, variables in blocks:
        lines += [
            f"## {heading}",
            "",
            "| variable | default | meaning |",
            "|---|---|---|",
        ]
        lines += [
            f"| `{name}` | {f'`{value}`' if value else ''} | {text} |"
            for name, value, text in variables
        ]
        lines.append("")
    return "\n".join(lines)


def _blocks() -> Iterator[tuple[str, list[tuple[str, str, str]]]]:
    """Yield each block of the file: its first sentence, and its variables' comments."""
    text = _EXAMPLE.read_text(encoding="utf-8")
    for block in text.split("\n\n")[:]:
        heading, variables = "", []
        said: list[str] = []
        for line in block.splitlines():
            found = _VARIABLE.match(line)
            if found:
                if not heading:
                    heading, said = _headed(said)
                variables.append((found[1], found[2], " ".join(said)))
                said = []
            elif line.startswith("# "):
                said.append(line.removeprefix("# "))
        if variables:
            yield heading, variables


def _headed(said: list[str]) -> tuple[str, list[str]]:
    """Return a block's heading, and what its comment says besides."""
    whole = " ".join(said)
    heading, _, rest = whole.partition(". ")
    return heading.rstrip(".:"), [rest] if rest else []
