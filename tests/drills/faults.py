"""The faults of docs/runbook.md: how each is caused, looked at, and mended."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from uuid import uuid4

import orjson

from auren.devstack.services import free_port
from tests.e2e.bodies import terra_sleep
from tests.e2e.vendors import VendorStack, notice

_DAY = "interval '1 day'"
_ALARMED = "SELECT count(*) FROM biometrics_shardlease WHERE alarm <> ''"


@dataclass(frozen=True, slots=True)
class Fault:
    """What makes an alert fire, what its entry says to look at, and what mends it."""

    alert: str
    cause: Callable[[Bridge], object]
    mend: Callable[[Bridge], object]
    look: Callable[[Bridge], object] = lambda bridge: bridge.ready()


class Bridge(VendorStack):
    """The bridge of the end-to-end tests, under a little traffic."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.metrics_port = free_port()
        self.knows_whoop = True
        self._secret: str | None = None
        self._quiet, self._end = threading.Event(), threading.Event()
        self._traffic = threading.Thread(target=self._send, daemon=True)

    @property
    def environment(self) -> dict[str, str]:
        found = {
            **super().environment,
            "WORKER_METRICS_PORT": str(self.metrics_port),
            "SHARDS": "4",
            "INTAKE_COMMIT_TIMEOUT_S": "3",
        }
        if not self.knows_whoop:
            del found["AUREN_WHOOP_CLIENT_SECRET"]
        return found

    def begin_traffic(self) -> None:
        self._traffic.start()

    def end_traffic(self) -> None:
        self._end.set()
        if self._traffic.is_alive():
            self._traffic.join(30)

    def _send(self) -> None:
        while not self._end.wait(0.2):
            if not self._quiet.is_set():
                with suppress(OSError):
                    self.deliver("terra", athlete(), secret=self._secret)

    def ready(self) -> str:
        with suppress(OSError):
            said = self.request("GET", "/ready", timeout=10)
            return f"/ready {said.status} {', '.join(said.json['reasons'])}".strip()
        return "/ready: no answer"

    def silence(self) -> None:
        self._quiet.set()

    def speak(self) -> None:
        self._quiet.clear()

    def sign_with(self, secret: str | None) -> None:
        self._secret = secret

    def restart_web(self) -> None:
        self.processes["web"].stop(timeout=30)
        self.start_web()

    def night(self, person: str | None = None, *, ago: int = 1) -> None:
        body = terra_sleep(user_id=person or str(uuid4()), ago=ago, rmssd=50)
        assert self.deliver("terra", body).status == 200

    def task(self, name: str) -> None:
        code = f"from auren.celery import app; app.send_task('biometrics.{name}')"
        self.manage("shell", "-c", code)

    def kill_worker(self) -> None:
        self.processes["worker"].kill9()

    @contextmanager
    def frozen_now_and_then(self) -> Iterator[None]:
        """Freeze PostgreSQL for 2 s out of 3."""
        over = threading.Event()

        def freeze() -> None:
            while not over.wait(1):
                self.postgres.pause()
                time.sleep(2)
                self.postgres.resume()

        thread = threading.Thread(target=freeze, daemon=True)
        thread.start()
        self._thaw = over.set
        yield
        over.set()
        thread.join()


def athlete() -> bytes:
    user = {"user_id": str(uuid4()), "provider": "GARMIN"}
    return orjson.dumps({"type": "athlete", "user": user, "athlete": {}})


def _no_whoop(bridge: Bridge) -> None:
    bridge.knows_whoop = False
    bridge.restart_web()
    for _ in range(5):
        assert bridge.deliver("whoop", b"{}").status == 503
        time.sleep(0.5)


def _know_whoop(bridge: Bridge) -> None:
    bridge.knows_whoop = True
    bridge.restart_web()


def _slow(bridge: Bridge) -> None:
    bridge.slowly = bridge.frozen_now_and_then()  # type: ignore[attr-defined]
    bridge.slowly.__enter__()  # type: ignore[attr-defined]


def _quick(bridge: Bridge) -> None:
    bridge.slowly.__exit__(None, None, None)  # type: ignore[attr-defined]


def _kafka_away(bridge: Bridge) -> None:
    bridge.kafka.kill9()
    for _ in range(6):
        bridge.night()
        time.sleep(1)


def _messages_wait(bridge: Bridge) -> None:
    _kafka_away(bridge)
    # As if it had been away for minutes.
    bridge.until(
        lambda: bridge.sql(
            "UPDATE biometrics_outboxmessage SET created_at = created_at - interval"
            " '5 minutes' WHERE status IN ('pending', 'in_batch') RETURNING 1"
        ),
        "messages wait",
    )


def _deliveries_wait(bridge: Bridge) -> None:
    bridge.kill_worker()
    bridge.night()
    time.sleep(2)
    bridge.sql(
        "UPDATE biometrics_webhookdelivery SET received_at = received_at - interval"
        " '5 minutes', next_attempt_at = next_attempt_at - interval '5 minutes'"
        " WHERE status = 'pending'"
    )


def _set_back(bridge: Bridge) -> None:
    """As a restore does: the database knows less than Kafka."""
    for _ in range(8):
        bridge.night()
    bridge.until(
        lambda: bridge.sql(
            "SELECT 1 FROM biometrics_shardlease WHERE step = 'publish'"
            " AND published_seq > 1"
        ),
        "something is published",
    )
    bridge.kill_worker()
    bridge.sql(
        "UPDATE biometrics_shardlease SET published_seq = published_seq - 1, next_seq"
        " = next_seq - 1, is_clean = false WHERE step = 'publish' AND published_seq > 1"
    )
    bridge.start_worker()
    for _ in range(12):
        bridge.night()
    bridge.until(lambda: bridge.sql(_ALARMED)[0][0], "a shard has stopped")


