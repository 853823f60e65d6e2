"""Is anything lost? ``manage.py ledger``."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from biometrics import ledger, untold
from biometrics.management.commands.replay import moment
from biometrics.vendors.registry import VENDORS

_AN_HOUR = timedelta(hours=1)
_MOST_NAMED = 20


class Command(BaseCommand):
    help = (
        "Hold what intake counted against what the tables hold, by hour and vendor."
        " Exits with 1 when something cannot be accounted for, and names it."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--since", type=moment, help="ISO 8601; default 24 h ago")
        parser.add_argument("--until", type=moment, help="ISO 8601; default now")
        parser.add_argument("--vendor", choices=sorted(VENDORS), default="")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Print the lines of full hours, then what is wrong."""
        until = _hour(options["until"] or timezone.now()) + _AN_HOUR
        since = _hour(options["since"] or until - timedelta(hours=25))
        if since >= until:
            message = f"--since {since.isoformat()} is not before --until."
            raise CommandError(message)
        found = ledger.between(since=since, until=until, vendor=options["vendor"])
        self._print_lines(found)
        if found.messages:
            told = ", ".join(f"{n} {status}" for status, n in found.messages.items())
            self.stdout.write(f"messages: {told}")
        if found.imbalance:
            self._name(found, vendor=options["vendor"])
            message = f"{found.imbalance} cannot be accounted for."
            raise CommandError(message)
        self.stdout.write("Nothing is lost: the imbalance is 0.")

    def _print_lines(self, found: ledger.Balance) -> None:
        heads = ("hour (UTC)", "vendor", "received", "duplicate", "rejected", "stored")
        self.stdout.write("{:<17}{:<12}{:>10}{:>10}{:>10}{:>10}  states".format(*heads))
        for (hour, vendor), line in found.hours.items():
            states = ", ".join(f"{n} {status}" for status, n in line.states.items())
            mark = "".join(
                f"  {word} {count}"
                for word, count in (
                    ("announced", sum(line.announced.values())),
                    ("recovered", line.recovered),
                    ("backfilled", line.backfilled),
                    ("imbalance", line.imbalance),
                )
                if count
            )
            self.stdout.write(
                f"{hour:%Y-%m-%d %H:00} {vendor:<12}{line.received:>10}"
                f"{line.duplicate:>10}{line.rejected:>10}{line.stored:>10}"
                f"  {states or 'none'}{mark}"
            )

    def _name(self, found: ledger.Balance, *, vendor: str) -> None:
        for (hour, name), line in found.hours.items():
            rows = sum(line.states.values())
            if rows != line.stored:
                self.stdout.write(
                    f"{hour:%Y-%m-%d %H:00} {name}: {line.stored} counted as stored, "
                    f"{rows} rows found."
                )
            if line.unfetched:
                self.stdout.write(
                    f"{hour:%Y-%m-%d %H:00} {name}: {line.unfetched} announcements are"
                    " processed, and what lay at their address is not here."
                )
        self._name_untold(found, {"vendor": vendor} if vendor else {})
        if found.silent_alerts:
            self.stdout.write(
                f"{found.silent_alerts} alerts changed without a message."
            )

    def _name_untold(self, found: ledger.Balance, of_vendor: dict[str, str]) -> None:
        span = {"since": found.since, "until": found.until}
        silent = untold.silent_events(**span).filter(**of_vendor)
        for event in silent.order_by("created_at")[:_MOST_NAMED]:
            self.stdout.write(f"event {event.pk} ({event}) has no message.")
        partial = untold.partial_events(**span).filter(**of_vendor)
        for event in partial.order_by("created_at")[:_MOST_NAMED]:
            self.stdout.write(
                f"event {event.pk} ({event}) has {event.told} of {event.parts} messages."
            )
        changes = untold.silent_changes(**span).filter(**of_vendor)
        for change in changes.order_by("at")[:_MOST_NAMED]:
            self.stdout.write(f"{change} has no message {change.ce_id}.")


def _hour(at: datetime) -> datetime:
    return at.replace(minute=0, second=0, microsecond=0)
