"""The pages that are made from the code: ``manage.py reference [--check]``.

Needs the packages of requirements-dev.txt.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from auren.reference import (
    commands,
    configuration,
    dependencies,
    metrics,
    openapi,
    topics,
)

DOCS = Path(settings.BASE_DIR) / "docs"
PAGES = {
    "commands.md": commands.page,
    "dependencies.md": dependencies.page,
    "metrics.md": metrics.page,
    "openapi.json": openapi.page,
    "settings.md": configuration.page,
    "topics.md": topics.page,
}


class Command(BaseCommand):
    # Describes code alone; no server has to be configured for that.
    requires_system_checks = ()
    help = f"Write {', '.join(PAGES)} in docs/ from the code."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--check", action="store_true", help="compare, and write nothing"
        )

    def handle(self, *_args: Any, check: bool, **_options: Any) -> None:
        """Write the pages, or fail where one differs from the code."""
        for name, make in PAGES.items():
            path, wanted = DOCS / name, make()
            if not check:
                path.write_text(wanted, encoding="utf-8")
            elif not path.exists() or path.read_text(encoding="utf-8") != wanted:
                message = f"{name} differs from the code: run manage.py reference."
                raise CommandError(message)
        self.stdout.write(f"{', '.join(PAGES)}: as the code says.")
