"""Asking a vendor for lists, at the vendor's pace and within a bound."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime
from typing import TypeAlias

from biometrics.connections import client
from biometrics.connections.refresh import in_thread
from biometrics.errors import (
    BiometricsError,
    ConfigurationError,
    StillCollectingError,
    VendorRefusedError,
    VendorUnavailableError,
)
from biometrics.models import VendorConnection
from biometrics.vendors.base import VendorAdapter
from biometrics.vendors.listing import Listed, Window
from biometrics.vendors.wire import ApiResponse, VendorApi
from resilience import CircuitBreakerOpen

# One connection's bound, within the tasks' soft time limit.
ASK_SECONDS = 45.0
_MOST_TRIES = 5
_jitter = random.SystemRandom()


# What is held before it is handed on: so many documents, or answers of so many bytes.
_MOST_HELD = 200
_MOST_BYTES = 4 * 1024 * 1024

Take: TypeAlias = Callable[[Sequence[Listed]], None]
Errors: TypeAlias = dict[str, BiometricsError]


def ask(
    connection: VendorConnection,
    *,
    adapter: VendorAdapter,
    windows: Mapping[str, Window],
    take: Take,
    now: Callable[[], datetime],
) -> Errors:
    """List these data types, one after the other; return why some are not complete.

    What comes is handed to `take` in parts, in a thread, so that a long history is never
    held as a whole. What the vendor refuses for one data type stops no other one; a
    vendor that is away, or wants to be left alone for longer than there is time, stops
    all that is left. Must be called outside of any transaction and event loop.
    """
    return asyncio.run(
        _ask(connection, adapter=adapter, windows=windows, take=take, now=now)
    )


async def _ask(
    connection: VendorConnection,
    *,
    adapter: VendorAdapter,
    windows: Mapping[str, Window],
    take: Take,
    now: Callable[[], datetime],
) -> Errors:
    errors: Errors = {}
    left, listing = list(windows), adapter.listing
    assert listing is not None or not left  # nobody asks for what cannot be listed
    deadline = asyncio.get_running_loop().time() + ASK_SECONDS
    try:
        async with (
            client.open_session(now=now) as session,
            asyncio.timeout_at(deadline),
        ):
            plain = session.api_for(connection=connection, adapter=adapter)
            api = _Patient(plain, deadline=deadline)
            while listing is not None and left:
                data_type = left[0]
                documents = listing.documents(
                    data_type, window=windows[data_type], api=api
                )
                try:
                    await _hand_on(documents, api=api, take=take)
                except StillCollectingError as error:
                    errors[data_type] = error
                except VendorRefusedError as error:
                    if error.permanent:
                        raise
                    errors[data_type] = error
                del left[0]
    except TimeoutError:
        message = f"The lists took longer than {ASK_SECONDS:g} s."
        _give_up(errors, left, VendorUnavailableError(message))
    except (VendorUnavailableError, VendorRefusedError, ConfigurationError) as error:
        _give_up(errors, left, error)
    return errors


async def _hand_on(
    documents: AsyncIterator[Listed], *, api: _Patient, take: Take
) -> None:
    """Pass documents on in parts, those that came before an error too."""
    held: list[Listed] = []
    try:
        async for one in documents:
            held.append(one)
            if len(held) >= _MOST_HELD or api.received >= _MOST_BYTES:
                part, held, api.received = held, [], 0
                await in_thread(take, part)
    finally:
        if held:
            await in_thread(take, held)


def _give_up(errors: Errors, left: Sequence[str], error: BiometricsError) -> None:
    errors |= dict.fromkeys(left, error)


class _Patient:
    """See VendorApi; tries again what can succeed, when the vendor wants it.

    `received` counts the bytes of the answers.
    """

    def __init__(self, api: VendorApi, *, deadline: float) -> None:
        self._api = api
        self._deadline = deadline
        self.received = 0

    async def get(
        self, path: str, *, params: Mapping[str, str] | None = None
    ) -> ApiResponse:
        """See VendorApi."""
        tries = 0
        while True:
            try:
                answer = await self._api.get(path, params=params)
            except VendorUnavailableError as error:
                tries += 1
                wait = (error.retry_after or 2.0**tries) * _jitter.uniform(1.0, 1.25)
                is_open = isinstance(error.__cause__, CircuitBreakerOpen)
                ends = asyncio.get_running_loop().time() + wait >= self._deadline
                if is_open or ends or tries >= _MOST_TRIES:
                    raise
            else:
                self.received += len(answer.body)
                return answer
            await asyncio.sleep(wait)
