"""Is the bridge alive, is it well, and what do its counters say?"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

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
from biometrics import nudges, secret_use, selectors
from biometrics.alerts import rates
from biometrics.intake import runtime as intake
from biometrics.models import SecretUse
from resilience import get_breaker

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
    keeps working, because something behind it is away.
    """
    if intake.is_closing():
        return JsonResponse(
            {"status": "stopping", "reasons": ["shutting_down"]}, status=503
        )
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return JsonResponse({"status": "unready", "reasons": ["database"]}, status=503)
    reasons = [name for name, well in _CHECKS.items() if not well()]
    status = "degraded" if reasons else "ready"
    return JsonResponse({"status": status, "reasons": reasons})


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
    if get_breaker("kafka").snapshot().state != "closed":
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
    now = timezone.now()
    oldest = selectors.queues(now=now).oldest
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
    tables = CollectorRegistry()
    tables.register(TableCollector())
    return HttpResponse(
        exposition.of_this_host() + generate_latest(tables),
        content_type=CONTENT_TYPE_LATEST,
    )


class TableCollector(Collector):
    """Gauges read from the database at each scrape, the same on every host."""

    def collect(self) -> Iterator[Metric]:
        """Yield queue depths and ages by partial index; cost does not grow with history."""
        now = timezone.now()
        queues = selectors.queues(now=now)
        depth = GaugeMetricFamily(
            "biobridge_queue_depth",
            "Rows that wait, by queue and status.",
            labels=["queue", "status"],
        )
        for (queue, status), count in queues.depths.items():
            depth.add_metric([queue, status], count)
        yield depth
        age = GaugeMetricFamily(
            "biobridge_queue_oldest_seconds",
            "Age of the oldest row that is due.",
            labels=["queue"],
        )
        for queue, oldest in queues.oldest.items():
            age.add_metric([queue], oldest.total_seconds() if oldest else 0.0)
        yield age
        yield _idle_secrets(now=now)
        yield from _hrv(rates.summary(now=now))


def _idle_secrets(*, now: datetime) -> Metric:
    idle = GaugeMetricFamily(
        "biobridge_secret_slot_idle_seconds",
        "Since a signing secret last proved a delivery, or since it is counted.",
        labels=["vendor", "slot"],
    )
    for row in SecretUse.objects.order_by("vendor", "slot"):
        age = (now - secret_use.idle_since(row)).total_seconds()
        idle.add_metric([row.vendor, str(row.slot)], max(0.0, age))
    return idle


def _hrv(found: rates.Rates) -> Iterator[Metric]:
    often = GaugeMetricFamily(
        "biobridge_hrv_alerts_per_30_user_nights",
        "Alerts of the last 30 nights by highest severity, per 30 nights of a person.",
        labels=["severity"],
    )
    for severity, rate in found.per_30_user_nights.items():
        often.add_metric([severity], rate)
    yield often
    yield GaugeMetricFamily(
        "biobridge_hrv_low_night_ratio",
        "Share of judged nights with z1 of -2 or less; 0.03 to 0.06 is expected.",
        value=found.low_share or 0.0,
    )
    yield GaugeMetricFamily(
        "biobridge_hrv_often_alerted_ratio",
        "Share of people with more than two HIGH or CRITICAL alerts in 30 nights.",
        value=found.often_share or 0.0,
    )
