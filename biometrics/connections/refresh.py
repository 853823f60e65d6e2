"""Renewing grants at a vendor's token endpoint: once, whoever asks at the same time."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ParamSpec, TypeVar

import aiohttp
import orjson
from django.conf import settings
from django.db import connections

from biometrics.connections import grants
from biometrics.connections.answers import error_of
from biometrics.connections.bodies import whole_body
from biometrics.connections.grants import Grant, NewTokens, RefreshClaim
from biometrics.errors import (
    ConfigurationError,
    VendorRefusedError,
    VendorUnavailableError,
)
from biometrics.models import VendorConnection
from biometrics.vendors.api_spec import ApiSpec

Params = ParamSpec("Params")
Result = TypeVar("Result")

_POLL_S = 0.2
_LONGEST_POLL_S = 12.0
_MAX_ANSWER = 64 * 1024
# Well within the claim, whatever VENDOR_TIMEOUT_S allows for documents.
_TIMEOUT = aiohttp.ClientTimeout(total=10.0)
# What RFC 6749 answers for a refresh token that is not good any more.
_CONSENT_GONE = frozenset({400, 401})
_OUR_FAULTS = frozenset({"invalid_client", "unauthorized_client"})
# Shorter lives than this are taken for a mistake of the vendor, not for a plan.
_SHORTEST_LIFE_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenEndpoint:
    """Where and as whom a vendor's grants are renewed."""

    slug: str
    url: str
    client_id: str
    client_secret: str
    spec: ApiSpec


