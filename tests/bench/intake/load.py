"""Signed, unique bodies in files, and wrk that sends them."""

from __future__ import annotations

import itertools
import random
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import orjson

from tests import signer

SECRET = "bench-secret"
CONNECTIONS = 100
THREADS = 2
SCRIPT = Path(__file__).with_name("load.lua")
FIXTURES = Path(__file__).resolve().parents[2] / "fixtures"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What wrk saw; latencies in milliseconds."""

    requests: int
    seconds: float
    refused: int
    broken: int
    p50: float
    p99: float
    p999: float

    @property
    def rate(self) -> float:
        """Answered requests a second."""
        return self.requests / self.seconds


def prepare(
    *, vendor: str, folder: Path, count: int, seed: int, duplicates: float
) -> None:
    """Write `count` signed requests for the threads; a share of them repeats others."""
    randomness = random.Random(seed)
    bodies = {"whoop": _whoop, "terra": _terra}[vendor](randomness)
    per_thread = count // THREADS
    for thread in range(THREADS):
        sent: list[bytes] = []
        with (folder / f"{thread}.txt").open("wb") as file:
            for _ in range(per_thread):
                if sent and randomness.random() < duplicates:
                    file.write(randomness.choice(sent[-500:]))
                    continue
                line = _line(vendor, next(bodies))
                sent.append(line)
                file.write(line)


def run(
    *, port: int, vendor: str, folder: Path, seconds: float, pause_ms: float = 0.0
) -> Outcome:
    """Send what was prepared for that long over kept connections."""
    done = subprocess.run(
        [
            "wrk",
            *("-t", str(THREADS), "-c", str(CONNECTIONS)),
            *("-d", f"{seconds:g}s", "--timeout", "10s", "--latency"),
            *("-s", str(SCRIPT), f"http://127.0.0.1:{port}"),
            *("--", vendor, str(folder), f"{pause_ms:.0f}"),
        ],
        capture_output=True,
        text=True,
        timeout=seconds + 60,
        check=False,
    )
    if done.returncode:
        msg = f"wrk ended with {done.returncode}:\n{done.stdout}{done.stderr}"
        raise RuntimeError(msg)
    return Outcome(**orjson.loads(done.stdout.strip().splitlines()[-1]))


def _line(vendor: str, body: bytes) -> bytes:
    proof = signer.headers(vendor, secret=SECRET, body=body, at=datetime.now(tz=UTC))
    headers = "|".join(f"{name}: {value}" for name, value in proof.items())
    return headers.encode() + b"\t" + body + b"\n"


def _uuid(randomness: random.Random) -> str:
    return str(UUID(int=randomness.getrandbits(128), version=4))


def _whoop(randomness: random.Random) -> Iterator[bytes]:
    while True:
        yield orjson.dumps(
            {
                "user_id": randomness.randint(1, 100_000),
                "id": _uuid(randomness),
                "type": "sleep.updated",
                "trace_id": _uuid(randomness),
            }
        )


def _terra(randomness: random.Random) -> Iterator[bytes]:
    sample = FIXTURES / "terra" / "assembled_webhook_sleep_full.json"
    payload = orjson.loads(sample.read_bytes())
    for number in itertools.count():
        payload["user"]["user_id"] = _uuid(randomness)
        payload["data"][0]["metadata"]["summary_id"] = f"bench-{number}"
        yield orjson.dumps(payload)
