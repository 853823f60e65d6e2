"""Sends deliveries at a fixed pace, whether or not earlier ones were answered.

    python -m tests.bench.paced.send PORT SECRET RATE SECONDS FILE

A process of its own, so that its work slows nobody's clock. One JSON line a delivery: the
mark in it, and in seconds of the system's monotonic clock when it was due, when it was
answered, and with what (0: no answer). Times count from when a delivery was due, so that
a standstill is not hidden by a sender that waits for it.
"""

from __future__ import annotations

import asyncio
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import aiohttp
import orjson

from tests import signer
from tests.e2e.bodies import terra_sleep

_CONNECTIONS = 200
_PATIENCE_S = 30.0


@dataclass(slots=True, kw_only=True)
class Sent:
    """One delivery."""

    mark: str
    due: float
    answered: float = 0.0
    status: int = 0

    @property
    def ms(self) -> float:
        """Milliseconds from when it was due to its answer."""
        return 1000 * (self.answered - self.due)


def read(file: Path) -> list[Sent]:
    """Return what a run has written."""
    return [Sent(**orjson.loads(line)) for line in file.read_bytes().splitlines()]


async def send(*, port: int, secret: str, rate: float, seconds: float) -> list[Sent]:
    """Send for so many seconds; return when everything is answered or given up."""
    connector = aiohttp.TCPConnector(limit=_CONNECTIONS)
    patience = aiohttp.ClientTimeout(total=_PATIENCE_S)
    url = f"http://127.0.0.1:{port}/webhooks/terra"
    async with aiohttp.ClientSession(connector=connector, timeout=patience) as session:
        begin = time.monotonic() + 0.1
        sent: list[Sent] = []
        async with asyncio.TaskGroup() as group:
            for number in range(int(rate * seconds)):
                one = Sent(mark=str(uuid4()), due=begin + number / rate)
                await asyncio.sleep(max(one.due - time.monotonic(), 0))
                group.create_task(_deliver(session, url, secret, one))
                sent.append(one)
    return sent


async def _deliver(
    session: aiohttp.ClientSession, url: str, secret: str, one: Sent
) -> None:
    body = terra_sleep(user_id=one.mark, summary_id=one.mark, rmssd=60)
    proof = signer.headers("terra", secret=secret, body=body, at=datetime.now(tz=UTC))
    headers = {"content-type": "application/json", **proof}
    try:
        async with session.post(url, data=body, headers=headers) as answer:
            await answer.read()
            one.status = answer.status
    except (aiohttp.ClientError, TimeoutError):
        one.status = 0
    one.answered = time.monotonic()


def main() -> None:
    port, secret, rate, seconds, file = sys.argv[1:]
    sent = asyncio.run(
        send(port=int(port), secret=secret, rate=float(rate), seconds=float(seconds))
    )
    lines = [
        orjson.dumps(
            {
                "mark": one.mark,
                "due": one.due,
                "answered": one.answered,
                "status": one.status,
            }
        )
        for one in sent
    ]
    Path(file).write_bytes(b"\n".join(lines) + b"\n")


if __name__ == "__main__":
    main()
