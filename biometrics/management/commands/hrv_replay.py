"""What another ruleset would have raised: ``manage.py hrv_replay --ruleset FILE``."""

from __future__ import annotations

from datetime import date
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser

from biometrics.alerts.configured import configured_ruleset, read_ruleset
from biometrics.alerts.rebuilding import Replayed, replay
from biometrics.alerts.validation import RulesetError

_NIGHTS = 30
_KINDS = ("RAISED", "UPGRADED")
_SEVERITIES = ("CRITICAL", "HIGH", "MEDIUM")


class Command(BaseCommand):
    help = (
        "Replay the stored nights under another ruleset, beside the configured one, and"
        " say what would have been raised. Stores and sends nothing."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--ruleset", required=True, help="a JSON file; docs/hrv.md")
        parser.add_argument(
            "--since", type=date.fromisoformat, required=True, help="first night, ISO"
        )
        parser.add_argument(
            "--subject", type=UUID, action="append", help="a person's id"
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Replay twice and print both; each message of the new one with -v 2."""
        try:
            other = read_ruleset(options["ruleset"])
        except (RulesetError, OSError, UnicodeDecodeError) as error:
            message = f"--ruleset {options['ruleset']}: {error}"
            raise CommandError(message) from error
        own = configured_ruleset()
        chosen = {"since": options["since"], "subjects": options["subject"]}
        before = replay(ruleset=own, **chosen)
        after = replay(ruleset=other, **chosen)
        self.stdout.write(f"{after.user_nights} user-nights since {options['since']}")
        self.stdout.write(f"{'':<22}{own.name:>20}{other.name:>20}")
        for severity in _SEVERITIES:
            cells = [_cell(found, severity) for found in (before, after)]
            self.stdout.write(f"{severity:<22}{cells[0]:>20}{cells[1]:>20}")
        self.stdout.write("Raised or upgraded; in brackets per 30 user-nights.")
        if options["verbosity"] > 1:
            for subject, event in after.raised:
                rules = ", ".join(event.reasons)
                self.stdout.write(
                    f"{event.night}  {subject}  {event.kind} {event.severity}  {rules}"
                )


def _cell(found: Replayed, severity: str) -> str:
    count = sum(found.counts[kind, severity] for kind in _KINDS)
    rate = count * _NIGHTS / found.user_nights if found.user_nights else 0.0
    return f"{count} ({rate:.3f})"
