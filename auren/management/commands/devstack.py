"""Run the whole bridge in this terminal: ``manage.py devstack`` (``make run``)."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from auren.devstack.process import ServiceError
from auren.devstack.runner import Options, Runner
from auren.devstack.terminal import Terminal

SIMULATED_PEOPLE = 6


class Command(BaseCommand):
    help = "Run the bridge, its services and simulated people until Ctrl-C."
    # The system checks look at the database, which this command is about to make.
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--port", type=int, default=settings.PORT)
        parser.add_argument(
            "--people",
            type=int,
            default=SIMULATED_PEOPLE,
            help="how many people to simulate; 0 for none (default %(default)s)",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Run until Ctrl-C or SIGTERM."""
        wanted = Options(port=options["port"], people=options["people"])
        try:
            Runner(options=wanted, terminal=Terminal()).run()
        except ServiceError as error:
            raise CommandError(str(error)) from error
