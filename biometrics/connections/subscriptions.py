"""Making a vendor's subscriptions equal to what this bridge wants to be told.

The vendor asks our callback for the verification token while the call that subscribes is
still open, so this runs in a worker or a command, never in the process that answers.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.conf import settings

from biometrics import alarms
from biometrics.connections import subscribed
from biometrics.connections.application import Application
from biometrics.errors import BiometricsError, VendorUnavailableError
from biometrics.secret_use import fingerprint
from biometrics.vendors.base import VendorAdapter
from biometrics.vendors.registry import all_adapters
from biometrics.vendors.subscriptions import Subscription, Topic

# How long before its end a subscription is renewed.
RENEW_AHEAD = timedelta(days=30)
# A look at one vendor, within the tasks' soft time limit. A call holds a handshake.
SYNC_SECONDS = 45.0


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What lies at the vendor now, what was done for it, and what is wrong.

    `untold` are the topics whose subscription may hold another verification token than
    ours; `is_unfinished` says that time ran out.
    """

    subscriptions: dict[Topic, Subscription] = field(default_factory=dict)
    untold: set[Topic] = field(default_factory=set)
    done: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    is_unfinished: bool = False


def subscribing_adapters() -> list[VendorAdapter]:
    """Return the vendors that must be subscribed to and whose credentials are set."""
    return [
        adapter
        for adapter in all_adapters()
        if adapter.subscriptions is not None
        and adapter.slug not in settings.AUREN_UNUSED_VENDORS
        and settings.AUREN_VENDORS.get(adapter.slug, {}).get("client_id")
    ]


def forget_others(*, now: datetime) -> None:
    """End the alarms of vendors that are not subscribed to any more."""
    mine = {adapter.slug for adapter in subscribing_adapters()}
    for adapter in all_adapters():
        if adapter.subscriptions is not None and adapter.slug not in mine:
            alarms.clear("subscriptions", key=adapter.slug, now=now)


def listing(adapter: VendorAdapter) -> list[Subscription]:
    """Return what the vendor lists; raises BiometricsError."""

    async def ask() -> list[Subscription]:
        async with Application(adapter) as application:
            return await application.listed()

    return asyncio.run(ask())


def sync(
    adapter: VendorAdapter, *, now: datetime, within_s: float | None = None
) -> Outcome:
    """Create, move, renew and end until all is as wanted; one failure stops no other.

    What lies at the vendor then is noted for staff to see. Ends within `within_s`
    seconds, with what could not be done as a problem. Raises BiometricsError when the
    vendor cannot be asked at all.
    """
    application = Application(adapter)
    topics, token = subscribed.wanted(adapter), fingerprint(application.token)
    holding = subscribed.holding(adapter, token=token)
    outcome = asyncio.run(
        _sync(application, topics, holding=holding, now=now, within_s=within_s)
    )
    subscribed.note(
        adapter, outcome.subscriptions, token=token, untold=outcome.untold, now=now
    )
    outcome.problems += subscribed.uncovered(topics, outcome.subscriptions, now=now)
    return outcome


def sync_or_alarm(
    adapter: VendorAdapter, *, now: datetime, within_s: float = SYNC_SECONDS
) -> bool:
    """Synchronise; alarm staff while anything is missing or ends soon.

    Returns whether time ran out after something was done, so that going on helps.
    """
    is_worth_more = False
    try:
        outcome = sync(adapter, now=now, within_s=within_s)
        problems = outcome.problems
        is_worth_more = outcome.is_unfinished and bool(outcome.done)
    except BiometricsError as error:
        # Nothing new is known, but when what is there ends goes on being so.
        noted = subscribed.noted(adapter)
        problems = [str(error), *subscribed.uncovered(list(noted), noted, now=now)]
    if problems:
        text = f"{adapter.title}: {len(problems)} problems. {' '.join(problems)}"
        alarms.sound("subscriptions", key=adapter.slug, text=text, now=now)
    else:
        alarms.clear("subscriptions", key=adapter.slug, now=now)
    return is_worth_more


