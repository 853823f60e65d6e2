"""Calls that the application itself makes at a vendor, not for a person."""

from __future__ import annotations

import aiohttp
from django.conf import settings
from django.utils import timezone

from biometrics.connections.exchange import ask
from biometrics.connections.guard import Guard
from biometrics.errors import (
    ConfigurationError,
    VendorRefusedError,
    VendorUnavailableError,
)
from biometrics.vendors.base import VendorAdapter
from biometrics.vendors.subscriptions import Call, Subscribing, Subscription

_TIMEOUT = aiohttp.ClientTimeout(total=15.0)
_MAX_ANSWER = 4 * 1024 * 1024


class Application:
    """One vendor's application of ours, over one session; raises ConfigurationError."""

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

    async def __aenter__(self) -> Application:
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
        """Return what the vendor lists; raises BiometricsError."""
        return list(self.spec.read_list(await self.call(self.spec.listing())))

    async def one(self, call: Call) -> Subscription:
        """Return the subscription that a call answers with; raises BiometricsError."""
        return self.spec.read_one(await self.call(call))

    async def call(self, call: Call) -> bytes:
        """Return the body of a 2xx answer; raises VendorUnavailableError."""
        payload = dict(call.payload) if call.payload is not None else None
        try:
            return await ask(
                self._http,
                call.method,
                self._base + call.path,
                guard=self._guard,
                payload=payload,
                limit=_MAX_ANSWER,
            )
        except VendorRefusedError as error:
            message = f"The vendor answered {call.method} with {error.status}."
            raise VendorUnavailableError(message) from None
