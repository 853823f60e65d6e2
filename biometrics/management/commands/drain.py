"""Work without Celery: ``manage.py drain [--step process|publish] [--seconds N]``."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from biometrics import pipeline, tracing
from biometrics.models import OutboxMessage
from biometrics.models.outbox import MessageStatus
from biometrics.publishing import relay
from biometrics.replay import runs

_TURN_S = 1.0
# Somebody else works on the shard, or Kafka is being waited for.
_PAUSE_S = 0.5


class Command(BaseCommand):
    help = "Carry every due delivery and message through to Kafka, in this process."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--step", choices=("process", "publish"))
        parser.add_argument(
            "--seconds", type=float, default=600.0, help="give up after so long"
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Go round until nothing is due; what is left then is an error."""
        try:
            self._go_round(options)
        finally:
            tracing.stop()

    def _go_round(self, options: dict[str, Any]) -> None:
        deadline = time.monotonic() + options["seconds"]
        step = options["step"]
        done: Counter[str] = Counter()
        while time.monotonic() < deadline:
            before = done.total()
            processes = step != "publish" and self._process(done)
            publishes = step != "process" and self._publish(done)
            if not processes and not publishes:
                break
            if done.total() == before:
                time.sleep(_PAUSE_S)
        for name, number in sorted(done.items()):
            self.stdout.write(f"{name}\t{number}")
        if step != "process":
            self._complain()

    def _process(self, done: Counter[str]) -> bool:
        shards = pipeline.due_process_shards(now=timezone.now())
        for shard in shards:
            outcome = pipeline.process_shard(
                shard=shard, now=timezone.now, budget_s=_TURN_S
            )
            done["deliveries"] += outcome.deliveries
        replaying = runs.advance(now=timezone.now, budget_s=_TURN_S).is_working
        return bool(shards) or replaying

    def _publish(self, done: Counter[str]) -> bool:
        shards = relay.due_publish_shards(now=timezone.now())
        for shard in shards:
            outcome = relay.publish_shard(
                shard=shard, now=timezone.now, deadline=time.monotonic() + _TURN_S
            )
            done["messages"] += outcome.published
        # A shard that backs off is not due this moment, but will be.
        return bool(shards) or relay.is_unfinished()

    def _complain(self) -> None:
        left = OutboxMessage.objects.filter(
            status__in=[MessageStatus.PENDING, MessageStatus.IN_BATCH]
        ).count()
        if left:
            message = (
                f"{left} messages could not be published; see manage.py outbox status "
                "and manage.py kafka_topics --check."
            )
            raise CommandError(message)
