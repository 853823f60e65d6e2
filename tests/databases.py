"""Databases that tests use beside Django's own connection."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any
from urllib.parse import unquote, urlsplit

_MIGRATE_S = 120


def parameters_of(url: str) -> dict[str, Any]:
    """Return psycopg2's connection arguments for a database URL."""
    parts = urlsplit(url)
    named = {
        "host": parts.hostname,
        "port": parts.port,
        "user": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
        "dbname": parts.path.lstrip("/"),
    }
    return {key: value for key, value in named.items() if value}


def migrate(url: str) -> None:
    """Create the bridge's tables in a database."""
    subprocess.run(
        [sys.executable, "manage.py", "migrate", "--verbosity", "0"],
        check=True,
        timeout=_MIGRATE_S,
        env={
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tests.settings",
            "DATABASE_URL": url,
        },
    )
