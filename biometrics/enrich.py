"""Step 4: fetch what a notification only announces. No transaction is open meanwhile."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol, TypeAlias

from celery.exceptions import SoftTimeLimitExceeded

from biometrics import bearings
from biometrics.deliveries import Disposition
from biometrics.errors import (
    ConfigurationError,
    NotYetError,
    UnreadableDeliveryError,
    VendorRefusedError,
    VendorUnavailableError,
)
from biometrics.models import VendorConnection, WebhookDelivery
from biometrics.models.intake import DeliveryStatus
from biometrics.vendors.base import VendorAdapter
from biometrics.vendors.wire import ApiResponse, StoredDelivery, VendorApi

# One batch's bound on the network, well within the lease.
FETCH_SECONDS = 15.0
_FIRST_WAIT_S = 5.0
_LONGEST_WAIT_S = 1800.0
_GIVE_UP_AFTER = timedelta(days=7)
_NOT_YET_FIRST_S = 60.0
_NOT_YET_FOR = timedelta(hours=24)
_CONFIGURATION_WAIT_S = 60.0

_SCOPE_MISSING = frozenset({401, 403})

_jitter = random.SystemRandom()


class ApiSource(Protocol):
    """Where authorised API calls for a connection come from, while it is open."""

    def api_for(
        self, *, connection: VendorConnection, adapter: VendorAdapter
    ) -> VendorApi:
        """Return the vendor's API as this connection may use it."""
        ...


OpenSource: TypeAlias = Callable[[], AbstractAsyncContextManager[ApiSource]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A notification whose documents are to be fetched."""

    delivery: WebhookDelivery
    stored: StoredDelivery
    adapter: VendorAdapter
    connection: VendorConnection


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """The documents did not come: what becomes of the delivery.

    `needs_reconnect` gives the reason when the whole connection lost its grant.
    """

    disposition: Disposition
    needs_reconnect: str = ""


Fetched: TypeAlias = Mapping[int, Sequence[ApiResponse] | Missing]


def fetch_all(
    wanted: Sequence[Wanted], *, open_source: OpenSource, now: Callable[[], datetime]
) -> Fetched:
    """Fetch the documents of all notifications at once; returns them by delivery id.

    Takes at most FETCH_SECONDS; what has not come by then is tried again later. Must be
    called outside of any transaction and event loop.
    """
    if not wanted:
        return {}
    return asyncio.run(_fetch_all(wanted, open_source=open_source, now=now))


async def _fetch_all(
    wanted: Sequence[Wanted], *, open_source: OpenSource, now: Callable[[], datetime]
) -> Fetched:
    async with open_source() as source:
        calls: list[Awaitable[Sequence[ApiResponse] | Missing]] = [
            _fetch(one, source=source, now=now) for one in wanted
        ]
        found = await asyncio.gather(*calls)
    return {one.delivery.id: result for one, result in zip(wanted, found, strict=True)}


async def _fetch(
    one: Wanted, *, source: ApiSource, now: Callable[[], datetime]
) -> Sequence[ApiResponse] | Missing:
    """Return the documents of one notification, or why there are none."""
    followed = bearings.working_on(
        delivery=one.delivery.public_id, traceparent=one.delivery.traceparent
    )
    try:
        with followed:
            api = source.api_for(connection=one.connection, adapter=one.adapter)
            async with asyncio.timeout(FETCH_SECONDS):
                return await one.adapter.fetch(one.stored, api)
    # The task's time is up, which is nobody's fault.
    except SoftTimeLimitExceeded:
        raise
    # Whatever else it is, an adapter's bug too, it is the fault of this delivery alone.
    except Exception as error:  # noqa: BLE001
        return _explain(one, error, now=now())


def _explain(one: Wanted, error: Exception, *, now: datetime) -> Missing:
    """Return what becomes of a delivery whose documents did not come."""
    match error:
        case NotYetError():
            missing = _not_yet(one, error, now=now)
        case VendorRefusedError():
            missing = _refused(one, error)
        case VendorUnavailableError():
            wait = error.retry_after or _wait(one, first=_FIRST_WAIT_S)
            missing = _retry(one, "vendor_unavailable", str(error), wait, now=now)
        case TimeoutError():
            message = f"The vendor's API took longer than {FETCH_SECONDS:g} s in all."
            wait = _wait(one, first=_FIRST_WAIT_S)
            missing = _retry(one, "vendor_unavailable", message, wait, now=now)
        case ConfigurationError():
            wait = _CONFIGURATION_WAIT_S
            missing = _retry(one, "configuration", str(error), wait, now=now)
        case UnreadableDeliveryError():
            message = f"{error}. Replay it after its adapter has learned to read it."
            missing = _missing(DeliveryStatus.PARKED, "unreadable", message)
        case _:
            message = f"The adapter failed to fetch ({type(error).__name__})."
            message += " Replay it after the adapter has been mended."
            missing = _missing(DeliveryStatus.PARKED, "adapter_failed", message)
    return missing


def _retry(
    one: Wanted, code: str, message: str, wait_s: float, *, now: datetime
) -> Missing:
    if now - one.delivery.received_at > _GIVE_UP_AFTER:
        error = f"Given up after {_GIVE_UP_AFTER.days} days: {message} Then replay it."
        return _missing(DeliveryStatus.PARKED, code, error)
    # Waiting deliveries must not come back all at once.
    at = now + timedelta(seconds=wait_s * _jitter.uniform(1.0, 1.25))
    return Missing(
        disposition=Disposition(
            status=DeliveryStatus.RETRYING,
            code=code,
            error=f"{message} It is tried again by itself.",
            next_attempt_at=at,
        )
    )


def _not_yet(one: Wanted, error: NotYetError, *, now: datetime) -> Missing:
    if now - one.delivery.received_at > _NOT_YET_FOR:
        hours = _NOT_YET_FOR // timedelta(hours=1)
        message = (
            f"{error} It did not appear within {hours} hours; look at the vendor's app,"
            " then replay this delivery."
        )
        return _missing(DeliveryStatus.PARKED, "incomplete", message)
    wait = _wait(one, first=_NOT_YET_FIRST_S)
    return _retry(one, "not_yet", str(error), wait, now=now)


def _refused(one: Wanted, error: VendorRefusedError) -> Missing:
    if error.permanent:
        message = f"{error} It goes on by itself when the account is connected again."
        return Missing(
            disposition=Disposition(
                status=DeliveryStatus.UNLINKED, code="needs_reconnect", error=message
            ),
            needs_reconnect=str(error)[:300],
        )
    if error.status in _SCOPE_MISSING:
        cure = (
            f"Grant the scope that {one.delivery.event_type!r} needs by connecting the"
            " account again"
        )
    else:
        # The vendor does not take the request itself, whoever asks.
        cure = (
            f"No new consent mends that: compare how the adapter asks for"
            f" {one.delivery.event_type!r} with the vendor's documentation"
        )
    message = f"{error} {cure}, then replay this delivery."
    return _missing(DeliveryStatus.PARKED, "refused", message)


def _missing(status: DeliveryStatus, code: str, error: str) -> Missing:
    return Missing(disposition=Disposition(status=status, code=code, error=error))


def _wait(one: Wanted, *, first: float) -> float:
    return float(min(_LONGEST_WAIT_S, first * 2 ** min(one.delivery.attempts, 20)))
