"""Renewing grants at a vendor's token endpoint: once, whoever asks at the same time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import ParamSpec, TypeVar

import aiohttp
from django.conf import settings
from django.db import DatabaseError, InterfaceError, connections

from biometrics.connections import grants, keeping
from biometrics.connections.bodies import read_up_to
from biometrics.connections.grants import Grant, NewTokens, RefreshClaim
from biometrics.connections.guard import Guard
from biometrics.connections.token_answers import read_tokens, refusal_of
from biometrics.errors import (
    AnswerLostError,
    ConfigurationError,
    VendorRefusedError,
    VendorUnavailableError,
)
from biometrics.models import VendorConnection
from biometrics.models.people import ConnectionStatus
from biometrics.vendors.api_spec import ApiSpec

Params = ParamSpec("Params")
Result = TypeVar("Result")

_POLL_S = 0.2
_LONGEST_POLL_S = 12.0
_MAX_ANSWER = 64 * 1024
# Well within the claim, whatever VENDOR_TIMEOUT_S allows for documents.
_TIMEOUT = aiohttp.ClientTimeout(total=10.0, connect=5.0)
# For how long nobody tries again after a try that brought nothing, at least and at most.
_PAUSE_S = 5.0
_LONGEST_PAUSE_S = 60.0
# How long a call waits for the database to keep what the vendor gave.
_STORE_S = 5.0


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

    A renewal that has begun is carried to its end even if the calls that wanted it are
    given up: a single-use refresh token that was spent must not be lost. `finish` waits
    for such renewals.
    """

    def __init__(
        self, *, http: aiohttp.ClientSession, now: Callable[[], datetime]
    ) -> None:
        self._http = http
        self._now = now
        self._running: dict[int, asyncio.Task[Grant]] = {}

    async def renew(
        self, stale: Grant, *, endpoint: TokenEndpoint, guard: Guard
    ) -> Grant:
        """Return a newer grant than `stale`, made by whoever comes first.

        All who ask meanwhile share one renewal, and what becomes of it. Raises
        VendorRefusedError (the consent is gone, the connection is marked) or
        VendorUnavailableError.
        """
        under_way = self._under_way(stale)
        if under_way is not None:
            grant = await asyncio.shield(under_way)
            # It may have been of an older grant than ours.
            if grant != stale:
                return grant
        task = self._under_way(stale)
        if task is None:
            work = self._renew_once(stale, endpoint=endpoint, guard=guard)
            task = self._running[stale.connection_id] = asyncio.create_task(work)
            task.add_done_callback(self._forget)
        return await asyncio.shield(task)

    async def finish(self) -> None:
        """Wait for the renewals that have begun."""
        await asyncio.gather(*self._running.values(), return_exceptions=True)

    def _under_way(self, stale: Grant) -> asyncio.Task[Grant] | None:
        task = self._running.get(stale.connection_id)
        return None if task is None or task.done() else task

    def _forget(self, ended: asyncio.Task[Grant]) -> None:
        self._running = {
            connection_id: task
            for connection_id, task in self._running.items()
            if task is not ended
        }
        if not ended.cancelled():
            ended.exception()  # those who wait have it; perhaps nobody does any more

    async def _renew_once(
        self, stale: Grant, *, endpoint: TokenEndpoint, guard: Guard
    ) -> Grant:
        try:
            polls = round(_LONGEST_POLL_S / _POLL_S)
            for _ in range(polls):
                found = await in_thread(_look, stale=stale, now=self._now())
                if isinstance(found, Grant):
                    return found
                if found is not None:
                    return await self._spend(found, endpoint=endpoint, guard=guard)
                await asyncio.sleep(_POLL_S)
        except (DatabaseError, InterfaceError) as error:
            message = f"The grant cannot be looked up now ({type(error).__name__})."
            raise VendorUnavailableError(message) from error
        message = "Another process has been renewing this grant for too long."
        raise VendorUnavailableError(message)

    async def _spend(
        self, claim: RefreshClaim, *, endpoint: TokenEndpoint, guard: Guard
    ) -> Grant:
        try:
            new = await self._ask(claim, endpoint=endpoint, guard=guard)
        except VendorUnavailableError as error:
            # Where this cannot be noted, the claim runs out by itself.
            with contextlib.suppress(DatabaseError, InterfaceError):
                await in_thread(
                    grants.put_off,
                    claim=claim,
                    until=self._now() + _pause_after(error),
                    is_lost=isinstance(error, AnswerLostError),
                )
            raise
        except VendorRefusedError as error:
            await in_thread(
                grants.mark_needs_reconnect, stored=claim.stored, reason=str(error)
            )
            raise
        await _keep(claim, new)
        return await in_thread(_current, connection_id=claim.connection_id)

    async def _ask(
        self, claim: RefreshClaim, *, endpoint: TokenEndpoint, guard: Guard
    ) -> NewTokens:
        form = {
            "grant_type": "refresh_token",
            "refresh_token": claim.refresh_token,
            "client_id": endpoint.client_id,
            "client_secret": endpoint.client_secret,
            **endpoint.spec.refresh_fields,
        }
        asked_at = self._now()
        async with guard.passing():
            status, headers, body = await self._post(endpoint.url, form)
            error = await guard.verdict(status=status, headers=headers)
            if isinstance(error, VendorUnavailableError):
                if status < 500:
                    raise error
                raise AnswerLostError(str(error), retry_after=error.retry_after)
        if status != 200:
            raise refusal_of(
                status, body, slug=endpoint.slug, after_loss=claim.after_loss
            )
        try:
            new = read_tokens(body, asked_at=asked_at)
        except VendorUnavailableError as error:
            raise AnswerLostError(str(error)) from None
        # Said back as it was asked for, it does not mean that the rest was withdrawn.
        is_echo = new.scopes == endpoint.spec.refresh_fields.get("scope")
        return replace(new, scopes="") if is_echo else new

    async def _post(
        self, url: str, form: Mapping[str, str]
    ) -> tuple[int, Mapping[str, str], bytes]:
        try:
            async with self._http.post(
                url, data=form, allow_redirects=False, timeout=_TIMEOUT
            ) as response:
                body = await read_up_to(response, limit=_MAX_ANSWER)
        except (aiohttp.ClientError, TimeoutError) as error:
            message = f"The token endpoint cannot be reached ({type(error).__name__})."
            if isinstance(
                error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError
            ):
                raise VendorUnavailableError(message) from error
            raise AnswerLostError(message) from error
        if body is None:
            message = f"The token endpoint answered over {_MAX_ANSWER // 1024} KiB."
            raise AnswerLostError(message)
        return response.status, response.headers, body


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


