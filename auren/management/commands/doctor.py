"""Examine this installation: what must hold, what does not, and how to mend it."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.checks import run_checks
from django.core.checks.messages import WARNING
from django.core.management.base import BaseCommand, CommandError

from auren.safety.verdicts import Outcome, Verdict, examine_all

_MARKS = {
    Outcome.WELL: "✓",
    Outcome.WRONG: "✗",
    Outcome.ACCEPTED: "!",
    Outcome.UNKNOWN: "✗",
}


class Command(BaseCommand):
    """Exits with 1 when something is wrong or could not be found out."""

    help = "Print what must hold in production, with ✓ or ✗ and what to do."
    # It reports what the checks would only stop at.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--only-wrong", action="store_true", help="leave out what is well"
        )

    def handle(self, *_args: Any, only_wrong: bool, **_options: Any) -> None:
        verdicts = examine_all()
        for verdict in verdicts:
            if not (only_wrong and verdict.outcome is Outcome.WELL):
                self._show(verdict)
        others = self._others()
        failed = [
            verdict
            for verdict in verdicts
            if verdict.outcome in {Outcome.WRONG, Outcome.UNKNOWN}
        ]
        if failed or others:
            message = f"{len(failed) + others} of {len(verdicts) + 1} are not well."
            raise CommandError(message)
        if not only_wrong:
            self.stdout.write(f"All {len(verdicts) + 1} are well.")

    def _show(self, verdict: Verdict) -> None:
        safeguard = verdict.safeguard
        mark = _MARKS[verdict.outcome]
        self.stdout.write(f"{mark} {safeguard.id}  {safeguard.promise}")
        if verdict.outcome is Outcome.ACCEPTED:
            self.stdout.write(f"    accepted by AUREN_ACCEPTED_RISKS: {verdict.said}")
        elif verdict.outcome is not Outcome.WELL:
            self.stdout.write(f"    {verdict.said}\n    {safeguard.fix}")

    def _others(self) -> bool:
        """Show what Django and the apps complain about; True when they do."""
        found = [
            message
            for message in run_checks(include_deployment_checks=True)
            if message.level >= WARNING
            and not message.is_silenced()
            # Those stand above already.
            and not str(message.id).startswith("auren.")
        ]
        self.stdout.write(
            f"{'✗' if found else '✓'} other checks of Django and the apps"
        )
        for message in found:
            self.stdout.write(
                f"    {message.id}: {message.msg}\n    {message.hint or ''}"
            )
        return bool(found)