class Refresher:
    """Renews grants for the calls of one event loop.

    A renewal that has begun is carried to its end even if the call that wanted it is
    given up: a single-use refresh token that was spent must not be lost. `finish` waits
    for such renewals.
    """

    def __init__(
        self, *, http: aiohttp.ClientSession, now: Callable[[], datetime]
    ) -> None:
        self._http = http
        self._now = now
        self._locks: defaultdict[int, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._running: set[asyncio.Task[Grant]] = set()

    async def renew(self, stale: Grant, *, endpoint: TokenEndpoint) -> Grant:
        """Return a newer grant than `stale`, made by whoever comes first.

        Raises VendorRefusedError (the consent is gone, the connection is marked) or
        VendorUnavailableError.
        """
        task = asyncio.create_task(self._renew_once(stale, endpoint))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return await asyncio.shield(task)

    async def finish(self) -> None:
        """Wait for the renewals that have begun."""
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _renew_once(self, stale: Grant, endpoint: TokenEndpoint) -> Grant:
        async with self._locks[stale.connection_id]:
            polls = round(_LONGEST_POLL_S / _POLL_S)
            for _ in range(polls):
                found = await in_thread(_look, stale=stale, now=self._now())
                if isinstance(found, Grant):
                    return found
                if found is not None:
                    return await self._spend(found, endpoint)
                await asyncio.sleep(_POLL_S)
        message = "Another process has been renewing this grant for too long."
        raise VendorUnavailableError(message)

    async def _spend(self, claim: RefreshClaim, endpoint: TokenEndpoint) -> Grant:
        try:
            new = await self._ask(claim, endpoint)
        except VendorUnavailableError:
            await in_thread(grants.release, claim=claim)
            raise
        except VendorRefusedError as error:
            await in_thread(
                grants.mark_needs_reconnect, stored=claim.stored, reason=str(error)
            )
            raise
        # Stored before it is used: the old tokens are dead from here on.
        await in_thread(grants.store_renewed, claim=claim, new=new)
        return await in_thread(_current, connection_id=claim.connection_id)

    async def _ask(self, claim: RefreshClaim, endpoint: TokenEndpoint) -> NewTokens:
        form = {
            "grant_type": "refresh_token",
            "refresh_token": claim.refresh_token,
            "client_id": endpoint.client_id,
            "client_secret": endpoint.client_secret,
            **endpoint.spec.refresh_fields,
        }
        asked_at = self._now()
        try:
            async with self._http.post(
                endpoint.url, data=form, allow_redirects=False, timeout=_TIMEOUT
            ) as response:
                body = await whole_body(response, limit=_MAX_ANSWER)
                status, headers = response.status, response.headers
        except (aiohttp.ClientError, TimeoutError) as error:
            message = f"The token endpoint cannot be reached ({type(error).__name__})."
            raise VendorUnavailableError(message) from error
        lowered = {name.lower(): value for name, value in headers.items()}
        refusal = error_of(
            status=status, headers=lowered, shared_limit=True, now=self._now()
        )
        if isinstance(refusal, VendorUnavailableError):
            raise refusal
        if status in _CONSENT_GONE and not _is_our_fault(body):
            message = f"The vendor refused to renew the grant ({status})."
            raise VendorRefusedError(message, status=status, permanent=True)
        if status != 200:
            # A proxy's page, a moved address, a client id that does not hold: nothing
            # that this person could mend by consenting again.
            message = f"The token endpoint answered {status}."
            if _is_our_fault(body):
                name = f"AUREN_{endpoint.slug.upper()}_CLIENT_SECRET"
                message = f"The vendor refuses the application: look at {name}."
            raise VendorUnavailableError(message)
        return _read(body, asked_at=asked_at)


def endpoint_of(*, slug: str, spec: ApiSpec, base: str) -> TokenEndpoint:
    """Return the token endpoint of a vendor; raises ConfigurationError."""
    configured = settings.AUREN_VENDORS.get(slug, {})
    for name in ("client_id", "client_secret"):
        if not configured.get(name):
            variable = f"AUREN_{slug.upper()}_{name.upper()}"
            message = f"{variable} is not set, so no grant can be renewed."
            raise ConfigurationError(message)
    return TokenEndpoint(
        slug=slug,
        url=base + spec.token_path,
        client_id=configured["client_id"],
        client_secret=configured["client_secret"],
        spec=spec,
    )


async def in_thread(
    function: Callable[Params, Result], /, *args: Params.args, **kwargs: Params.kwargs
) -> Result:
    """Run database work off the event loop, on a connection that is given back."""

    def call() -> Result:
        try:
            return function(*args, **kwargs)
        finally:
            connections.close_all()

    work: Awaitable[Result] = asyncio.to_thread(call)
    return await work


def _look(*, stale: Grant, now: datetime) -> Grant | RefreshClaim | None:
    """Return the newer grant that somebody stored, else the claim to make one."""
    current = _current(connection_id=stale.connection_id)
    if current.access_token != stale.access_token:
        return current
    claim = grants.claim_refresh(connection_id=stale.connection_id, now=now)
    if claim is None:
        return None
    # Between our look and our claim somebody may have renewed and let go: what we hold
    # now is the claim on the new token, and to spend that would end everybody's access.
    current = _current(connection_id=stale.connection_id)
    if current.access_token == stale.access_token:
        return claim
    grants.release(claim=claim)
    return current


def _current(*, connection_id: int) -> Grant:
    connection = VendorConnection.objects.filter(id=connection_id).first()
    grant = grants.grant_of(connection) if connection is not None else None
    if grant is None or not grant.renewable:
        message = "The connection has no grant any more."
        raise VendorRefusedError(message, status=401, permanent=True)
    return grant


def _is_our_fault(body: bytes) -> bool:
    """Say whether the vendor does not know the application, whoever the person is."""
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        return False
    return isinstance(answer, dict) and answer.get("error") in _OUR_FAULTS


def _read(body: bytes, *, asked_at: datetime) -> NewTokens:
    try:
        answer = orjson.loads(body)
        access, life = answer["access_token"], answer.get("expires_in")
        refresh, scopes = answer.get("refresh_token"), answer.get("scope")
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        message = "The token endpoint answered 200 without a token."
        raise VendorUnavailableError(message) from None
    if not isinstance(access, str) or not access:
        raise VendorUnavailableError("The token endpoint gave no usable token.")
    is_life = isinstance(life, int | float) and not isinstance(life, bool)
    return NewTokens(
        access_token=access,
        refresh_token=refresh if isinstance(refresh, str) and refresh else None,
        expires_at=asked_at + timedelta(seconds=max(life, _SHORTEST_LIFE_S))
        if is_life
        else None,
        scopes=scopes if isinstance(scopes, str) else "",
    )
