"""Forget a person: ``manage.py erase_subject ID --reason …``."""

from __future__ import annotations

import getpass
import time
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from biometrics import erasure
from biometrics.audit import ReasonMissingError
from biometrics.models import Subject
from biometrics.outbox import OutboxError

_PAUSE_S = 1.0


class Command(BaseCommand):
    help = (
        "Delete everything about a person and tell consumers to do the same. It cannot"
        " be undone; the person's vendor accounts can never come back."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("subject", type=UUID, help="the person's id")
        parser.add_argument("--reason", required=True, help="kept in the audit trail")
        parser.add_argument(
            "--wait", type=float, default=60.0, help="seconds for messages on their way"
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Erase, waiting for what is being published."""
        deadline = time.monotonic() + options["wait"]
        while (erased := _erase(options, is_last=time.monotonic() > deadline)) is None:
            time.sleep(_PAUSE_S)
        self.stdout.write(
            f"Erased: {erased.connections} connections, {erased.events} events,"
            f" {erased.messages} messages; {erased.deliveries} deliveries are empty now."
        )


def _erase(options: dict[str, Any], *, is_last: bool) -> erasure.Erased | None:
    """Return what was erased, None while messages are on their way."""
    try:
        return erasure.erase_subject(
            subject_id=options["subject"],
            actor=f"command:{getpass.getuser()}",
            reason=options["reason"],
            now=timezone.now(),
        )
    except OutboxError as error:
        if is_last:
            raise CommandError(str(error)) from error
        return None
    except Subject.DoesNotExist:
        message = f"Nobody has the id {options['subject']}."
        raise CommandError(message) from None
    except ReasonMissingError as error:
        message = f"{error} Give one with --reason."
        raise CommandError(message) from error
