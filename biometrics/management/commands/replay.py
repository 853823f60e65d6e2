"""Read stored deliveries again with today's mapping: ``manage.py replay``."""

from __future__ import annotations

import getpass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from biometrics import replay
from biometrics.errors import BiometricsError
from biometrics.models.intake import DeliveryStatus
from biometrics.vendors.registry import VENDORS


class Command(BaseCommand):
    help = (
        "Make stored deliveries due again, so that they are read with today's mapping;"
        " only what changed is stored and published. --dry-run tells what would change."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--vendor", choices=sorted(VENDORS), default="")
        parser.add_argument("--account", default="", help="the vendor's account id")
        parser.add_argument(
            "--status",
            default="",
            choices=[
                DeliveryStatus.PROCESSED,
                DeliveryStatus.PARKED,
                DeliveryStatus.IGNORED,
            ],
        )
        parser.add_argument("--error-code", default="", help="as shown in the admin")
        parser.add_argument(
            "--since", type=moment, help="received at or after (ISO 8601)"
        )
        parser.add_argument("--until", type=moment, help="received before (ISO 8601)")
        parser.add_argument(
            "--id", type=UUID, action="append", default=[], help="a delivery's id"
        )
        parser.add_argument("--all", action="store_true", help="whatever is stored")
        parser.add_argument(
            "--dry-run", action="store_true", help="compare, write nothing"
        )
        parser.add_argument("--reason", default="", help="kept in the audit trail")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Count, then compare or replay."""
        selection = _selection(options)
        self._print_counts(selection)
        if options["dry_run"]:
            self._print_preview(replay.preview(selection))
            return
        try:
            replay.replay(
                selection,
                actor=f"command:{getpass.getuser()}",
                reason=options["reason"],
                now=timezone.now(),
            )
        except BiometricsError as error:
            message = f"{error} Give one with --reason."
            raise CommandError(message) from error
        self.stdout.write("They are due again; the workers take them from here.")

    def _print_counts(self, selection: replay.Selection) -> None:
        counted = replay.count(selection)
        for (vendor, status), n in sorted(counted.items()):
            self.stdout.write(f"{n:>9}  {vendor} {status}")
        self.stdout.write(f"{sum(counted.values()):>9}  deliveries in all")

    def _print_preview(self, preview: replay.Preview) -> None:
        for (vendor, fate), n in sorted(preview.deliveries.items()):
            self.stdout.write(f"{n:>9}  {vendor} deliveries: {fate}")
        for (vendor, record_type, outcome), n in sorted(preview.records.items()):
            self.stdout.write(f"{n:>9}  {vendor} {record_type}: {outcome}")
        self.stdout.write(
            f"{preview.changed:>9}  records would be stored and published anew"
        )


def moment(text: str) -> datetime:
    """Read an ISO 8601 time; without an offset it is UTC."""
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        message = f"{text!r} is no time like 2026-11-24T08:00:00+00:00."
        raise CommandError(message) from None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def _selection(options: dict[str, Any]) -> replay.Selection:
    selection = replay.Selection(
        vendor=options["vendor"],
        account_id=options["account"],
        status=options["status"],
        error_code=options["error_code"],
        since=options["since"],
        until=options["until"],
        ids=tuple(options["id"]),
    )
    if selection == replay.Selection() and not options["all"]:
        message = "Say which deliveries (see --help), or --all."
        raise CommandError(message)
    return selection
