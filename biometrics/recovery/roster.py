"""Comparing the accounts that a vendor has for us with the connections that we know.

What a missed webhook would have told is told to ourselves, as a delivery that takes the
ordinary way: the same rules decide what becomes of it, and consumers hear of it once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime

from biometrics.connections import client
from biometrics.connections.access import is_callable
from biometrics.connections.registry import erased_among
from biometrics.errors import BiometricsError
from biometrics.models import VendorConnection
from biometrics.models.intake import DeliveryOrigin
from biometrics.models.people import ConnectionStatus
from biometrics.normalise import listed
from biometrics.recovery import fetching
from biometrics.vendors.base import VendorAdapter
from biometrics.vendors.records import ConnectionChange
from biometrics.vendors.registry import all_adapters
from biometrics.vendors.roster import Member

logger = logging.getLogger(__name__)

GONE = "The vendor does not list this account any more."
_INACTIVE = "The vendor says that this account is not active."


def compare_all(*, now: Callable[[], datetime]) -> int:
    """Compare with every vendor that can be asked; a vendor's error stops no other.

    Returns how many accounts came, went or came back.
    """
    count = 0
    for adapter in all_adapters():
        if adapter.roster is None or not is_callable(adapter):
            continue
        try:
            count += compare(adapter, now=now)
        except BiometricsError as error:
            logger.warning(
                "roster.not_compared",
                extra={"vendor": adapter.slug, "reason": str(error)},
            )
    return count


def compare(adapter: VendorAdapter, *, now: Callable[[], datetime]) -> int:
    """Tell ourselves of accounts that came, went or came back; return how many.

    Must be called outside of any transaction and event loop. Raises
    VendorUnavailableError, VendorRefusedError, ConfigurationError.
    """
    asked_at = now()
    members = asyncio.run(_members(adapter, now=now))
    rows = VendorConnection.objects.filter(vendor=adapter.slug)
    news = dict(_news(members, {row.account_id: row for row in rows}, since=asked_at))
    erased = erased_among((adapter.slug, account) for account in news)
    told = [
        fetching.delivery_of(
            listed.pack_change(change),
            account=(adapter.slug, account),
            origin=DeliveryOrigin.RECOVERED,
            event_type=listed.CHANGE,
            at=asked_at,
            reference=change.reference or "",
        )
        for account, change in news.items()
        if (adapter.slug, account) not in erased
    ]
    fetching.store(told)
    return len(told)


async def _members(
    adapter: VendorAdapter, *, now: Callable[[], datetime]
) -> Mapping[str, Member]:
    assert adapter.roster is not None  # else nobody compares
    async with client.open_session(now=now) as session:
        api = session.application_api(adapter=adapter)
        return {one.account_id: one async for one in adapter.roster.members(api)}


def _news(
    members: Mapping[str, Member],
    rows: Mapping[str, VendorConnection],
    *,
    since: datetime,
) -> Iterator[tuple[str, ConnectionChange]]:
    """Yield what is not as the vendor has it, by account.

    An account that is not listed is one to be asked again, not one that was revoked: a
    list of another environment must end nothing for good.
    """
    for account, member in members.items():
        row = rows.get(account)
        came = row is None or (
            row.status == ConnectionStatus.NEEDS_RECONNECT
            and row.status_reason in {GONE, _INACTIVE}
        )
        if came and member.is_active:
            yield (
                account,
                ConnectionChange(
                    change="connected",
                    reason="listed by the vendor",
                    reference=member.reference or None,
                ),
            )
    for account, row in rows.items():
        changed_at = row.status_at or row.created_at
        # What was connected while the list was on its way is not in it.
        if row.status != ConnectionStatus.ACTIVE or changed_at >= since:
            continue
        listing = members.get(account)
        if listing is None:
            yield account, ConnectionChange(change="needs_reconnect", reason=GONE)
        elif not listing.is_active:
            yield account, ConnectionChange(change="needs_reconnect", reason=_INACTIVE)
