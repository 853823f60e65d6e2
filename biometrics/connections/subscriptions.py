"""Making a vendor's subscriptions equal to what this bridge wants to be told.

The vendor asks our callback for the verification token while the call that subscribes is
still open, so this runs in a worker or a command, never in the process that answers.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import aiohttp
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from biometrics import alarms
from biometrics.connections.bodies import whole_body
from biometrics.connections.guard import Guard
from biometrics.errors import (
    BiometricsError,
    ConfigurationError,
    VendorUnavailableError,
)
from biometrics.models import VendorSubscription
from biometrics.vendors.base import VendorAdapter
from biometrics.vendors.registry import all_adapters
from biometrics.vendors.subscriptions import Call, Subscribing, Subscription, Topic

# How long before its end a subscription is renewed, and before it staff are alarmed.
RENEW_AHEAD = timedelta(days=30)
ALARM_AHEAD = timedelta(days=7)
_TIMEOUT = aiohttp.ClientTimeout(total=30.0)
_MAX_ANSWER = 4 * 1024 * 1024


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What lies at the vendor now, what was done for it, and what is wrong."""

    subscriptions: dict[Topic, Subscription] = field(default_factory=dict)
    done: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def subscribing_adapters() -> list[VendorAdapter]:
    """Return the vendors that must be subscribed to and whose credentials are set."""
    return [
        adapter
        for adapter in all_adapters()
        if adapter.subscriptions is not None
        and adapter.slug not in settings.AUREN_UNUSED_VENDORS
        and settings.AUREN_VENDORS.get(adapter.slug, {}).get("client_id")
    ]


def listing(adapter: VendorAdapter) -> list[Subscription]:
    """Return what the vendor lists; raises BiometricsError."""

    async def ask() -> list[Subscription]:
        async with _Application(adapter) as application:
            return await application.listed()

    return asyncio.run(ask())


def sync(adapter: VendorAdapter, *, now: datetime) -> Outcome:
    """Create, move, renew and end until all is as wanted; one failure stops no other.

    What lies at the vendor then is noted for staff to see. Raises BiometricsError when the vendor cannot be asked at all.
    """
    outcome = asyncio.run(_sync(adapter, now=now))
    _note(adapter, outcome.subscriptions.values(), now=now)
    outcome.problems += _uncovered(adapter, outcome.subscriptions, now=now)
    return outcome


def sync_or_alarm(adapter: VendorAdapter, *, now: datetime) -> None:
    """Synchronise; alarm staff while anything is missing or ends soon."""
    try:
        problems = sync(adapter, now=now).problems
    except BiometricsError as error:
        problems = [str(error)]
    if problems:
        text = f"{adapter.title}: {len(problems)} problems. {' '.join(problems)}"
        alarms.sound("subscriptions", key=adapter.slug, text=text, now=now)
    else:
        alarms.clear("subscriptions", key=adapter.slug, now=now)


async def _sync(adapter: VendorAdapter, *, now: datetime) -> Outcome:
    outcome = Outcome()
    async with _Application(adapter) as application:
        found: dict[Topic, list[Subscription]] = defaultdict(list)
        for one in await application.listed():
            found[one.topic].append(one)
        for topic in application.spec.topics:
            kept, others = application.choose(found.pop(topic, []))
            await _attempt(application, outcome, topic, kept, now=now)
            # Doubles go last, and only once one is there: there is never a gap.
            if topic in outcome.subscriptions:
                await _end(application, outcome, others)
        await _end(
            application, outcome, [one for rows in found.values() for one in rows]
        )
    return outcome


async def _attempt(
    application: _Application,
    outcome: Outcome,
    topic: Topic,
    kept: Subscription | None,
    *,
    now: datetime,
) -> None:
    """See to one topic; what was there stays counted when a call for it fails."""
    spec, name = application.spec, ".".join(reversed(topic))
    mine = {"callback_url": application.callback, "token": application.token}
    try:
        if kept is None:
            kept = await application.one(spec.creating(topic, **mine))
            outcome.done.append(f"created {name}")
        elif kept.callback_url != application.callback:
            kept = await application.one(spec.moving(kept, **mine))
            outcome.done.append(f"moved {name}")
        outcome.subscriptions[topic] = kept
        if kept.expires_at is None or kept.expires_at <= now + RENEW_AHEAD:
            outcome.subscriptions[topic] = await application.one(spec.renewing(kept))
            outcome.done.append(f"renewed {name}")
    except BiometricsError as error:
        outcome.problems.append(f"{name}: {error}")


