"""What waits to be published: ``manage.py outbox status|parked|fix|retry|skip|compare|...``."""

from __future__ import annotations

import getpass
from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import Count, Min
from django.utils import timezone

from biometrics import mending, outbox, reasons
from biometrics.errors import BiometricsError
from biometrics.identity import database_id
from biometrics.models import OutboxMessage, ParkedQueue, ShardLease
from biometrics.models.outbox import LeaseStep, MessageStatus
from biometrics.publishing import compare, relay, topics
from biometrics.publishing.producers.kafka_reader import record_ids
from biometrics.publishing.resume import resume


class Command(BaseCommand):
    help = "Show what waits to be published; decide about parked messages and alarms."

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        verbs.add_parser("status", help="counts, the oldest message, alarms")
        verbs.add_parser("parked", help="whose messages are parked, and why")
        for name, text in (
            ("fix", "make the refused message anew with today's code, then retry"),
            ("retry", "let parked messages flow again"),
            ("skip", "give up the message that stopped a person; the others flow"),
            ("park", "hold back what a person has waiting"),
        ):
            verb = verbs.add_parser(name, help=text)
            verb.add_argument("--subject", type=UUID, required=True)
            verb.add_argument("--reason", required=True)
        comparing = verbs.add_parser(
            "compare", help="find waiting messages of stopped shards that Kafka has"
        )
        comparing.add_argument(
            "--since",
            type=datetime.fromisoformat,
            help="read records from then on, with offset; default: all that are kept",
        )
        comparing.add_argument(
            "--apply", action="store_true", help="mark those as published"
        )
        comparing.add_argument("--reason", default="", help="needed with --apply")
        ending = verbs.add_parser("resume", help="end the alarm of a shard")
        ending.add_argument("--shard", type=int, required=True)
        ending.add_argument(
            "--open-batch",
            choices=("published", "pending"),
            required=True,
            help="is the open batch in Kafka (published) or to be sent (pending)",
        )
        ending.add_argument("--reason", required=True)

    def handle(self, *_args: Any, **options: Any) -> None:
        """Do what the verb says."""
        act: Callable[[dict[str, Any]], None] = getattr(self, f"_{options['verb']}")
        try:
            act(options)
        except BiometricsError as error:
            raise CommandError(str(error)) from error

    def _status(self, _options: dict[str, Any]) -> None:
        counts = OutboxMessage.objects.values_list("status").annotate(n=Count("id"))
        for status, number in counts.order_by("status"):
            self.stdout.write(f"{status}\t{number}")
        oldest = OutboxMessage.objects.filter(
            status__in=[MessageStatus.PENDING, MessageStatus.IN_BATCH]
        ).aggregate(oldest=Min("created_at"))["oldest"]
        if oldest is not None:
            age = (timezone.now() - oldest).total_seconds()
            self.stdout.write(f"oldest\t{age:.0f} s")
        alarms = ShardLease.objects.filter(step=LeaseStep.PUBLISH).exclude(alarm="")
        for lease in alarms.order_by("shard"):
            self.stdout.write(f"alarm\tshard {lease.shard}\t{lease.alarm}")

    def _parked(self, _options: dict[str, Any]) -> None:
        for queue in ParkedQueue.objects.order_by("since"):
            number = OutboxMessage.objects.filter(
                subject=queue.subject, status=MessageStatus.PARKED
            ).count()
            told = [
                str(queue.subject),
                f"{number} messages since {queue.since:%Y-%m-%d %H:%M}Z",
                f"from {queue.from_id}",
                f"{queue.code}: {queue.reason}",
                f"Next: {reasons.of_queue(queue.code).next_step}",
            ]
            self.stdout.write("\t".join(told))

    def _fix(self, options: dict[str, Any]) -> None:
        fixed = mending.fix(
            subject=options["subject"],
            actor=_actor(),
            reason=options["reason"],
            now=timezone.now(),
        )
        how = "Its delivery is read again" if fixed.is_read_again else "It is made anew"
        self.stdout.write(f"{how}; {fixed.due} messages are due now.")

    def _retry(self, options: dict[str, Any]) -> None:
        self._decide(outbox.retry, options, "{} messages are due now.")

    def _skip(self, options: dict[str, Any]) -> None:
        self._decide(outbox.skip, options, "One was given up, {} are due now.")

    def _park(self, options: dict[str, Any]) -> None:
        self._decide(outbox.hold_back, options, "{} messages are parked.")

    def _decide(
        self, act: Callable[..., int], options: dict[str, Any], answer: str
    ) -> None:
        count = act(
            subject=options["subject"],
            actor=_actor(),
            reason=options["reason"],
            now=timezone.now(),
        )
        self.stdout.write(answer.format(count))

    def _compare(self, options: dict[str, Any]) -> None:
        if options["apply"] and not options["reason"]:
            message = "--apply needs a --reason, which is kept in the audit."
            raise CommandError(message)
        shards = compare.stopped_shards()
        if not shards:
            self.stdout.write("No shard is stopped.")
            return
        records = record_ids(
            topics=sorted({spec.name for spec in topics.declared()}),
            since=options["since"],
        )
        for found in compare.compare(shards=shards, records=records):
            self.stdout.write(
                f"shard {found.shard}\t{found.waiting} wait, "
                f"{len(found.published)} of them are in Kafka"
            )
            if options["apply"]:
                number = compare.mark(
                    found,
                    actor=_actor(),
                    reason=options["reason"],
                    now=timezone.now(),
                )
                self.stdout.write(f"\t{number} are marked as published")
            self.stdout.write(
                f"\tnext: manage.py outbox resume --shard {found.shard} "
                f"--open-batch {found.open_batch} --reason …"
            )

    def _resume(self, options: dict[str, Any]) -> None:
        number = resume(
            shard=options["shard"],
            open_batch=options["open_batch"],
            cluster=relay.open_cluster(),
            database_id=database_id(),
            actor=_actor(),
            reason=options["reason"],
            now=timezone.now(),
        )
        self.stdout.write(f"Shard {options['shard']} goes on with batch {number}.")


def _actor() -> str:
    return f"{getpass.getuser()} (command)"