async def _sync(
    application: Application,
    topics: Sequence[Topic],
    *,
    holding: Collection[str],
    now: datetime,
    within_s: float | None,
) -> Outcome:
    outcome, is_listed = Outcome(), False
    async with application:
        try:
            async with asyncio.timeout(within_s):
                listed = await application.listed()
                is_listed = True
                await _align(
                    application,
                    outcome,
                    topics,
                    listed=listed,
                    holding=holding,
                    now=now,
                )
        except TimeoutError:
            message = f"The vendor took longer than {within_s:g} s for all of it."
            if not is_listed:
                raise VendorUnavailableError(message) from None
            outcome.problems.append(message)
            outcome.is_unfinished = True
    return outcome


async def _align(
    application: Application,
    outcome: Outcome,
    topics: Sequence[Topic],
    *,
    listed: Sequence[Subscription],
    holding: Collection[str],
    now: datetime,
) -> None:
    found: dict[Topic, list[Subscription]] = defaultdict(list)
    for one in listed:
        found[one.topic].append(one)
    doubles = {}
    for topic in topics:
        kept, doubles[topic] = application.choose(found.pop(topic, []))
        if kept is not None:
            outcome.subscriptions[topic] = kept
        if kept is None or kept.remote_id not in holding:
            outcome.untold.add(topic)
    # Of what time does not suffice for, the least urgent.
    for topic in sorted(topics, key=lambda one: _end_of(outcome, one)):
        await _attempt(application, outcome, topic, now=now)
        # Doubles go last, and only once one is there: there is never a gap.
        if topic in outcome.subscriptions:
            await _end(application, outcome, doubles[topic], now=now)
    unwanted = [one for rows in found.values() for one in rows]
    await _end(application, outcome, unwanted, now=now)


def _end_of(outcome: Outcome, topic: Topic) -> float:
    one = outcome.subscriptions.get(topic)
    return one.expires_at.timestamp() if one and one.expires_at else 0.0


async def _attempt(
    application: Application, outcome: Outcome, topic: Topic, *, now: datetime
) -> None:
    """See to one topic; what was there stays counted when a call for it fails."""
    spec, name = application.spec, subscribed.name_of(topic)
    mine = {"callback_url": application.callback, "token": application.token}
    kept = outcome.subscriptions.get(topic)
    try:
        if kept is not None and _is_over(kept, now=now):
            # Nobody is told of anything by it, and it may be beyond renewal.
            del outcome.subscriptions[topic]
            await _end(application, outcome, [kept], now=now)
            kept = None
        if kept is None:
            kept = await application.one(spec.creating(topic, **mine))
            outcome.done.append(f"created {name}")
        elif kept.callback_url != application.callback or topic in outcome.untold:
            kept = await application.one(spec.moving(kept, **mine))
            outcome.done.append(f"moved {name}")
        outcome.subscriptions[topic] = kept
        outcome.untold.discard(topic)
        if kept.expires_at is None or kept.expires_at <= now + RENEW_AHEAD:
            outcome.subscriptions[topic] = await application.one(spec.renewing(kept))
            outcome.done.append(f"renewed {name}")
    except BiometricsError as error:
        outcome.problems.append(f"{name}: {error}")


def _is_over(one: Subscription, *, now: datetime) -> bool:
    return one.expires_at is not None and one.expires_at <= now


async def _end(
    application: Application,
    outcome: Outcome,
    rows: list[Subscription],
    *,
    now: datetime,
) -> None:
    for one in rows:
        name = subscribed.name_of(one.topic)
        try:
            await application.call(application.spec.ending(one))
            outcome.done.append(f"ended {name}")
        except BiometricsError as error:
            # A vendor may list what has ended, and not let it be deleted.
            if not _is_over(one, now=now):
                outcome.problems.append(f"{name}: {error}")
