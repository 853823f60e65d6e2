"""Deliveries of all four vendors, shuffled and doubled, until each is acknowledged."""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass
from datetime import date, timedelta
from http.client import HTTPException
from pathlib import Path
from uuid import UUID

import orjson

from tests.e2e.bodies import terra_sleep
from tests.e2e.documents import DocumentServer
from tests.e2e.stack import Stack

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
SAMPLES = Path(__file__).resolve().parents[2] / "biometrics" / "vendors"
PEOPLE = 8
DAYS = 12
_SENDERS = 4
# About five minutes of traffic: longer than the faults take.
_LONGEST_PAUSE_S = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """One delivery; `record_id` is what its event must say where it names one."""

    vendor: str
    body: bytes
    secret: str | None = None
    record_id: str = ""


class Traffic:
    """Sends everything at a pace that lasts as long as the faults do."""

    def __init__(self, stack: Stack, *, randomness: random.Random) -> None:
        self._stack = stack
        self._random = randomness
        self._lock = threading.Lock()
        self._hurry = threading.Event()
        self._threads: list[threading.Thread] = []
        self._documents: dict[str, bytes] = {}
        self.acknowledged: dict[str, Sending] = {}
        self.refused = 0
        self.left = 0
        self.broken: list[str] = []

    def prepare(self) -> DocumentServer:
        """Connect the people and start the API of the vendors that only notify."""
        self._all = [*self._terra(), *self._oura(), *self._whoop(), *self._healthkit()]
        server = DocumentServer(
            port=self._stack.vendors_port, documents=self._documents
        )
        server.start()
        doubled = [s for s in self._all if self._random.random() < 0.3]
        self._all += doubled
        self._random.shuffle(self._all)
        self.left = len(self._all)
        return server

    def start(self) -> None:
        for number in range(_SENDERS):
            mine = self._all[number::_SENDERS]
            seed = self._random.random()
            thread = threading.Thread(target=self._send, args=(mine, seed), daemon=True)
            thread.start()
            self._threads.append(thread)

    def finish(self, *, seconds: float) -> None:
        """Send the rest without pauses and wait until all is acknowledged."""
        self._hurry.set()
        for thread in self._threads:
            thread.join(seconds)
            assert not thread.is_alive(), "not everything was acknowledged"
        assert not self.broken, self.broken[:5]

    def _send(self, mine: list[Sending], seed: float) -> None:
        randomness = random.Random(seed)
        for sending in mine:
            while not self._acknowledged(sending):
                threading.Event().wait(0.2)
            with self._lock:
                self.left -= 1
            self._hurry.wait(randomness.random() * _LONGEST_PAUSE_S)

    def _acknowledged(self, sending: Sending) -> bool:
        try:
            answer = self._stack.deliver(
                sending.vendor, sending.body, secret=sending.secret
            )
        except (OSError, HTTPException):
            with self._lock:
                self.refused += 1
            return False
        with self._lock:
            if 200 <= answer.status < 300:
                self.acknowledged[answer.json["id"]] = sending
                return True
            self.refused += 1
            if answer.status < 500:
                self.broken.append(f"{sending.vendor}: {answer.status}")
                return True
        return False

    def _uuid(self) -> str:
        return str(UUID(int=self._random.getrandbits(128), version=4))

    def _connect(self, vendor: str, account: str) -> None:
        self._stack.manage(
            *("connections", "add", "--vendor", vendor, "--account", account),
            *("--label", f"{vendor} {account}", "--access-token", "token"),
            *("--refresh-token", "refresh", "--expires-at", "2099-01-01T00:00:00Z"),
        )

    def _terra(self) -> list[Sending]:
        found = []
        for _ in range(PEOPLE):
            user = self._uuid()
            for ago in range(DAYS):
                body = terra_sleep(
                    user_id=user, ago=ago + 1, rmssd=self._random.randint(20, 80)
                )
                found.append(Sending(vendor="terra", body=body))
        return found

    def _oura(self) -> list[Sending]:
        notice = orjson.loads(
            (FIXTURES / "oura/webhook_sleep_update.json").read_bytes()
        )
        pages = FIXTURES / "oura/community_api_sleep_page1_mcp.json"
        night = orjson.loads(pages.read_bytes())["data"][0]
        user = self._uuid()
        self._connect("oura", user)
        found = []
        for _ in range(PEOPLE * DAYS // 2):
            id_ = self._uuid()
            path = f"/oura/v2/usercollection/sleep/{id_}"
            self._documents[path] = orjson.dumps({**night, "id": id_})
            body = orjson.dumps({**notice, "object_id": id_, "user_id": user})
            found.append(Sending(vendor="oura", body=body, record_id=id_))
        return found

    def _whoop(self) -> list[Sending]:
        notice = orjson.loads(
            (FIXTURES / "whoop/webhook_sleep_updated.json").read_bytes()
        )
        night = orjson.loads((FIXTURES / "whoop/api_sleep_by_id.json").read_bytes())
        user = self._random.randint(1_000, 9_999_999)
        self._connect("whoop", str(user))
        found = []
        for _ in range(PEOPLE * DAYS // 2):
            id_ = self._uuid()
            path = f"/whoop/v2/activity/sleep/{id_}"
            self._documents[path] = orjson.dumps({**night, "id": id_, "user_id": user})
            body = {**notice, "id": id_, "user_id": user, "trace_id": self._uuid()}
            found.append(
                Sending(vendor="whoop", body=orjson.dumps(body), record_id=id_)
            )
        return found

    def _healthkit(self) -> list[Sending]:
        sample = orjson.loads((SAMPLES / "healthkit/sample.json").read_bytes())
        argv = ("healthkit-token", "--subject", "Chaos person", "--create")
        token = self._stack.manage("connections", *argv).strip().splitlines()[-1]
        first = sample["data"]["records"][0]
        found = []
        for number in range(PEOPLE * DAYS // 4):
            # A day of its own, or the same values would say nothing new.
            day = date(2026, 8, 11) - timedelta(days=number)
            times = {"startDate": f"{day}T03:12:00Z", "endDate": f"{day}T03:13:00Z"}
            record = {**first, **times, "id": self._uuid().upper()}
            body = orjson.dumps({**sample, "data": {"records": [record]}})
            found.append(Sending(vendor="healthkit", body=body, secret=token))
        return found