async def _end(
    application: _Application, outcome: Outcome, rows: list[Subscription]
) -> None:
    for one in rows:
        try:
            await application.call(application.spec.ending(one))
            outcome.done.append(f"ended {'.'.join(reversed(one.topic))}")
        except BiometricsError as error:
            outcome.problems.append(f"{'.'.join(reversed(one.topic))}: {error}")


def _note(
    adapter: VendorAdapter, found: Iterable[Subscription], *, now: datetime
) -> None:
    """Keep what was found, and nothing that is not there any more."""
    rows = [
        VendorSubscription(
            vendor=adapter.slug,
            event_type=one.topic[0],
            data_type=one.topic[1],
            remote_id=one.remote_id,
            callback_url=one.callback_url,
            expires_at=one.expires_at,
            seen_at=now,
        )
        for one in found
    ]
    with transaction.atomic():
        VendorSubscription.objects.bulk_create(
            rows,
            update_conflicts=True,
            unique_fields=["vendor", "event_type", "data_type"],
            update_fields=["remote_id", "callback_url", "expires_at", "seen_at"],
        )
        known = VendorSubscription.objects.filter(vendor=adapter.slug)
        there = {(row.event_type, row.data_type) for row in rows}
        gone = [
            row_id
            for row_id, *topic in known.values_list("id", "event_type", "data_type")
            if tuple(topic) not in there
        ]
        known.filter(id__in=gone).delete()


def _uncovered(
    adapter: VendorAdapter, found: dict[Topic, Subscription], *, now: datetime
) -> list[str]:
    wanted = adapter.subscriptions.topics if adapter.subscriptions else ()
    told = []
    for topic in wanted:
        name, one = ".".join(reversed(topic)), found.get(topic)
        if one is None:
            told.append(f"{name} is not subscribed.")
        elif one.expires_at is None or one.expires_at <= now + ALARM_AHEAD:
            told.append(f"{name} ends within {ALARM_AHEAD.days} days.")
    return told


class _Application:
    """Calls of the application itself, over one session."""

    def __init__(self, adapter: VendorAdapter) -> None:
        if adapter.subscriptions is None or adapter.api is None:
            message = f"{adapter.slug} has no subscriptions."
            raise ConfigurationError(message)
        known = settings.AUREN_VENDORS.get(adapter.slug, {})
        for name in ("client_id", "client_secret", "verification_token"):
            if not known.get(name):
                message = f"Set AUREN_{adapter.slug.upper()}_{name.upper()}."
                raise ConfigurationError(message)
        self.spec: Subscribing = adapter.subscriptions
        self.callback = f"{settings.PUBLIC_URL}/webhooks/{adapter.slug}"
        self.token: str = known["verification_token"]
        clock = timezone.now  # noqa: TID251 - holds end by the wall clock
        self._guard = Guard(slug=adapter.slug, spec=adapter.api, now=clock)
        self._base: str = known.get("api_base") or adapter.api.base
        self._headers = dict(
            self.spec.headers(
                client_id=known["client_id"], client_secret=known["client_secret"]
            )
        )

    async def __aenter__(self) -> _Application:
        self._http = aiohttp.ClientSession(timeout=_TIMEOUT, headers=self._headers)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.close()

    def choose(
        self, rows: list[Subscription]
    ) -> tuple[Subscription | None, list[Subscription]]:
        """Return the one to keep, ours before others' and the longest-lived, and the rest."""
        ranked = sorted(
            rows,
            key=lambda one: (
                one.callback_url == self.callback,
                one.expires_at.timestamp() if one.expires_at else 0.0,
            ),
            reverse=True,
        )
        return (ranked[0] if ranked else None), ranked[1:]

    async def listed(self) -> list[Subscription]:
        return list(self.spec.read_list(await self.call(self.spec.listing())))

    async def one(self, call: Call) -> Subscription:
        return self.spec.read_one(await self.call(call))

    async def call(self, call: Call) -> bytes:
        """Return the body of a 2xx answer; raises VendorUnavailableError."""
        payload = dict(call.payload) if call.payload is not None else None
        async with self._guard.passing():
            try:
                async with self._http.request(
                    call.method,
                    self._base + call.path,
                    json=payload,
                    allow_redirects=False,
                ) as answer:
                    body = await whole_body(answer, limit=_MAX_ANSWER)
            except (aiohttp.ClientError, TimeoutError) as error:
                message = f"The vendor cannot be reached ({type(error).__name__})."
                raise VendorUnavailableError(message) from error
            status, headers = answer.status, answer.headers
            trouble = await self._guard.verdict(status=status, headers=headers)
            if isinstance(trouble, VendorUnavailableError):
                raise trouble
        if not 200 <= answer.status < 300:
            message = f"The vendor answered {call.method} with {answer.status}."
            raise VendorUnavailableError(message)
        return body
