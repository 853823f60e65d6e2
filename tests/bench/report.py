"""Sections of docs/benchmarks.md: each benchmark replaces its own."""

from __future__ import annotations

import os
import platform
import re
from datetime import UTC, datetime
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "benchmarks.md"


def put_section(name: str, text: str, *, page: Path = PAGE) -> None:
    """Put `text` between the markers of section `name`, at the end if there are none."""
    begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
    section = f"{begin}\n{text.strip()}\n{end}"
    old = page.read_text() if page.exists() else "# Benchmarks\n"
    pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
    found = pattern.search(old)
    new = (
        old[: found.start()] + section + old[found.end() :]
        if found
        else f"{old.rstrip()}\n\n{section}\n"
    )
    page.write_text(new)


def machine() -> str:
    """Say what the figures were measured on, and when."""
    model = "unknown processor"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    return (
        f"{datetime.now(tz=UTC):%Y-%m-%d}, {os.cpu_count()} cores ({model}), shared by "
        f"load, servers and database; Python {platform.python_version()}, "
        f"{platform.system()} {platform.release().split('-')[0]}"
    )
