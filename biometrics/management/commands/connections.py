"""Accounts and people: ``manage.py connections add|list|healthkit-token|link|revoke``."""

from __future__ import annotations

import getpass
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from biometrics import linking
from biometrics.connections import registry
from biometrics.errors import BiometricsError
from biometrics.models import VendorConnection
from biometrics.vendors.registry import VENDORS


class Command(BaseCommand):
    help = "Connect vendor accounts with people, show and end connections."

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        _add_arguments(verbs.add_parser("add", help="connect an account"))
        listing = verbs.add_parser("list", help="show connections, without tokens")
        listing.add_argument("--vendor", choices=sorted(VENDORS), default="")
        token = verbs.add_parser(
            "healthkit-token", help="make a person's token and print it, once"
        )
        token.add_argument("--subject", required=True, help="label or id of the person")
        token.add_argument(
            "--create", action="store_true", help="make the person if nobody has it"
        )
        link = verbs.add_parser("link", help="give an account to another person")
        link.add_argument("--vendor", choices=sorted(VENDORS), required=True)
        link.add_argument("--account", required=True)
        link.add_argument("--subject", required=True, help="label or id of the person")
        link.add_argument("--reason", required=True)
        revoke = verbs.add_parser("revoke", help="end a connection")
        revoke.add_argument("--vendor", choices=sorted(VENDORS), required=True)
        revoke.add_argument("--account", required=True)
        revoke.add_argument("--reason", required=True)

    def handle(self, *_args: Any, **options: Any) -> None:
        """Do what the verb says."""
        act = {
            "add": self._add,
            "list": self._list,
            "healthkit-token": self._token,
            "link": self._link,
            "revoke": self._revoke,
        }[options["verb"]]
        try:
            act(options)
        except BiometricsError as error:
            raise CommandError(str(error)) from error

    def _add(self, options: dict[str, Any]) -> None:
        with _telling(options, reason="staff entered the account"):
            connection = registry.add_connection(
                vendor=options["vendor"],
                account_id=options["account"],
                label=options["label"],
                access_token=_given(options, "access_token"),
                refresh_token=_given(options, "refresh_token"),
                expires_at=options["expires_at"],
            )
        self.stdout.write(f"{connection.vendor} is connected: {connection.subject_id}")

    def _list(self, options: dict[str, Any]) -> None:
        rows = VendorConnection.objects.select_related("subject").order_by(
            "vendor", "subject__label", "id"
        )
        if options["vendor"]:
            rows = rows.filter(vendor=options["vendor"])
        for row in rows.iterator():
            expires = row.token_expires_at
            until = f"token until {expires:%Y-%m-%d %H:%M}Z" if expires else ""
            told = [row.vendor, row.account_id, row.subject.label, row.status, until]
            self.stdout.write("\t".join(told))

    def _token(self, options: dict[str, Any]) -> None:
        subject = registry.find_subject(options["subject"], create=options["create"])
        self.stderr.write("This token is shown once; only its digest is kept:")
        about = {"vendor": registry.token_vendor(), "account": str(subject.id)}
        with _telling(about, reason="staff handed out a token"):
            token = registry.issue_healthkit_token(subject)
        self.stdout.write(token)

    def _link(self, options: dict[str, Any]) -> None:
        subject = registry.find_subject(options["subject"])
        connection = linking.relink(
            connection_id=_known(options).id,
            subject=subject,
            actor=f"command:{getpass.getuser()}",
            reason=options["reason"],
            now=timezone.now(),
        )
        self.stdout.write(f"{connection.vendor} now speaks of {subject.label}.")

    def _revoke(self, options: dict[str, Any]) -> None:
        known = _known(options)
        with _telling(options, reason="staff ended the connection"):
            registry.revoke(connection_id=known.id, reason=options["reason"])
        self.stdout.write(f"{options['vendor']} {options['account']} is revoked.")


def _telling(options: dict[str, Any], *, reason: str) -> AbstractContextManager[None]:
    return linking.telling(
        vendor=options["vendor"],
        account_id=options["account"],
        reason=reason,
        now=timezone.now(),
    )


def _known(options: dict[str, Any]) -> VendorConnection:
    account = (options["vendor"], options["account"])
    connection = registry.lookup([account]).get(account)
    if connection is None:
        message = (
            f"{account[0]} has no connection {account[1]!r}; see connections list."
        )
        raise CommandError(message)
    return connection


def _add_arguments(parser: CommandParser) -> None:
    parser.add_argument("--vendor", choices=sorted(VENDORS), required=True)
    parser.add_argument("--account", required=True, help="the vendor's account id")
    parser.add_argument("--label", required=True, help="the person, for staff only")
    for kind in ("access", "refresh"):
        token = parser.add_mutually_exclusive_group()
        token.add_argument(
            f"--{kind}-token-file",
            type=Path,
            help="a file that holds the token and nothing else",
        )
        token.add_argument(
            f"--{kind}-token",
            default="",
            help="the token; every user of this host can read it while this runs",
        )
    parser.add_argument(
        "--expires-at", type=_moment, help="end of the access token (ISO 8601)"
    )


def _given(options: dict[str, Any], name: str) -> str:
    """Return a token from its file, else from the command line."""
    path: Path | None = options[f"{name}_file"]
    if path is None:
        return str(options[name])
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        option = f"--{name.replace('_', '-')}-file"
        message = f"{option}: cannot read {str(path)!r}: {error.strerror}."
        raise CommandError(message) from error


def _moment(text: str) -> datetime:
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        message = f"--expires-at: {text!r} is no time like 2026-11-24T08:00:00+00:00."
        raise CommandError(message) from None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
