"""Read stored deliveries again with today's mapping: ``manage.py replay``."""

from __future__ import annotations

import getpass
import time
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from biometrics import audit
from biometrics.errors import BiometricsError
from biometrics.models import ReplayRun, WebhookDelivery
from biometrics.replay import runs
from biometrics.replay.comparing import Change, Preview
from biometrics.replay.selection import REPLAYABLE, Selection, count, portion
from biometrics.vendors.registry import VENDORS

_PORTION = 100
_SHOWN = 20
_LOOK_AGAIN_S = 1.0


class Command(BaseCommand):
    help = (
        "Hand stored deliveries to the workers again, so that they are read with today's"
        " mapping; only what changed is stored and published, as a new revision."
        " --dry-run tells what would change."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--vendor", choices=sorted(VENDORS), default="")
        parser.add_argument("--account", default="", help="the vendor's account id")
        parser.add_argument("--subject", type=UUID, help="a person's id")
        parser.add_argument("--status", default="", choices=[*REPLAYABLE])
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
            "--dry-run", action="store_true", help="compare, change nothing"
        )
        parser.add_argument(
            "--show-values",
            action="store_true",
            help="with --dry-run: health values too; needs a reason, is audited",
        )
        parser.add_argument("--reason", default="", help="kept in the audit trail")
        parser.add_argument(
            "--follow", action="store_true", help="tell the progress until the end"
        )
        parser.add_argument("--run", type=int, help="tell how far a replay is")
        parser.add_argument("--cancel", type=int, help="hand over no more of a replay")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Count, then compare or replay."""
        try:
            self._do(options)
        except audit.ReasonMissingError as error:
            message = f"{error} Give one with --reason."
            raise CommandError(message) from error
        except BiometricsError as error:
            raise CommandError(str(error)) from error

    def _do(self, options: dict[str, Any]) -> None:
        signed = {"actor": f"command:{getpass.getuser()}", "reason": options["reason"]}
        if options["cancel"] is not None:
            runs.cancel(options["cancel"], **signed, now=timezone.now())
            self.stdout.write("Cancelled; what was handed over goes on.")
        elif options["run"] is not None:
            self._tell(options["run"], follow=options["follow"])
        else:
            selection = _selection(options)
            self._print_counts(selection)
            if options["dry_run"]:
                self._compare(selection, options, **signed)
            else:
                run = runs.begin(selection, **signed, now=timezone.now())
                self.stdout.write(
                    f"Replay {run.pk} has begun; the workers take it from here."
                    f" manage.py replay --run {run.pk} tells how far it is."
                )
                if options["follow"]:
                    self._tell(run.pk, follow=True)

    def _print_counts(self, selection: Selection) -> None:
        counted = count(selection)
        for (vendor, status), n in sorted(counted.items()):
            self.stdout.write(f"{n:>9}  {vendor} {status}")
        self.stdout.write(f"{sum(counted.values()):>9}  deliveries in all")

    def _compare(
        self, selection: Selection, options: dict[str, Any], *, actor: str, reason: str
    ) -> None:
        if options["show_values"]:
            audit.note(
                actor=actor,
                verb="values.reveal",
                target="a replay's dry run",
                reason=reason,
                now=timezone.now(),
                detail={
                    "what": "values that would differ, of what was chosen",
                    "chosen": runs.audited(selection),
                },
            )
        found, shown = Preview(), 0
        newest = WebhookDelivery.objects.order_by("-id").first()
        after, through = 0, 0 if newest is None else newest.pk
        while rows := list(
            portion(selection, after=after, through=through, limit=_PORTION)
        ):
            after = rows[-1].pk
            for change in found.add(rows):
                if shown < _SHOWN:
                    self._print_change(change, values=options["show_values"])
                shown += 1
        if shown > _SHOWN:
            self.stdout.write(f"(the first {_SHOWN} of {shown} records)")
        self._print_preview(found)

    def _print_change(self, change: Change, *, values: bool) -> None:
        self.stdout.write(
            f"{change.vendor} {change.record_type} {change.record_id}"
            f" (delivery {change.delivery.public_id})"
        )
        for one in change.fields:
            told = f": {one.before} -> {one.after}" if values else ""
            self.stdout.write(f"           {one.path}{told}")

    def _print_preview(self, preview: Preview) -> None:
        for (vendor, fate), n in sorted(preview.deliveries.items()):
            self.stdout.write(f"{n:>9}  {vendor} deliveries: {fate}")
        for (vendor, record_type, outcome), n in sorted(preview.records.items()):
            self.stdout.write(f"{n:>9}  {vendor} {record_type}: {outcome}")
        for (vendor, record_type, path), n in sorted(preview.fields.items()):
            self.stdout.write(f"{n:>9}  {vendor} {record_type} differ in {path}")
        self.stdout.write(
            f"{preview.changed:>9}  records would be stored and published anew"
        )

    def _tell(self, run_id: int, *, follow: bool) -> None:
        said = ""
        while True:
            run = ReplayRun.objects.filter(pk=run_id).first()
            if run is None:
                message = f"There is no replay {run_id}."
                raise CommandError(message)
            told = _progress(run)
            if told != said:
                self.stdout.write(told)
                said = told
            if not follow or not run.is_active:
                return
            time.sleep(_LOOK_AGAIN_S)


def moment(text: str) -> datetime:
    """Read an ISO 8601 time; without an offset it is UTC."""
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        message = f"{text!r} is no time like 2026-11-24T08:00:00+00:00."
        raise CommandError(message) from None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def _progress(run: ReplayRun) -> str:
    ends = ", ".join(f"{n} {status}" for status, n in sorted(run.outcomes.items()))
    return (
        f"Replay {run.pk} is {run.state}: {run.done} of {run.total} deliveries read"
        f"{f' ({ends})' if ends else ''}, {run.changed} records changed."
    )


def _selection(options: dict[str, Any]) -> Selection:
    selection = Selection(
        vendor=options["vendor"],
        account_id=options["account"],
        subject=options["subject"],
        status=options["status"],
        error_code=options["error_code"],
        since=options["since"],
        until=options["until"],
        ids=tuple(options["id"]),
    )
    if selection == Selection() and not options["all"]:
        message = "Say which deliveries (see --help), or --all."
        raise CommandError(message)
    return selection
