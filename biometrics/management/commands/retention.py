"""Forgetting what has served its time: ``manage.py retention [--dry-run]``."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from biometrics import retention


class Command(BaseCommand):
    help = (
        "Drop raw bytes after RAW_RETENTION_DAYS, what was published after "
        "MESSAGE_RETENTION_DAYS, events' values with their readings after "
        "EVENT_RETENTION_DAYS and the audit after AUDIT_RETENTION_DAYS (0: never). "
        "Workers do it every hour; a run may be stopped."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--dry-run", action="store_true", help="count, and change nothing"
        )
        parser.add_argument(
            "--seconds", type=float, default=600.0, help="work so long at most (600)"
        )

    def handle(
        self, *_args: Any, dry_run: bool, seconds: float, **_options: Any
    ) -> None:
        """Print how many of each there are, or were dropped."""
        now = timezone.now()
        if dry_run:
            found = retention.due(now=now)
        else:
            found = retention.retain(now=now, limit_s=seconds)
        verb = "would be dropped" if dry_run else "dropped"
        for name, number in found.items():
            self.stdout.write(f"{name}\t{number} {verb}")
