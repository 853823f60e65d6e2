"""The contract with consumers: ``manage.py contract [--check]``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from biometrics.alerts.wording import LIMITS_OF_USE
from biometrics.publishing import contract
from biometrics.vendors.registry import all_adapters

FOLDER = Path(settings.BASE_DIR) / "docs" / "contract"


class Command(BaseCommand):
    # Describes code alone; no server has to be configured for that.
    requires_system_checks = ()
    help = "Write JSON Schemas and the AsyncAPI document from code into docs/contract."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--check", action="store_true", help="compare, write nothing"
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Write the files, or fail where they differ from what the code says."""
        files = contract.files(
            event_topics=sorted({adapter.topic for adapter in all_adapters()}),
            alert_topic=settings.KAFKA_ALERT_TOPIC,
            limits_of_use=LIMITS_OF_USE,
        )
        if options["check"]:
            self._compare(files)
            return
        FOLDER.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (FOLDER / name).write_text(text, encoding="utf-8")
        self.stdout.write(f"{len(files)} files in {FOLDER}.")

    def _compare(self, files: dict[str, str]) -> None:
        stale = [name for name, text in files.items() if _stored(name) != text]
        if stale:
            message = (
                f"docs/contract differs from the code ({', '.join(stale)}): if the "
                "change breaks nobody, run manage.py contract and commit."
            )
            raise CommandError(message)
        self.stdout.write(f"{len(files)} files are as the code says.")


def _stored(name: str) -> str:
    path = FOLDER / name
    return path.read_text(encoding="utf-8") if path.exists() else ""
