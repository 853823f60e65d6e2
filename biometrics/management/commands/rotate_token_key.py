"""Vendors' tokens under the newest key: ``manage.py rotate_token_key``."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from biometrics.connections.rotation import rotate_all, rotate_secrets
from biometrics.errors import ConfigurationError


class Command(BaseCommand):
    help = (
        "Encrypt stored vendor tokens with the first of AUREN_TOKEN_KEYS. Put the new key"
        " first, restart every process, run this, then drop the old key."
    )

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Rewrite what an older key holds; fails while an old key is still needed."""
        try:
            done = rotate_all(now=timezone.now())
            secrets = rotate_secrets()
        except ConfigurationError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{done.rewritten} connections are under the first key.")
        if secrets.rewritten:
            self.stdout.write(
                f"{secrets.rewritten} webhook secrets are under the first key."
            )
        if secrets.locked:
            ids = ", ".join(str(n) for n in secrets.locked)
            message = (
                f"No key of AUREN_TOKEN_KEYS opens the secrets of subscriptions {ids}: add"
                " the key that they were stored with, or end them and subscribe again."
            )
            raise CommandError(message)
        if done.locked:
            ids = ", ".join(str(n) for n in done.locked)
            message = (
                f"No key of AUREN_TOKEN_KEYS opens the tokens of connections {ids}: add"
                " the key that they were stored with, or connect the accounts again."
            )
            raise CommandError(message)
        if done.busy:
            message = (
                f"{done.busy} connections were being renewed: run this again before you"
                " drop the old key."
            )
            raise CommandError(message)
