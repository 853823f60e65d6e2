"""Topics of the bridge: ``manage.py kafka_topics [--check]``."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from biometrics.errors import PublishError
from biometrics.publishing import topics
from biometrics.publishing.producers import kafka_topics

# New topics reach the other brokers within a second or two.
_SPREAD_S = 15.0


class Command(BaseCommand):
    help = "Create the topics that are missing in Kafka and check how all of them look."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--check", action="store_true", help="change nothing")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Create, then check; anything that is not as it must be is an error."""
        specs = topics.required()
        try:
            done = [] if options["check"] else kafka_topics.create_missing(specs=specs)
            problems = kafka_topics.problems(
                specs=specs, patience_s=_SPREAD_S if done else 0.0
            )
        except PublishError as error:
            raise CommandError(str(error)) from error
        for line in done:
            self.stdout.write(line)
        if problems:
            raise CommandError("\n".join(problems))
        self.stdout.write(f"{len(specs)} topics are as they must be.")
