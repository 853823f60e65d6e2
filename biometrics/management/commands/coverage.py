"""Which vendor measures what: ``manage.py coverage [--check]``."""

from __future__ import annotations

from itertools import islice, zip_longest
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from biometrics.vendors.matrix import render
from biometrics.vendors.registry import all_adapters

PAGE = Path(settings.BASE_DIR) / "docs" / "vendors.md"
_BEGIN = "<!-- Made by manage.py coverage from the vendors' mapping tables. -->\n"
_SHOWN = 10


class Command(BaseCommand):
    # Describes code alone; no server has to be configured for that.
    requires_system_checks = ()
    help = "Write the vendors' mapping tables into docs/vendors.md, below its prose."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--check", action="store_true", help="compare, and write nothing"
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Write the tables, or fail where the page differs from the code."""
        page = PAGE.read_text(encoding="utf-8")
        prose, found, stored = page.partition(_BEGIN)
        if not found:
            message = f"{PAGE.name} has no line {_BEGIN.strip()!r} for the tables."
            raise CommandError(message)
        tables = "\n" + render(all_adapters())
        if options["check"]:
            _compare(stored, tables)
            self.stdout.write(f"{PAGE.name} is as the code says.")
            return
        PAGE.write_text(prose + found + tables, encoding="utf-8")
        self.stdout.write(f"{PAGE} has {len(tables.splitlines())} lines of tables.")


def _compare(stored: str, tables: str) -> None:
    pairs = zip_longest(stored.splitlines(), tables.splitlines(), fillvalue="")
    changed = ((old, new) for old, new in pairs if old != new)
    shown = [f"- {old}\n+ {new}" for old, new in islice(changed, _SHOWN)]
    if shown:
        message = (
            f"{PAGE.name} differs from the code: run manage.py coverage, read the"
            " difference and commit it.\n" + "\n".join(shown)
        )
        raise CommandError(message)
