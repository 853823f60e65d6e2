"""What vendors tell us unasked: ``manage.py subscriptions {list,sync}``."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from biometrics.connections import subscriptions
from biometrics.errors import BiometricsError
from biometrics.vendors.base import VendorAdapter


class Command(BaseCommand):
    help = "List the account's subscriptions, or make them equal to what is wanted."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("verb", choices=("list", "sync"))

    def handle(self, *_args: Any, **options: Any) -> None:
        """Exit with 1 when a vendor cannot be asked or anything wanted is missing."""
        problems: list[str] = []
        for adapter in subscriptions.subscribing_adapters():
            try:
                problems += (
                    self._list(adapter)
                    if options["verb"] == "list"
                    else self._sync(adapter)
                )
            except BiometricsError as error:
                problems.append(f"{adapter.title}: {error}")
        if problems:
            raise CommandError("\n".join(problems))

    def _list(self, adapter: VendorAdapter) -> list[str]:
        for one in subscriptions.listing(adapter):
            ends = one.expires_at.isoformat() if one.expires_at else "unknown"
            name = ".".join(reversed(one.topic))
            self.stdout.write(f"{adapter.slug} {name} until {ends} {one.callback_url}")
        return []

    def _sync(self, adapter: VendorAdapter) -> list[str]:
        outcome = subscriptions.sync(adapter, now=timezone.now())
        for line in outcome.done:
            self.stdout.write(f"{adapter.slug}: {line}")
        self.stdout.write(
            f"{adapter.slug}: {len(outcome.subscriptions)} subscriptions."
        )
        return outcome.problems
