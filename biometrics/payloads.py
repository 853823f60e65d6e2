"""Step 4 for deliveries that hold an address: the payload becomes one of its own.

Only the payload says whose it is, and what is a person's goes the way of that person's
deliveries: in order, revealed, erased and replayed like any other.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import aiohttp
from celery.exceptions import SoftTimeLimitExceeded
from django.conf import settings

from biometrics import deliveries, payload_rows, stopping
from biometrics.connections.downloads import check_address, download, open_downloads
from biometrics.connections.guard import Guard
from biometrics.deliveries import PROCESSED, Disposition
from biometrics.errors import (
    AnswerTooLargeError,
    UnreadableDeliveryError,
    VendorRefusedError,
    VendorUnavailableError,
)
from biometrics.intake.large import LARGE_BODY
from biometrics.items import Item
from biometrics.models import WebhookDelivery
from biometrics.models.intake import DeliveryStatus
from biometrics.vendors.payloads import PayloadAddress

# So many are in memory at once; large ones alone.
AT_ONCE = 4
# No further ones are begun after that, so that a task ends before its time is up.
SECONDS = 10.0
_FIRST_WAIT_S = 5.0
_jitter = random.SystemRandom()
_ADVICE = (
    "Have the vendor send it again, or fetch the days with manage.py backfill; to have"
    " data sent instead of addresses, turn off the ping mode in the vendor's dashboard."
)


def in_turns(
    items: Sequence[Item],
    *,
    now: Callable[[], datetime],
    began: float,
    prolong: Callable[[], None],
) -> Iterator[Sequence[Item]]:
    """Fetch what these announce; yield those that are decided, to be stored at once.

    Some at a time, and large ones alone after a call of `prolong`, which makes sure of
    downloads.LONGEST_S: what was yielded before is let go. What is not begun within
    SECONDS of `began` (monotonic), or before the worker is stopped, is left as it was.
    Must be gone through outside of any transaction and event loop.
    """
    for start in range(0, len(items), AT_ONCE):
        if start and _is_over(began):
            _leave(items[start:])
            return
        some = items[start : start + AT_ONCE]
        _notice_known(some)
        _fetch_all([i for i in some if i.disposition is None], now=now, most=LARGE_BODY)
        large = [item for item in some if item.disposition is None]
        yield from _letting_go([i for i in some if i.disposition is not None])
        for at, item in enumerate(large):
            if _is_over(began):
                _leave(large[at:])
                break
            prolong()
            _fetch_all([item], now=now, most=None)
            yield from _letting_go([item])


def _letting_go(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    """Yield these, then drop what they fetched: stored or not, others need the room."""
    yield items
    for item in items:
        item.payload = None


def _notice_known(items: Sequence[Item]) -> None:
    """Note of which of these the payload is here already."""
    rows = WebhookDelivery.objects.filter(
        public_id__in=[payload_rows.id_of(item.delivery) for item in items]
    )
    known = set(rows.values_list("public_id", flat=True))
    for item in items:
        if payload_rows.id_of(item.delivery) in known:
            item.disposition = PROCESSED


def _is_over(began: float) -> bool:
    return time.monotonic() - began > SECONDS or stopping.is_asked()


def _leave(items: Sequence[Item]) -> None:
    """Have a later turn find them as if this one had not begun."""
    deliveries.take_back([item.delivery for item in items])


def _fetch_all(
    items: Sequence[Item], *, now: Callable[[], datetime], most: int | None
) -> None:
    """Decide each but those whose payload has more than `most` bytes."""
    if items:
        asyncio.run(_fetch_together(items, now=now, most=most))


async def _fetch_together(
    items: Sequence[Item], *, now: Callable[[], datetime], most: int | None
) -> None:
    async with open_downloads() as http:

        async def one(item: Item) -> None:
            try:
                with item.followed():
                    item.disposition = await _fetch(item, http=http, now=now, most=most)
            # The task's time is up, which is nobody's fault.
            except SoftTimeLimitExceeded:
                raise
            # Whatever else it is, it is the fault of this delivery alone.
            except Exception as error:  # noqa: BLE001
                message = f"Fetching its payload failed ({type(error).__name__})."
                item.disposition = _parked("adapter_failed", message)

        await asyncio.gather(*(one(item) for item in items))


async def _fetch(
    item: Item,
    *,
    http: aiohttp.ClientSession,
    now: Callable[[], datetime],
    most: int | None,
) -> Disposition | None:
    adapter, delivery = item.adapter, item.delivery
    cap = adapter.max_body_bytes or settings.WEBHOOK_MAX_BODY_MB * 2**20
    limit = cap if most is None else min(most, cap)
    try:
        address = _address(item)
        if now() >= address.expires_at:
            message = "The address in url ran out (expires_in) before it was fetched."
            return _parked("payload_expired", message)
        assert adapter.api is not None
        # The limits are those of the API, and this is none of its calls.
        spec = replace(adapter.api, limits=())
        guard = Guard(slug=adapter.slug, spec=spec, now=now)
        try:
            body = await download(address.url, http=http, guard=guard, limit=limit)
        except VendorUnavailableError as error:
            return _later(delivery, error, address=address, now=now())
        if body is None and limit < cap:
            return None
        if body is None:
            message = f"The payload is larger than {cap // 2**20} MiB."
            raise AnswerTooLargeError(message, status=200, permanent=False)
        item.payload = payload_rows.payload_of(item, body)
    except UnreadableDeliveryError as error:
        return _parked("unreadable", f"{error}.")
    except VendorRefusedError as error:
        return _parked("payload_refused", str(error))
    return PROCESSED


def _address(item: Item) -> PayloadAddress:
    """Return where the payload lies; raises UnreadableDeliveryError."""
    source, slug = item.adapter.payloads, item.adapter.slug
    assert source is not None
    address = source.address_in(item.stored.body, received_at=item.stored.received_at)
    hosts = settings.AUREN_VENDORS.get(slug, {}).get("payload_hosts") or source.hosts
    setting = f"AUREN_{slug.upper()}_PAYLOAD_HOSTS"
    check_address(address.url, hosts=hosts, setting=setting)
    return address


def _later(
    delivery: WebhookDelivery,
    error: VendorUnavailableError,
    *,
    address: PayloadAddress,
    now: datetime,
) -> Disposition:
    wait = max(
        error.retry_after or 0.0, _FIRST_WAIT_S * 2 ** min(delivery.attempts, 10)
    )
    wait *= _jitter.uniform(1.0, 1.25)
    # Once more at its end, which then says that it was too late.
    at = min(now + timedelta(seconds=wait), address.expires_at)
    return Disposition(
        status=DeliveryStatus.RETRYING,
        code="vendor_unavailable",
        error=f"{error} It is tried again by itself until its address runs out.",
        next_attempt_at=at,
    )


def _parked(code: str, error: str) -> Disposition:
    return Disposition(
        status=DeliveryStatus.PARKED, code=code, error=f"{error} {_ADVICE}"
    )
