"""Run what depends on the database once more, on PostgreSQL: python -m tests.on_postgres

Starts a cluster of its own and runs pytest against it. Without PostgreSQL it says so and
ends well, unless AUREN_REQUIRE names postgres. Arguments go to pytest.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from auren.devstack.postgres import TemporaryPostgres
from auren.devstack.process import ServiceError
from tests.services import required


def main() -> int:
    """Return pytest's exit code."""
    with tempfile.TemporaryDirectory(prefix="auren-postgres-") as home:
        Path(home).chmod(0o711)
        server = TemporaryPostgres(data_dir=Path(home) / "postgres")
        try:
            server.start()
        except ServiceError as error:
            print(f"Not run on PostgreSQL: {error}", flush=True)
            return 1 if "postgres" in required() else 0
        try:
            done = subprocess.run(
                [sys.executable, "-m", "pytest", *sys.argv[1:]],
                env={**os.environ, "DATABASE_URL": server.url},
                check=False,
            )
        finally:
            server.stop()
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
