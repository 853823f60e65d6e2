"""Examine this installation: what must hold, what does not, and how to mend it."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.checks import run_checks
from django.core.checks.messages import WARNING
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from auren.safety import roundtrip
from auren.safety.verdicts import Outcome, Verdict, examine_all

_MARKS = {
    Outcome.WELL: "✓",
    Outcome.WRONG: "✗",
    Outcome.ACCEPTED: "!",
    Outcome.UNKNOWN: "✗",
}


class Command(BaseCommand):
    """Exits with 1 when something is wrong or could not be found out.

    With --roundtrip it is a synthetic probe: 0 when the delivery came back.
    """

    help = "Print what must hold in production, with ✓ or ✗ and what to do."
    # It reports what the checks would only stop at.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--only-wrong", action="store_true", help="leave out what is well"
        )
        parser.add_argument(
            "--roundtrip",
            action="store_true",
            help="instead of that, send a delivery of a reserved subject through to Kafka",
        )
        parser.add_argument(
            "--url",
            default=f"http://127.0.0.1:{settings.PORT}",
            help="the web process to send it to (%(default)s)",
        )
        parser.add_argument(
            "--patience",
            type=float,
            default=30.0,
            help="seconds to wait for its record",
        )

    def handle(self, *_args: Any, only_wrong: bool, **options: Any) -> None:
        """Show what must hold, or make the round trip."""
        if options["roundtrip"]:
            self._roundtrip(url=options["url"], patience_s=options["patience"])
            return
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

    def _roundtrip(self, *, url: str, patience_s: float) -> None:
        try:
            made = roundtrip.make(url=url, patience_s=patience_s, now=timezone.now)
        except roundtrip.RoundtripError as error:
            self.stdout.write("✗ round trip")
            raise CommandError(str(error)) from error
        self.stdout.write(
            f"✓ round trip: accepted after {made.accepted_s * 1000:.0f} ms, read back "
            f"after {made.published_s * 1000:.0f} ms from {made.topic}, partition "
            f"{made.partition}, offset {made.offset}"
        )

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
