"""Asking a vendor for lists, at the vendor's pace and within a bound."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from biometrics.connections import client
from biometrics.errors import (
    BiometricsError,
    ConfigurationError,
    VendorRefusedError,
    VendorUnavailableError,
)
from biometrics.models import VendorConnection
from biometrics.vendors.base import (
    ApiResponse,
    Listed,
    VendorAdapter,
    VendorApi,
    Window,
)
from resilience import CircuitBreakerOpen

# One connection's bound, within the tasks' soft time limit.
ASK_SECONDS = 45.0
_MOST_TRIES = 5
_jitter = random.SystemRandom()


@dataclass(slots=True, kw_only=True)
class Answers:
    """What came, in the order in which it came, and why the rest did not.

    A data type with an error may have given some of its pages before.
    """

    listed: list[Listed] = field(default_factory=list)
    errors: dict[str, BiometricsError] = field(default_factory=dict)


def ask(
    connection: VendorConnection,
    *,
    adapter: VendorAdapter,
    windows: Mapping[str, Window],
    now: Callable[[], datetime],
) -> Answers:
    """List these data types, one after the other, each to its end.

    What the vendor refuses for one data type stops no other one; a vendor that is away,
    or wants to be left alone for longer than there is time, stops all that is left. Must
    be called outside of any transaction and event loop.
    """
    return asyncio.run(_ask(connection, adapter=adapter, windows=windows, now=now))


async def _ask(
    connection: VendorConnection,
    *,
    adapter: VendorAdapter,
    windows: Mapping[str, Window],
    now: Callable[[], datetime],
) -> Answers:
    answers, left = Answers(), list(windows)
    listing = adapter.listing
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
                try:
                    async for one in listing.documents(
                        data_type, window=windows[data_type], api=api
                    ):
                        answers.listed.append(one)
                except VendorRefusedError as error:
                    if error.permanent:
                        raise
                    answers.errors[data_type] = error
                del left[0]
    except TimeoutError:
        message = f"The lists took longer than {ASK_SECONDS:g} s."
        _give_up(answers, left, VendorUnavailableError(message))
    except (VendorUnavailableError, VendorRefusedError, ConfigurationError) as error:
        _give_up(answers, left, error)
    return answers


def _give_up(answers: Answers, left: Sequence[str], error: BiometricsError) -> None:
    answers.errors |= dict.fromkeys(left, error)


class _Patient:
    """See VendorApi; tries again what can succeed, when the vendor wants it."""

    def __init__(self, api: VendorApi, *, deadline: float) -> None:
        self._api = api
        self._deadline = deadline

    async def get(
        self, path: str, *, params: Mapping[str, str] | None = None
    ) -> ApiResponse:
        """See VendorApi."""
        tries = 0
        while True:
            try:
                return await self._api.get(path, params=params)
            except VendorUnavailableError as error:
                tries += 1
                wait = (error.retry_after or 2.0**tries) * _jitter.uniform(1.0, 1.25)
                is_open = isinstance(error.__cause__, CircuitBreakerOpen)
                ends = asyncio.get_running_loop().time() + wait >= self._deadline
                if is_open or ends or tries >= _MOST_TRIES:
                    raise
            await asyncio.sleep(wait)
