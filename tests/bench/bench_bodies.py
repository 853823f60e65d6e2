"""How much memory and time a body of 50 MB takes, from storage to the outbox.

    python -m tests.bench.bench_bodies [--mb 50] [--vendor terra ...]

Each body is worked off by a process of its own, on a PostgreSQL of its own; what counts
is how far that process's memory rises above what it needs for a body of a few bytes.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson

from auren.devstack.postgres import TemporaryPostgres
from tests import signer
from tests.databases import migrate

MIB = 2**20
_NOW = datetime(2026, 8, 12, 9, 0, tzinfo=UTC)
_START = datetime(2026, 8, 11, 7, 0, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Of one delivery: its size, memory, processor seconds, and what came of it.

    `taken_in` is how far memory had risen once it was stored, `rise` in the end.
    """

    size: int
    taken_in: int
    rise: int
    seconds: float
    status: str
    events: int
    messages: int
    largest: int

    @property
    def factor(self) -> float:
        return self.rise / self.size


def terra(count: int, *, account: str) -> bytes:
    """Return an activity with so many heart rates, as Terra sends them."""
    samples = [
        {
            "timestamp": (_START + timedelta(seconds=i * 0.1)).isoformat(),
            "bpm": 60 + i % 100,
            "context": 0,
            "timer_duration_seconds": i * 0.1,
        }
        for i in range(count)
    ]
    item = {
        "metadata": {
            "start_time": "2026-08-11T07:00:00.000000+00:00",
            "end_time": "2026-08-12T08:00:00.000000+00:00",
            "summary_id": "a-day-on-foot",
            "upload_type": 1,
            "type": 8,
        },
        "heart_rate_data": {"detailed": {"hr_samples": samples}},
    }
    user = {"user_id": account, "provider": "GARMIN"}
    return orjson.dumps({"type": "activity", "user": user, "data": [item]})


def sdk(count: int, **_: str) -> bytes:
    """Return a sync of so many heart rates over days."""
    source = {
        "name": "Watch",
        "bundleIdentifier": "com.apple.health",
        "productType": "W",
    }
    records = [
        {
            "id": f"0A1B2C3D-0000-4000-8000-{i:012d}",
            "type": "HKQuantityTypeIdentifierHeartRate",
            "startDate": (at := (_START - timedelta(seconds=2 * i)).isoformat()),
            "endDate": at,
            "zoneOffset": "+02:00",
            "source": source,
            "value": 60 + i % 100,
            "unit": "bpm",
        }
        for i in range(count)
    ]
    data = {"records": records, "sleep": [], "workouts": []}
    return orjson.dumps({"provider": "apple", "sdkVersion": "0.6.0", "data": data})


def export(count: int, **_: str) -> bytes:
    """Return an export of so many respiratory rates over days."""
    points = [
        {
            "qty": 12 + i % 8,
            "date": (_START - timedelta(seconds=2 * i)).strftime(
                "%Y-%m-%d %H:%M:%S +0000"
            ),
            "source": "Watch",
        }
        for i in range(count)
    ]
    metric = {"name": "respiratory_rate", "units": "count/min", "data": points}
    return orjson.dumps({"data": {"metrics": [metric]}})


BODIES: Mapping[str, tuple[str, Callable[..., bytes]]] = {
    "terra": ("terra", terra),
    "healthkit-sdk": ("healthkit", sdk),
    "healthkit-export": ("healthkit", export),
}


def body_of(name: str, *, size: int, account: str) -> bytes:
    """Return a body of this kind of about this size."""
    make = BODIES[name][1]
    each = len(make(2000, account=account)) / 2000
    return make(max(1, round(size / each)), account=account)


@contextmanager
def database() -> Iterator[str]:
    """Serve a migrated PostgreSQL while measuring."""
    home = Path(tempfile.mkdtemp(prefix="auren-bodies-"))
    home.chmod(0o711)
    server = TemporaryPostgres(data_dir=home / "postgres")
    try:
        server.start()
        migrate(server.url)
        yield server.url
    finally:
        server.kill9()
        shutil.rmtree(home, ignore_errors=True)


