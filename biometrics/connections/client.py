"""Authorised calls to vendors' APIs: bounded in time, behind the vendor's breaker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from typing import NoReturn

import aiohttp
from django.conf import settings

from biometrics.connections.access import application_headers, base_of
from biometrics.connections.bodies import read_up_to
from biometrics.connections.grants import Grant, grant_of
from biometrics.connections.guard import Guard
from biometrics.connections.refresh import Refresher, endpoint_of
from biometrics.errors import (
    AnswerTooLargeError,
    ConfigurationError,
    VendorRefusedError,
    VendorUnavailableError,
)
from biometrics.models import VendorConnection
from biometrics.models.people import ConnectionStatus
from biometrics.vendors.api_spec import ApiSpec, ConsentSpec
from biometrics.vendors.base import VendorAdapter
from biometrics.vendors.wire import ApiResponse, VendorApi

# A single document; whole collections come in pages.
_MAX_ANSWER = 16 * 1024 * 1024
_CONNECT_S = 5.0
# Renewed ahead of time, so that a call under way does not outlive its token.
_RENEW_AHEAD_S = 60.0


class VendorSession:
    """The calls of one batch: one pool of connections, one renewal for each grant."""

    def __init__(
        self, *, http: aiohttp.ClientSession, now: Callable[[], datetime]
    ) -> None:
        self.http = http
        self.now = now
        self.refresher = Refresher(http=http, now=now)
        # By connection: what this session last learned of its grant.
        self.grants: dict[int, Grant] = {}
        # The access tokens that were renewed because of it.
        self.fresh: set[str] = set()
        # By access token: since when the vendor is asked whether it takes it at all.
        self.probes: dict[str, tuple[float, asyncio.Task[bool]]] = {}

    def api_for(
        self, *, connection: VendorConnection, adapter: VendorAdapter
    ) -> VendorApi:
        """Return the vendor's API as this connection may use it.

        Raises ConfigurationError when the vendor has no API, the application's keys are
        not set or the tokens are locked.
        """
        spec = _spec_of(adapter)
        if spec.keys is not None:
            named = {spec.keys.account_parameter: connection.account_id}
            return _ApplicationApi(
                session=self, slug=adapter.slug, spec=spec, always=named
            )
        if connection.id not in self.grants:
            grant = grant_of(connection)
            if grant is not None:
                self.grants[connection.id] = grant
        return _ConnectionApi(
            session=self, slug=adapter.slug, spec=spec, connection=connection
        )

    def application_api(self, *, adapter: VendorAdapter) -> VendorApi:
        """Return the API of a vendor as the application itself may use it.

        Raises ConfigurationError when it has none, or its keys are not set.
        """
        spec = _spec_of(adapter)
        return _ApplicationApi(session=self, slug=adapter.slug, spec=spec, always={})


@asynccontextmanager
async def open_session(*, now: Callable[[], datetime]) -> AsyncIterator[VendorSession]:
    """Open the connections of one batch; renewals under way are carried to their end."""
    total = settings.VENDOR_TIMEOUT_S
    # Of connecting alone: to wait for our own pool says nothing about the vendor.
    timeout = aiohttp.ClientTimeout(total=total, sock_connect=min(_CONNECT_S, total))
    connector = aiohttp.TCPConnector(limit=settings.AIOHTTP_CONNECTOR_LIMIT)
    async with aiohttp.ClientSession(
        connector=connector, timeout=timeout, auto_decompress=True
    ) as http:
        session = VendorSession(http=http, now=now)
        try:
            yield session
        finally:
            await session.refresher.finish()


class _GuardedApi:
    """Calls of one vendor's API, each guarded by its breaker."""

    def __init__(
        self, *, session: VendorSession, slug: str, spec: ApiSpec, account: str
    ) -> None:
        self._session = session
        self._slug = slug
        self._spec = spec
        self._base = base_of(slug=slug, spec=spec)
        self._guard = Guard(slug=slug, spec=spec, account=account, now=session.now)

    async def _request(
        self,
        path: str,
        params: Mapping[str, str] | None,
        *,
        headers: Mapping[str, str],
    ) -> ApiResponse:
        """Make one guarded call."""
        async with self._guard.passing(params) as passage:
            response = await self._exchange(path, params, headers=headers)
            passage.outcome = "ok" if response.status == 200 else "not_found"
        return response

    async def _exchange(
        self,
        path: str,
        params: Mapping[str, str] | None,
        *,
        headers: Mapping[str, str],
    ) -> ApiResponse:
        url = self._base + self._spec.prefix + path
        # The document is at least as new as the moment before it was asked for.
        started_at = self._session.now()
        try:
            async with self._session.http.get(
                url, params=params, headers=headers, allow_redirects=False
            ) as response:
                error = await self._guard.verdict(
                    status=response.status, headers=response.headers
                )
                if error is not None:
                    raise error
                body = await _read(response)
        except TimeoutError as error:
            raise VendorUnavailableError("The vendor's API is too slow.") from error
        except aiohttp.ClientError as error:
            message = f"The vendor's API cannot be reached ({type(error).__name__})."
            raise VendorUnavailableError(message) from error
        return ApiResponse(
            url=path, status=response.status, body=body, fetched_at=started_at
        )


