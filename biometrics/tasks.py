"""What Celery runs. A message names a shard; the work itself lies in the database.

A lost message costs seconds (the sweep), a doubled one nothing (the lease). Tasks take
keyword arguments and ignore unknown ones, so that old workers survive new callers.
"""

from __future__ import annotations

import logging
import time
from datetime import timedelta
from typing import Any

from celery import shared_task
from django.utils import timezone

from biometrics import (
    alarms,
    balances,
    depths,
    leases,
    ledger,
    metrics,
    nudges,
    pipeline,
    retention,
    secret_use,
)
from biometrics.alerts import rates
from biometrics.connections import invitations, subscriptions
from biometrics.notifying import notices
from biometrics.publishing import relay
from biometrics.realtime.broadcast import broadcast_numbers
from biometrics.recovery import lane, reconcile, roster, silence
from biometrics.replay import runs
from resilience import apply_operator_modes, backfill_transitions

logger = logging.getLogger(__name__)

# Long enough to amortise a lease, short enough that shards share the processes.
_BUDGET_S = 1.0
# As often as the schedule asks anyway.
_RECOVER_EXPIRES_S = 15
_WATCH_BUDGET_S = 20.0
_NOTIFY_BUDGET_S = 30.0
_SYNC_AGAIN = 5


@shared_task(name=nudges.PROCESS_TASK)
def process_shard(*, shard: int, urgent: bool = False, **_: Any) -> None:
    """Carry the due deliveries of a shard through to the outbox."""
    nudges.taken(nudges.PROCESS_TASK, shard, urgent=urgent)
    with metrics.PROCESS_SECONDS.time():
        outcome = pipeline.process_shard(
            shard=shard,
            now=leases.shared_clock(own=timezone.now),
            budget_s=_BUDGET_S,
        )
    nudges.nudge_publishing(outcome.publish_shards - outcome.urgent_shards)
    nudges.nudge_publishing(outcome.urgent_shards, urgent=True)
    if outcome.more_due:
        nudges.nudge_processing([shard])
    broadcast_numbers(now=timezone.now())


@shared_task(name=nudges.PUBLISH_TASK)
def publish_shard(*, shard: int, urgent: bool = False, **_: Any) -> None:
    """Hand the pending messages of a shard to Kafka."""
    nudges.taken(nudges.PUBLISH_TASK, shard, urgent=urgent)
    outcome = relay.publish_shard(
        shard=shard,
        now=leases.shared_clock(own=timezone.now),
        deadline=time.monotonic() + _BUDGET_S,
        # An urgent turn too: its first batch held what was urgent here.
        should_yield=nudges.urgent_waits,
    )
    if outcome.more_due:
        nudges.nudge_publishing([shard], urgent=outcome.is_urgent)
    broadcast_numbers(now=timezone.now())


@shared_task(name="biometrics.sweep")
def sweep(**_: Any) -> None:
    """Nudge every shard that has due work: whatever got lost is found here."""
    now = leases.shared_clock(own=timezone.now)()
    nudges.nudge_processing(pipeline.due_process_shards(now=now))
    urgent = relay.urgent_publish_shards(now=now)
    nudges.nudge_publishing(urgent, urgent=True)
    nudges.nudge_publishing(set(relay.due_publish_shards(now=now)) - urgent)
    nudges.mark_worker()
    broadcast_numbers(now=now)


@shared_task(name="biometrics.replay")
def go_on_with_replays(**_: Any) -> None:
    """Go on with the replays and plans that staff asked for."""
    clock = leases.shared_clock(own=timezone.now)
    if runs.advance(now=clock, budget_s=_BUDGET_S).is_working:
        broadcast_numbers(now=timezone.now())