def measure(name: str, *, size: int, url: str) -> Cost:
    """Have a process of its own work off one body."""
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        file.write(body_of(name, size=size, account=f"{name}-large"))
        file.flush()
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "tests.bench.bench_bodies",
                "--work",
                name,
                file.name,
            ],
            env={
                **os.environ,
                "DATABASE_URL": url,
                # Memory is measured, not patience with a busy machine.
                "INTAKE_COMMIT_TIMEOUT_S": "60",
                "DJANGO_SETTINGS_MODULE": "tests.settings",
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    return Cost(**orjson.loads(done.stdout.splitlines()[-1]))


def work(name: str, path: str) -> Cost:
    """Store a small body and work it off, then the one in the file; compare."""
    import time  # noqa: PLC0415

    import django  # noqa: PLC0415

    django.setup()
    from django.db.models import Max  # noqa: PLC0415
    from django.db.models.functions import Length  # noqa: PLC0415

    from biometrics.models import BiometricEvent, OutboxMessage  # noqa: PLC0415

    vendor = BODIES[name][0]
    small = f"{name}-small"
    _work_off(_store(vendor, body_of(name, size=1000, account=small), account=small))
    before = peak()
    body = Path(path).read_bytes()
    size = len(body)
    account = _store(vendor, body, account=f"{name}-large")
    taken_in = peak() - before
    del body
    began = time.process_time()
    status = _work_off(account)
    seconds = time.process_time() - began
    events = BiometricEvent.objects.filter(connection__account_id=account)
    messages = OutboxMessage.objects.filter(event__in=events)
    largest = messages.aggregate(n=Max(Length("value")))["n"]
    return Cost(
        size=size,
        taken_in=taken_in,
        rise=peak() - before,
        seconds=seconds,
        status=status,
        events=events.count(),
        messages=messages.count(),
        largest=largest or 0,
    )


def peak() -> int:
    """Return the most memory that this program has had, in bytes.

    Not what `getrusage` says: there a child begins with what its parent had.
    """
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def _store(vendor: str, body: bytes, *, account: str) -> str:
    """Take a delivery in as the web process does; return its account.

    A push that is proven by a token belongs to the account of the token.
    """
    from biometrics import ingest  # noqa: PLC0415 - Django is set up by now
    from biometrics.connections import registry  # noqa: PLC0415
    from biometrics.intake.runtime import IntakeRuntime  # noqa: PLC0415
    from biometrics.vendors.registry import get_adapter  # noqa: PLC0415
    from biometrics.vendors.wire import InboundRequest  # noqa: PLC0415

    adapter, secret = get_adapter(vendor), "terra-signing-secret"
    if adapter.personal_tokens:
        subject = registry.find_subject(account, create=True)
        secret, account = registry.issue_healthkit_token(subject), str(subject.id)
    else:
        registry.add_connection(vendor=vendor, account_id=account, label=account)
    proof = signer.headers(vendor, secret=secret, body=body, at=_NOW)
    request = InboundRequest(
        method="POST",
        path=f"/webhooks/{vendor}",
        headers=list(proof.items()),
        query={},
        body=body,
        received_at=_NOW,
    )

    async def admit() -> None:
        runtime = IntakeRuntime()
        try:
            await ingest.admit(request, adapter=adapter, runtime=runtime)
        finally:
            await runtime.close()

    asyncio.run(admit())
    return account


def _work_off(account: str) -> str:
    from biometrics import pipeline  # noqa: PLC0415
    from biometrics.models import WebhookDelivery  # noqa: PLC0415

    for shard in pipeline.due_process_shards(now=_NOW):
        pipeline.process_shard(shard=shard, now=lambda: _NOW, budget_s=600)
    rows = WebhookDelivery.objects.filter(account_id=account)
    return str(rows.values_list("status", flat=True).get())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mb", type=float, default=50)
    parser.add_argument("--vendor", action="append", choices=sorted(BODIES))
    parser.add_argument("--work", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.work:
        cost = work(*given.work)
        said = {name: getattr(cost, name) for name in cost.__slots__}
        sys.stdout.write(f"{orjson.dumps(said).decode()}\n")
        return
    with database() as url:
        for name in given.vendor or sorted(BODIES):
            cost = measure(name, size=round(given.mb * MIB), url=url)
            sys.stdout.write(
                f"{name}: {cost.size / MIB:.1f} MiB, memory"
                f" +{cost.taken_in / MIB:.0f} MiB for intake, +{cost.rise / MIB:.0f} MiB"
                f" in all ({cost.factor:.1f} x), {cost.seconds:.1f} s of processor time,"
                f" {cost.status}, {cost.events} events, {cost.messages} messages,"
                f" the largest {cost.largest / 1000:.0f} kB\n"
            )


if __name__ == "__main__":
    main()