class _ApplicationApi(_GuardedApi):
    """See VendorApi; calls with the application's keys. `always` goes with each."""

    def __init__(
        self,
        *,
        session: VendorSession,
        slug: str,
        spec: ApiSpec,
        always: Mapping[str, str],
    ) -> None:
        named = spec.keys.account_parameter if spec.keys else ""
        super().__init__(
            session=session, slug=slug, spec=spec, account=always.get(named, "")
        )
        self._always = always
        self._headers = application_headers(slug=slug, spec=spec)

    async def get(
        self, path: str, *, params: Mapping[str, str] | None = None
    ) -> ApiResponse:
        """See VendorApi; raises ConfigurationError when the keys are refused."""
        named = {**self._always, **(params or {})}
        try:
            return await self._request(path, named, headers=self._headers)
        except VendorRefusedError as error:
            if error.status not in {401, 403}:
                raise
            names = self._spec.keys.headers.values() if self._spec.keys else ()
            said = " and ".join(
                f"AUREN_{self._slug.upper()}_{name.upper()}" for name in names
            )
            message = f"The vendor refuses {said} ({error.status})."
            raise ConfigurationError(message) from error


class _ConnectionApi(_GuardedApi):
    """See VendorApi; calls with the grant of one person."""

    def __init__(
        self,
        *,
        session: VendorSession,
        slug: str,
        spec: ApiSpec,
        connection: VendorConnection,
    ) -> None:
        super().__init__(
            session=session, slug=slug, spec=spec, account=connection.account_id
        )
        self._connection = connection

    async def get(
        self, path: str, *, params: Mapping[str, str] | None = None
    ) -> ApiResponse:
        """See VendorApi."""
        grant = await self._usable_grant()
        began = asyncio.get_running_loop().time()
        try:
            return await self._request(path, params, headers=_bearing(grant))
        except VendorRefusedError as error:
            if error.status != 401 or not grant.renewable:
                raise
            if await self._is_taken(grant, path=path, since=began):
                raise
        # A token may be revoked before its time; a fresh one decides.
        newer = await self._renewed(grant)
        return await self._request(path, params, headers=_bearing(newer))

    async def _is_taken(self, grant: Grant, *, path: str, since: float) -> bool:
        """Say whether a 401 speaks of what was asked for, a scope perhaps.

        Then a renewal would change nothing, and each would cost a single-use token. The
        vendor is asked for the account itself, once for all calls that began before.
        """
        session, consent = self._session, self._spec.consent
        if grant.access_token in session.fresh:
            return True
        if not isinstance(consent, ConsentSpec) or path == consent.account_path:
            return False
        began, probe = session.probes.get(grant.access_token, (since, None))
        if probe is None or began < since:
            probe = asyncio.create_task(self._probe(consent.account_path, grant))
            began = asyncio.get_running_loop().time()
            session.probes[grant.access_token] = began, probe
        return await asyncio.shield(probe)

    async def _probe(self, path: str, grant: Grant) -> bool:
        """Say whether the vendor takes the token for this path, whatever it answers."""
        try:
            await self._request(path, None, headers=_bearing(grant))
        except VendorRefusedError as error:
            return error.status != 401
        return True

    async def _usable_grant(self) -> Grant:
        if self._connection.status != ConnectionStatus.ACTIVE:
            reason = self._connection.status_reason or self._connection.status
            self._refuse(f"The account is not connected ({reason}).")
        grant = self._session.grants.get(self._connection.id)
        if grant is None:
            self._refuse("The account has no access token.")
        if not grant.expires_within(_RENEW_AHEAD_S, now=self._session.now()):
            return grant
        if grant.renewable:
            return await self._renewed(grant)
        if grant.expires_within(0, now=self._session.now()):
            self._refuse("The access token has run out and cannot be renewed.")
        return grant

    async def _renewed(self, stale: Grant) -> Grant:
        known = self._session.grants.get(self._connection.id)
        if known is not None and known != stale:
            return known
        endpoint = endpoint_of(slug=self._slug, spec=self._spec, base=self._base)
        grant = await self._session.refresher.renew(
            stale, endpoint=endpoint, guard=self._guard
        )
        self._session.grants[self._connection.id] = grant
        self._session.fresh.add(grant.access_token)
        return grant

    def _refuse(self, message: str) -> NoReturn:
        raise VendorRefusedError(message, status=401, permanent=True)


def _bearing(grant: Grant) -> Mapping[str, str]:
    return {"Authorization": f"Bearer {grant.access_token}"}


def _spec_of(adapter: VendorAdapter) -> ApiSpec:
    if adapter.api is None:
        message = f"The adapter of {adapter.slug} declares no API to fetch from."
        raise ConfigurationError(message)
    return adapter.api


async def _read(response: aiohttp.ClientResponse) -> bytes:
    """Return the body; one that is larger than any document is refused."""
    body = await read_up_to(response, limit=_MAX_ANSWER)
    if body is None:
        message = f"The answer is larger than {_MAX_ANSWER // 2**20} MiB."
        raise AnswerTooLargeError(message, status=response.status, permanent=False)
    return body