def _resume(bridge: Bridge) -> None:
    compared = bridge.manage(
        *("outbox", "compare", "--since", "2020-01-01T00:00:00+00:00"),
        *("--apply", "--reason", "drill"),
    )
    for shard, verdict in re.findall(r"--shard (\d+) --open-batch (\w+)", compared):
        bridge.manage(
            *("outbox", "resume", "--shard", shard, "--open-batch", verdict),
            *("--reason", "drill"),
        )


def _connect(bridge: Bridge, vendor: str, account: str) -> None:
    """Connect an account by tokens that the vendor does not know."""
    bridge.manage(
        *("connections", "add", "--vendor", vendor, "--account", account),
        *("--label", "Robin", "--access-token", "x", "--refresh-token", "y"),
        *("--expires-at", "2030-01-01T00:00:00+00:00"),
    )


def _vendor_away(bridge: Bridge) -> None:
    bridge.processes["vendors"].kill9()
    _connect(bridge, "oura", "ring-1")
    for _ in range(8):
        bridge.deliver("oura", notice("oura", str(uuid4())))


def _unlinked(bridge: Bridge) -> None:
    assert bridge.deliver("whoop", notice("whoop", str(uuid4()))).status < 300


def _revoke(bridge: Bridge) -> None:
    for vendor, account in (("oura", "ring-1"), ("whoop", "4711")):
        bridge.manage(
            *("connections", "revoke", "--vendor", vendor, "--account", account),
            *("--reason", "drill"),
        )


def _parked(bridge: Bridge) -> None:
    body = orjson.dumps({"type": "sleep", "user": {"user_id": "p"}, "data": [1, "x"]})
    bridge.deliver("terra", body)
    bridge.deliver("terra", b"no JSON at all")


def _decide(bridge: Bridge) -> None:
    """Stand in for the admin's Skip."""
    bridge.sql(
        "UPDATE biometrics_webhookdelivery SET status = 'ignored'"
        " WHERE status = 'parked'"
    )


def _counts(n: int) -> Callable[[Bridge], object]:
    return lambda bridge: bridge.sql(
        "UPDATE biometrics_intakecount SET count = count + %s WHERE id = (SELECT"
        " max(id) FROM biometrics_intakecount WHERE outcome = 'stored')",
        n,
    )


def _age_secret(sign: str) -> Callable[[Bridge], object]:
    def age(bridge: Bridge) -> None:
        bridge.task("count_secrets")
        bridge.until(
            lambda: bridge.sql(
                f"UPDATE biometrics_secretuse SET since = since {sign} 8 * {_DAY},"
                f" last_at = last_at {sign} 8 * {_DAY} WHERE vendor = 'oura'"
                " RETURNING 1"
            ),
            "the secret is counted",
        )

    return age


def _verb(verb: str) -> Callable[[Bridge], object]:
    return lambda bridge: bridge.manage("breaker", verb, "kafka", "--reason", "drill")


def _command(*argv: str) -> Callable[[Bridge], str]:
    def look(bridge: Bridge) -> str:
        code, said = bridge.run(*argv)
        lines = [line for line in said.splitlines() if line.strip()]
        return f"`{' '.join(argv)}` ({code}): {lines[-1][:160] if lines else ''}"

    return look


FAULTS = (
    Fault("BridgeNotConfigured", _no_whoop, _know_whoop),
    Fault(
        "BridgeUnauthenticated",
        lambda bridge: bridge.sign_with("wrong"),
        lambda bridge: bridge.sign_with(None),
    ),
    Fault("BridgeQuiet", Bridge.silence, Bridge.speak),
    Fault("BridgeIntakeSlow", _slow, _quick),
    Fault(
        "BridgeRefusing",
        lambda bridge: bridge.postgres.pause(),
        lambda bridge: bridge.postgres.resume(),
    ),
    Fault(
        "BridgeRedisAway",
        lambda bridge: bridge.valkey.kill9(),
        lambda bridge: bridge.valkey.start(),
    ),
    Fault("BridgeCircuitHeld", _verb("observe"), _verb("auto")),
    Fault("BridgeCircuitOpen", _kafka_away, lambda bridge: bridge.kafka.start()),
    Fault(
        "BridgeMessagesLate",
        _messages_wait,
        lambda bridge: bridge.kafka.start(),
        _command("outbox", "status"),
    ),
    Fault("BridgeDown", Bridge.kill_worker, Bridge.start_worker),
    Fault(
        "BridgeDeliveriesLate",
        _deliveries_wait,
        Bridge.start_worker,
    ),
    Fault("BridgeVendorFailing", _vendor_away, VendorStack.start_vendors),
    Fault(
        "BridgeUnlinked", _unlinked, lambda bridge: _connect(bridge, "whoop", "4711")
    ),
    # The vendors are there again, and do not know those tokens: two consents are gone.
    Fault("BridgeStaffAlarm", lambda bridge: bridge.task("check_connections"), _revoke),
    Fault("BridgeParked", _parked, _decide),
    Fault("BridgeLosing", _counts(3), _counts(-3), _command("ledger")),
    Fault("BridgeSecretUnused", _age_secret("-"), _age_secret("+")),
    Fault("BridgeShardStopped", _set_back, _resume, _command("outbox", "status")),
)
