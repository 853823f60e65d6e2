"""The command blocks of a page, typed as they stand, against a running bridge."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.e2e.stack import ROOT, SECRETS, Stack
from tests.services import unavailable


def blocks(page: str) -> list[str]:
    """Return the fenced blocks of a page that somebody is meant to type or run."""
    text = (ROOT / page).read_text()
    kinds = set(re.findall(r"^\s*(?:```|~~~)(.+)$", text, re.MULTILINE))
    assert kinds <= {"python"}, f"blocks of {page} that nobody would type: {kinds}"
    return re.findall(r"^```(?:python)?\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


class Terminal:
    """A folder that looks like the clone to whoever types in it."""

    def __init__(self, stack: Stack, home: Path) -> None:
        for tool in ("bash", "openssl", "curl"):
            if shutil.which(tool) is None:
                unavailable("tools", reason=f"No {tool} is installed.")
        self._stack = stack
        self._home = home
        (home / ".devstack").mkdir(parents=True)
        (home / ".devstack" / "secrets.env").write_text(
            f"AUREN_WEBHOOK_SECRET_TERRA={SECRETS['terra']}\n"
        )
        python = home / ".venv" / "bin" / "python"
        python.parent.mkdir(parents=True)
        python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
        python.chmod(0o755)
        (home / "manage.py").symlink_to(ROOT / "manage.py")

    def type(self, block: str) -> str:
        """Type a block; return what it prints. It must succeed."""
        typed = block.replace("127.0.0.1:8889", f"127.0.0.1:{self._stack.port}")
        done = subprocess.run(
            ["bash", "-euc", typed],
            cwd=self._home,
            env=self._stack.environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"
        return done.stdout
