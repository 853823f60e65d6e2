"""Fetch what lies at a vendor: ``manage.py backfill --vendor … [--subject …]``."""

from __future__ import annotations

import getpass
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from biometrics.connections import registry
from biometrics.errors import BiometricsError
from biometrics.management.commands.replay import moment
from biometrics.models import VendorConnection
from biometrics.recovery import backfill
from biometrics.recovery.fetching import Found
from biometrics.vendors.listing import Window


class Command(BaseCommand):
    help = (
        "List what a vendor has of its connected people and store what is not known yet;"
        " it takes the ordinary way, without alerts. --dry-run tells what would be stored."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--vendor", choices=sorted(backfill.listing_vendors()), required=True
        )
        parser.add_argument(
            "--subject", default="", help="label or id of one person; default everybody"
        )
        parser.add_argument(
            "--since", type=moment, help="ISO 8601; default 60 days before --until"
        )
        parser.add_argument("--until", type=moment, help="ISO 8601; default now")
        parser.add_argument(
            "--dry-run", action="store_true", help="fetch and compare, store nothing"
        )
        parser.add_argument("--reason", default="", help="kept in the audit trail")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Exit with 1 when anything could not be fetched."""
        try:
            order = _order(options)
            found = backfill.backfill(
                order,
                actor=f"command:{getpass.getuser()}",
                reason=options["reason"],
                now=timezone.now,
                is_dry=options["dry_run"],
            )
        except BiometricsError as error:
            raise CommandError(str(error)) from error
        if not found:
            message = "No active connection is meant; see connections list."
            raise CommandError(message)
        problems = [
            line for one, what in found.items() for line in self._print(one, what)
        ]
        if problems:
            raise CommandError("\n".join(problems))

    def _print(self, connection: VendorConnection, found: Found) -> list[str]:
        """Print the counts of a connection; return what went wrong."""
        name = f"{connection.vendor} connection {connection.id}"
        for data_type, seen in sorted(found.seen.items()):
            new = found.new[data_type]
            self.stdout.write(f"{name}: {data_type} {seen} found, {new} new")
        return [
            f"{name}: {data_type}: {error}"
            for data_type, error in sorted(found.errors.items())
        ]


def _order(options: dict[str, Any]) -> backfill.Order:
    until = options["until"] or timezone.now()
    since = options["since"] or until - backfill.HISTORY
    if since >= until:
        message = f"--since {since.isoformat()} is not before --until."
        raise CommandError(message)
    subject = options["subject"]
    return backfill.Order(
        vendor=options["vendor"],
        subject=registry.find_subject(subject) if subject else None,
        window=Window(since=since, until=until),
    )
