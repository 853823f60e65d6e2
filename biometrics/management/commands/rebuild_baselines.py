"""Judge the stored nights anew: ``manage.py rebuild_baselines``."""

from __future__ import annotations

from collections import Counter
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from biometrics.alerts.configured import configured_ruleset
from biometrics.alerts.rebuilding import rebuild


class Command(BaseCommand):
    help = (
        "Judge every stored night by the configured ruleset and say which verdicts"
        " changed. Raises nothing; a second run changes nothing."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--subject", type=UUID, action="append", help="a person's id"
        )
        parser.add_argument("--dry-run", action="store_true", help="write nothing")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Rebuild, then tell; severities, no values."""
        ruleset = configured_ruleset()
        found = rebuild(
            ruleset=ruleset,
            now=timezone.now(),
            subjects=options["subject"],
            dry_run=options["dry_run"],
        )
        moved = [change for change in found.changed if change.was != change.now]
        if options["verbosity"] > 1:
            for one in moved:
                self.stdout.write(
                    f"{one.night}  {one.subject}  {one.series_id}  {one.was} -> {one.now}"
                )
        for (was, now), count in sorted(Counter((c.was, c.now) for c in moved).items()):
            self.stdout.write(f"{count:>9}  nights {was} -> {now}")
        verb = "would change" if options["dry_run"] else "changed"
        self.stdout.write(
            f"{found.people} people, {found.nights} nights judged by {ruleset.name}: "
            f"{len(found.changed)} verdicts {verb}, {len(moved)} to another severity."
        )