async def _keep(claim: RefreshClaim, new: NewTokens) -> None:
    """Have it stored before it is used: the old tokens are dead from here on."""
    kept = asyncio.wrap_future(keeping.keep(claim=claim, new=new))
    try:
        async with asyncio.timeout(_STORE_S):
            await kept
    except TimeoutError:
        message = "The renewed grant is kept in memory until the database takes it."
        raise VendorUnavailableError(message) from None


def _look(*, stale: Grant, now: datetime) -> Grant | RefreshClaim | None:
    """Return the newer grant that somebody stored, else the claim to make one.

    None while somebody else has it.
    """
    connection = VendorConnection.objects.filter(id=stale.connection_id).first()
    current = _usable(connection)
    # Some vendors give the same access token for longer.
    if connection is None or current != stale:
        return current
    pause = grants.pause_of(connection, now=now)
    if pause is not None:
        message = "The grant could not be renewed just now; it is tried again soon."
        raise VendorUnavailableError(message, retry_after=pause)
    return grants.claim_refresh(connection, now=now)


def _current(*, connection_id: int) -> Grant:
    return _usable(VendorConnection.objects.filter(id=connection_id).first())


def _usable(connection: VendorConnection | None) -> Grant:
    """Return the grant of a row; VendorRefusedError where there is none any more."""
    grant = grants.grant_of(connection) if connection is not None else None
    if grant is None or not grant.renewable:
        message = "The connection has no grant any more."
        raise VendorRefusedError(message, status=401, permanent=True)
    if connection is not None and connection.status != ConnectionStatus.ACTIVE:
        reason = connection.status_reason or connection.status
        message = f"The account is not connected ({reason})."
        raise VendorRefusedError(message, status=401, permanent=True)
    return grant


def _pause_after(error: VendorUnavailableError) -> timedelta:
    wish = error.retry_after or _PAUSE_S
    return timedelta(seconds=min(wish, _LONGEST_PAUSE_S))
