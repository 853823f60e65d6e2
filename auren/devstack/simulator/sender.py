"""Sending as each vendor does: its signature, its patience, its retries (shortened)."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

import aiohttp

from auren.devstack.simulator import signing
from auren.devstack.simulator.wire import Delivery

# One documented hour of retries takes a minute here.
RETRY_SCALE: Final = 1 / 60


class Outcome(StrEnum):
    """What became of a delivery."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    IGNORED = "ignored"
    REFUSED = "refused"
    ENDED = "ended"
    GIVEN_UP = "given up"


_RETRIED = frozenset({Outcome.REFUSED, Outcome.GIVEN_UP})


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """How a sender behaves; times in seconds as its vendor documents them.

    `keeps_stamp`: a retry carries the signed time of the first attempt.
    """

    timeout_s: float
    retries_s: tuple[float, ...]
    retries_4xx: bool
    keeps_stamp: bool = False


HABITS: Final[Mapping[str, Habits]] = {
    # Ten times within about an hour, for 4xx, 5xx and time-outs alike. Whether the stamp
    # is renewed is not documented; the harder case for a receiver is that it is not.
    "oura": Habits(
        timeout_s=10,
        retries_s=(10, 30, 60, 120, 240, 360, 480, 600, 720, 900),
        retries_4xx=True,
        keeps_stamp=True,
    ),
    # Five times within about an hour.
    "whoop": Habits(
        timeout_s=1, retries_s=(60, 240, 600, 1200, 1500), retries_4xx=True
    ),
    # About eight times within a little more than a day; the stamp must be fresh.
    "terra": Habits(
        timeout_s=8,
        retries_s=(300, 1800, 3600, 7200, 14400, 18000, 21600, 21600),
        retries_4xx=True,
    ),
    # The SDK drops a chunk on 4xx and keeps it for later on 5xx or without network.
    "sdk": Habits(timeout_s=120, retries_s=(60, 300, 900, 3600), retries_4xx=False),
    # Whether the app repeats a failed run is not documented; its next run overlaps.
    "hae": Habits(timeout_s=60, retries_s=(), retries_4xx=False),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Phone:
    """What lets a phone push; an SDK that knows its user's id posts under it."""

    token: str
    user_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Secrets:
    """What proves the senders: a secret per signing vendor, a phone per account."""

    signing: Mapping[str, str] = field(default_factory=dict)
    phones: Mapping[str, Phone] = field(default_factory=dict)

    def path(self, delivery: Delivery) -> str:
        """Return where the delivery goes."""
        phone = self.phones.get(delivery.account)
        if delivery.sender == "sdk" and phone is not None and phone.user_id:
            return f"/api/v1/sdk/users/{phone.user_id}/sync"
        return delivery.path

    def headers(self, delivery: Delivery, *, at: datetime) -> dict[str, str]:
        """Return the headers that prove this delivery at that time."""
        if delivery.sender == "sdk":
            # The SDK puts the token in as given, without "Bearer ".
            return {"Authorization": self.phones[delivery.account].token}
        if delivery.sender == "hae":
            return {"api-key": self.phones[delivery.account].token}
        sign = {
            "oura": signing.oura_headers,
            "whoop": signing.whoop_headers,
            "terra": signing.terra_headers,
        }[delivery.sender]
        secret = self.signing[delivery.sender]
        return sign(secret=secret, body=delivery.body, at=at)


@dataclass(slots=True)
class Tally:
    """What has been sent, and how the bridge answered."""

    outcomes: Counter[Outcome] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    senders: Counter[str] = field(default_factory=Counter)
    retries: int = 0
    retrying: int = 0
    unanswered: int = 0
    skipped: int = 0

    @property
    def sent(self) -> int:
        """Deliveries that are settled, one way or the other."""
        return sum(self.outcomes.values())

    def line(self) -> str:
        """Return one line for a terminal; troubles only where there are any."""
        parts = [f"sent {self.sent}"]
        parts += [f"{o.value} {self.outcomes[o]}" for o in Outcome if self.outcomes[o]]
        troubles = {
            "retries": self.retries,
            "waiting to retry": self.retrying,
            "without answer": self.unanswered,
            "left out on purpose": self.skipped,
        }
        parts += [f"{name} {count}" for name, count in troubles.items() if count]
        parts += [
            f"HTTP {status}: {count}"
            for status, count in sorted(self.statuses.items())
            if status >= 300
        ]
        return ", ".join(parts)


@dataclass(slots=True, kw_only=True)
class Sender:
    """Sends deliveries to one bridge; safe to use from many tasks of one loop."""

    session: aiohttp.ClientSession
    bridge: str
    secrets: Secrets
    clock: Callable[[], datetime]
    retry_scale: float = RETRY_SCALE
    tally: Tally = field(default_factory=Tally)

    async def send(self, delivery: Delivery) -> Outcome:
        """Send until the bridge takes it or the vendor would give up."""
        habits = HABITS[delivery.sender]
        first = self.clock()
        outcome = await self._attempt(delivery, signed_at=first)
        for delay in habits.retries_s:
            if outcome not in _RETRIED:
                break
            if outcome is Outcome.REFUSED and not habits.retries_4xx:
                break
            await self._pause(delay * self.retry_scale)
            signed_at = first if habits.keeps_stamp else self.clock()
            outcome = await self._attempt(delivery, signed_at=signed_at)
        self.tally.outcomes[outcome] += 1
        self.tally.senders[delivery.sender] += 1
        return outcome

    async def _pause(self, seconds: float) -> None:
        self.tally.retrying += 1
        try:
            await asyncio.sleep(seconds)
        finally:
            self.tally.retrying -= 1
        self.tally.retries += 1

    async def _attempt(self, delivery: Delivery, *, signed_at: datetime) -> Outcome:
        """Send once and say how it went."""
        headers = dict(delivery.headers)
        headers.update(self.secrets.headers(delivery, at=signed_at))
        patience = aiohttp.ClientTimeout(total=HABITS[delivery.sender].timeout_s)
        try:
            async with self.session.post(
                self.bridge.rstrip("/") + self.secrets.path(delivery),
                data=delivery.body,
                headers=headers,
                timeout=patience,
                allow_redirects=False,
            ) as answer:
                body = await answer.read()
        except (aiohttp.ClientError, TimeoutError):
            self.tally.unanswered += 1
            return Outcome.GIVEN_UP
        self.tally.statuses[answer.status] += 1
        return _judge(answer.status, body)


def _judge(status: int, body: bytes) -> Outcome:
    if 200 <= status < 300:
        return _taken(body)
    if status == 410:
        # Oura ends the subscription at this answer and never asks again.
        return Outcome.ENDED
    return Outcome.REFUSED if 400 <= status < 500 else Outcome.GIVEN_UP


def _taken(body: bytes) -> Outcome:
    """Read the bridge's own word; any other 2xx is good enough for a vendor."""
    try:
        said = json.loads(body)["status"]
    except (ValueError, KeyError, TypeError):
        return Outcome.ACCEPTED
    return {
        "duplicate": Outcome.DUPLICATE,
        "ignored": Outcome.IGNORED,
    }.get(str(said), Outcome.ACCEPTED)
