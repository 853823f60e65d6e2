"""What every call to a vendor passes: its breaker, its published limits, its holds.

Documents, renewals, consents and subscriptions are calls of one application to one
vendor: what one of them learns of the vendor holds for all.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from biometrics import metrics
from biometrics.connections import pacing
from biometrics.connections.answers import error_of
from biometrics.errors import (
    VendorError,
    VendorLimitedError,
    VendorUnavailableError,
)
from biometrics.vendors.api_spec import ApiSpec
from resilience import CircuitBreakerOpen, get_breaker

# How long one is left alone after a 429 that does not say.
_HOLD_S = 5.0


@dataclass(slots=True)
class Passage:
    """One call that may be made; `outcome` is how it is counted when all is well."""

    outcome: str = "ok"


class Guard:
    """Guards the calls for one account of a vendor, or with "" for the application."""

    def __init__(
        self,
        *,
        slug: str,
        spec: ApiSpec,
        now: Callable[[], datetime],
        account: str = "",
    ) -> None:
        self._slug = slug
        self._spec = spec
        self._now = now
        self._account = account

    @asynccontextmanager
    async def passing(
        self, params: Mapping[str, str] | None = None
    ) -> AsyncIterator[Passage]:
        """Let one call be made inside, and tell the breaker how it ended.

        Raises VendorUnavailableError, caused by CircuitBreakerOpen while the vendor is
        left alone, or VendorLimitedError: then nothing was asked.
        """
        breaker = get_breaker(f"vendor:{self._slug}")
        try:
            permit = await breaker.aacquire()
        except CircuitBreakerOpen as error:
            self._count("rejected")
            raise VendorUnavailableError(
                "The vendor's API is being left alone after failures.",
                # As it is: step 4 spreads what waits, and twice would be too much.
                retry_after=error.retry_after,
            ) from error
        passage = Passage()
        try:
            await self._pace(params or {})
            yield passage
        except VendorError as error:
            self._count(type(error).__name__)
            wish = getattr(error, "retry_after", None)
            await permit.asettle(error, retry_after=wish)
            raise
        except BaseException as error:
            await permit.asettle(error)
            raise
        await permit.asettle(None)
        self._count(passage.outcome)

    async def verdict(
        self, *, status: int, headers: Mapping[str, str]
    ) -> VendorError | None:
        """Return the error that an answer stands for, None for 200 and 404.

        After a 429 every process leaves alone what the vendor limits.
        """
        error = error_of(
            status=status,
            headers={name.lower(): value for name, value in headers.items()},
            shared_limit=self._spec.shared_limit,
            now=self._now(),
        )
        if status == 429:
            await self._hold(error)
        return error

    async def _pace(self, params: Mapping[str, str]) -> None:
        """Take what a call costs of the vendor's limits; it is not made without."""
        wait = await asyncio.to_thread(
            pacing.take,
            slug=self._slug,
            account=self._account,
            limits=self._spec.limits,
            params=params,
            now=self._now(),
        )
        if wait is not None:
            message = "The vendor's limits leave no room for another call now."
            raise VendorLimitedError(message, retry_after=wait)

    async def _hold(self, error: VendorError | None) -> None:
        """Have every process leave alone what the vendor limits, for as long as it says."""
        account = self._account if isinstance(error, VendorLimitedError) else None
        wish = getattr(error, "retry_after", None) or _HOLD_S
        await asyncio.to_thread(
            pacing.hold,
            slug=self._slug,
            account=account,
            seconds=wish,
            now=self._now(),
        )

    def _count(self, outcome: str) -> None:
        metrics.VENDOR_REQUESTS.labels(self._slug, outcome).inc()
