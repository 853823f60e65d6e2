"""Metrics: summed over processes, the dead left out, and not for everybody."""

from __future__ import annotations

import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from auren import exposition
from auren.devstack.services import free_port

# A process that counts two requests, holds one, and is gone without a word.
KILLED = """
import os
from prometheus_client import Counter, Gauge
Counter("things", "help").inc(2)
Gauge("in_flight", "help", multiprocess_mode="livesum").inc()
print(os.getpid(), flush=True)
os.kill(os.getpid(), 9)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    return tmp_path


def test_what_a_killed_process_counted_stays_and_what_it_held_goes(
    folder: Path,
) -> None:
    for _ in range(2):
        subprocess.run(
            [sys.executable, "-c", KILLED], check=False, stdout=subprocess.DEVNULL
        )
    assert len(list(folder.glob("gauge_livesum_*.db"))) == 2
    text = exposition.of_this_host().decode()
    assert "things_total 4.0" in text
    assert "in_flight 1" not in text
    assert "in_flight 2" not in text
    assert list(folder.glob("gauge_livesum_*.db")) == []


def test_what_a_living_process_holds_is_shown(folder: Path) -> None:
    alive = KILLED.replace("os.kill(os.getpid(), 9)", "input()")
    with subprocess.Popen(
        [sys.executable, "-c", alive], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert "in_flight 1.0" in exposition.of_this_host().decode()
        process.kill()


@pytest.mark.parametrize(
    ("address", "authorization", "answer"),
    [
        ("10.1.2.3", "", "yes"),
        ("127.0.0.1", "", "no"),
        ("not an address", "", "no"),
        ("127.0.0.1", "Bearer right", "yes"),
        ("10.1.2.3", "Bearer wrong", "no"),
        ("127.0.0.1", "Basic right", "no"),
    ],
)
def test_who_may_read(
    settings: Any, address: str, authorization: str, answer: str
) -> None:
    settings.METRICS_ALLOWED_IPS = ["10.0.0.0/8"]
    settings.METRICS_TOKEN = "right"
    found = exposition.may_read(address=address, authorization=authorization)
    assert found is (answer == "yes")


def test_a_worker_host_serves_its_own(folder: Path, settings: Any) -> None:
    port = free_port()
    settings.METRICS_ALLOWED_IPS = ["127.0.0.1"]
    server = exposition.serve(port)
    subprocess.run(
        [sys.executable, "-c", KILLED], check=False, stdout=subprocess.DEVNULL
    )
    address = f"http://127.0.0.1:{port}/metrics"
    with urllib.request.urlopen(address, timeout=10) as answer:
        assert "things_total 2.0" in answer.read().decode()
    settings.METRICS_ALLOWED_IPS = []
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(address, timeout=10)
    assert refused.value.code == 403
    refused.value.close()
    server.shutdown()
    server.server_close()
