"""Is the bridge alive, is it well, and what do its counters say?"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

import redis
from django.conf import settings
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from auren import exposition
from biometrics import depths, nudges, secret_use, selectors
from biometrics.alerts import rates
from biometrics.intake import runtime as intake
from biometrics.models import SecretUse
from resilience import StoreUnavailableError, all_breakers, get_breaker
from resilience.registry import current
from resilience.states import Mode

_LAG_LIMIT = timedelta(seconds=60)
_TIMEOUT_S = 0.5


def health(_request: HttpRequest) -> JsonResponse:
    """Answer that this process serves requests; looks at nothing else."""
    return JsonResponse(
        {"status": "healthy", "service": "biometric-bridge"},
        # Compact: load balancers compare the body to the letter.
        json_dumps_params={"separators": (",", ":")},
    )


def ready(_request: HttpRequest) -> JsonResponse:
    """Say whether this process can accept deliveries (503 when not) and what ails.

    Redis, Kafka, workers and lag only degrade: a balancer must not stop intake, which
    keeps working, because something behind it is away. `held` are the circuits that staff
    took out of their automatic mode; that of the database, forced open, refuses deliveries.
    """
    if intake.is_closing():
        return JsonResponse(
            {"status": "stopping", "reasons": ["shutting_down"], "held": {}}, status=503
        )
    held = _held()
    if held.get("database") == Mode.FORCED_OPEN or not _database_answers():
        told = {"status": "unready", "reasons": ["database"], "held": held}
        return JsonResponse(told, status=503)
    reasons = [name for name, well in _CHECKS.items() if not well()]
    if Mode.FORCED_OPEN in held.values():
        reasons.append("held")
    status = "degraded" if reasons else "ready"
    return JsonResponse({"status": status, "reasons": reasons, "held": held})


def _held() -> dict[str, str]:
    """Return the circuits that an operator holds, by name, with their mode."""
    try:
        # A vendor's circuit is used by workers: only the store knows of it here.
        breakers = current().known()
    except StoreUnavailableError:
        breakers = all_breakers()
    seen = [breaker.snapshot() for breaker in breakers]
    return {one.name: one.mode for one in seen if one.mode is not Mode.AUTO}


def _database_answers() -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return False
    return True


def _redis_well() -> bool:
    try:
        return bool(nudges.connect().ping())
    except redis.RedisError:
        return False


def _workers_well() -> bool:
    try:
        return nudges.worker_seen()
    except redis.RedisError:
        return False


def _kafka_well() -> bool:
    seen = get_breaker("kafka").snapshot()
    if seen.state != "closed" or seen.is_refusing:
        return False
    for server in settings.KAFKA_BOOTSTRAP_SERVERS:
        host, _, port = server.rpartition(":")
        try:
            with socket.create_connection((host.strip("[]"), int(port)), _TIMEOUT_S):
                return True
        except (OSError, ValueError):
            continue
    return False


def _lag_well() -> bool:
    oldest = selectors.oldest(now=timezone.now())
    return all(age is None or age < _LAG_LIMIT for age in oldest.values())


_CHECKS: dict[str, Callable[[], bool]] = {
    "redis": _redis_well,
    "kafka": _kafka_well,
    "workers": _workers_well,
    "lag": _lag_well,
}


def metrics(request: HttpRequest) -> HttpResponse:
    """Return the metrics of all web processes of this host and what the tables tell."""
    allowed = exposition.may_read(
        address=request.META.get("REMOTE_ADDR", ""),
        authorization=request.headers.get("Authorization", ""),
    )
    if not allowed:
        return JsonResponse(
            {"error": "forbidden", "detail": exposition.REFUSAL}, status=403
        )
    # A circuit that this host does not use would keep the state of its last look.
    for breaker in all_breakers():
        breaker.snapshot()
    return HttpResponse(
        exposition.of_this_host() + _of_tables(), content_type=CONTENT_TYPE_LATEST
    )


def _of_tables() -> bytes:
    """Return what the tables tell, nothing while the database is away.

    The counters must still be read then: they say that senders are refused, and why.
    """
    if get_breaker("database").snapshot().state != "closed":
        return b""
    tables = CollectorRegistry()
    tables.register(TableCollector())
    try:
        return generate_latest(tables)
    except DatabaseError:
        return b""


class _Gauge(NamedTuple):
    name: str
    text: str
    labels: tuple[str, ...] = ()

    def family(self, values: Iterable[tuple[tuple[str, ...], float]]) -> Metric:
        """Return it with a value for each combination of labels."""
        found = GaugeMetricFamily(self.name, self.text, labels=list(self.labels))
        for labels, value in values:
            found.add_metric(list(labels), value)
        return found


_DEPTH = _Gauge(
    "biobridge_queue_depth",
    "Rows that wait, by queue and status, as beat counted them each minute.",
    ("queue", "status"),
)
_OLDEST = _Gauge(
    "biobridge_queue_oldest_seconds", "Age of the oldest row that is due.", ("queue",)
)
_STOPPED = _Gauge(
    "biobridge_shards_stopped",
    "Shards that publish nothing until a person has ended their alarm; must be 0.",
)
_ALARMS = _Gauge(
    "biobridge_staff_alarms_open", "Open alarms for staff, by kind.", ("kind",)
)
_IDLE = _Gauge(
    "biobridge_secret_slot_idle_seconds",
    "Since a signing secret last proved a delivery, or since it is counted.",
    ("vendor", "slot"),
)
_OFTEN = _Gauge(
    "biobridge_hrv_alerts_per_30_user_nights",
    "Alerts of the last 30 nights by highest severity, per 30 nights of a person.",
    ("severity",),
)
_LOW_NIGHTS = _Gauge(
    "biobridge_hrv_low_night_ratio",
    "Share of judged nights with z1 of -2 or less; 0.03 to 0.06 is expected.",
)
_ALERTED = _Gauge(
    "biobridge_hrv_often_alerted_ratio",
    "Share of people with more than two HIGH or CRITICAL alerts in 30 nights.",
)


class TableCollector(Collector):
    """Gauges read from the database at each scrape, the same on every host."""

    def describe(self) -> Iterator[Metric]:
        """Yield the gauges without values; asks no database."""
        gauges = (
            *(_DEPTH, _OLDEST, _STOPPED, _ALARMS, _IDLE),
            *(_OFTEN, _LOW_NIGHTS, _ALERTED),
        )
        for gauge in gauges:
            yield gauge.family([])

    def collect(self) -> Iterator[Metric]:
        """Yield what the tables tell; the cost grows neither with history nor backlog."""
        now = timezone.now()
        yield _DEPTH.family(depths.recent().items())
        yield _OLDEST.family(
            ((queue,), age.total_seconds() if age else 0.0)
            for queue, age in selectors.oldest(now=now).items()
        )
        yield _STOPPED.family([((), selectors.stopped_shards())])
        yield _ALARMS.family(
            ((kind,), n) for kind, n in selectors.open_alarms().items()
        )
        yield _IDLE.family(
            ((row.vendor, str(row.slot)), _age(secret_use.idle_since(row), now))
            for row in SecretUse.objects.order_by("vendor", "slot")
        )
        yield from _hrv(rates.summary(now=now))


def _age(since: datetime, now: datetime) -> float:
    return max(0.0, (now - since).total_seconds())


def _hrv(found: rates.Rates) -> Iterator[Metric]:
    yield _OFTEN.family(
        ((severity,), rate) for severity, rate in found.per_30_user_nights.items()
    )
    yield _LOW_NIGHTS.family([((), found.low_share or 0.0)])
    yield _ALERTED.family([((), found.often_share or 0.0)])