@shared_task(name="biometrics.check_ledger")
def check_ledger(**_: Any) -> None:
    """Compare what intake counted with what lies in the tables; alarm staff if not 0."""
    now = timezone.now()
    imbalance = balances.count(now=now).imbalance
    metrics.LEDGER_IMBALANCE.set(imbalance)
    if imbalance:
        text = (
            f"{imbalance} deliveries, events, alerts or changes of connections of the "
            "last 24 hours cannot be accounted for. manage.py ledger names the hours and rows."
        )
        alarms.sound("ledger", text=text, now=now)
    else:
        alarms.clear("ledger", now=now)


@shared_task(name="biometrics.count_waiting")
def count_waiting(**_: Any) -> None:
    """Count all that waits, so that no page and no scrape has to."""
    depths.count(now=timezone.now())


@shared_task(name="biometrics.count_hrv_rates")
def count_hrv_rates(**_: Any) -> None:
    """Count how often alerts disturb, so that no page has to."""
    rates.keep(now=timezone.now())


@shared_task(name="biometrics.roll_up_counts")
def roll_up_counts(**_: Any) -> None:
    """Fold the counters of past minutes and processes into hours."""
    ledger.roll_up(before=timezone.now() - timedelta(hours=2))


@shared_task(name="biometrics.count_secrets")
def count_secrets(**_: Any) -> None:
    """Note which signing secret proved what, so that an old one can go."""
    secret_use.keep(now=timezone.now())


@shared_task(name="biometrics.keep_breakers")
def keep_breakers(**_: Any) -> None:
    """Store transitions that no process stored; re-apply modes after a wiped Redis."""
    backfill_transitions()
    apply_operator_modes()


@shared_task(name="biometrics.sync_subscriptions")
def sync_subscriptions(*, again: int = _SYNC_AGAIN, **_: Any) -> None:
    """Keep each vendor telling us what we want to know; alarm staff when one will not.

    What a slow vendor left no time for goes on in a minute, up to `again` times.
    """
    subscriptions.forget_others(now=timezone.now())
    adapters = subscriptions.subscribing_adapters()
    share = subscriptions.SYNC_SECONDS / max(1, len(adapters))
    slow = [
        adapter
        for adapter in adapters
        if subscriptions.sync_or_alarm(adapter, now=timezone.now(), within_s=share)
    ]
    if slow and again > 0:
        sync_subscriptions.apply_async(kwargs={"again": again - 1}, countdown=60)


@shared_task(name="biometrics.recover_due")
def recover_due(**_: Any) -> None:
    """Fetch what is due of one account; go on while there is more."""
    if lane.work(now=timezone.now):
        recover_due.apply_async(expires=_RECOVER_EXPIRES_S)


@shared_task(name="biometrics.reconcile")
def reconcile_all(**_: Any) -> None:
    """Have each active connection compared with what its vendor has."""
    reconcile.make_due(now=timezone.now())


@shared_task(name="biometrics.compare_rosters")
def compare_rosters(**_: Any) -> None:
    """Find accounts that came or went without a webhook having told."""
    roster.compare_all(now=timezone.now)


@shared_task(name="biometrics.watch_streams")
def watch_streams(*, after: int = 0, **_: Any) -> None:
    """Find streams that went quiet or speak again; they are seen to at once."""
    wanted, last = reconcile.watch(
        after=after, now=timezone.now(), budget_s=_WATCH_BUDGET_S
    )
    reconcile.make_due(now=timezone.now(), ids=wanted)
    if last is not None:
        watch_streams.apply_async(kwargs={"after": last})


@shared_task(name="biometrics.check_connections")
def check_connections(**_: Any) -> None:
    """Alarm staff while a consent is gone."""
    silence.check_connections(now=timezone.now())


@shared_task(name="biometrics.notify")
def notify(**_: Any) -> None:
    """Tell those who subscribed of new alerts, each once."""
    notices.make_due(now=timezone.now())
    notices.send_due(now=timezone.now, budget_s=_NOTIFY_BUDGET_S)


@shared_task(name="biometrics.retain")
def retain(**_: Any) -> None:
    """Forget what has served its time."""
    retention.retain(now=timezone.now(), limit_s=30.0)
    invitations.forget_used(now=timezone.now())
