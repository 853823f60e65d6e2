"""Spans of a delivery's whole way, joined by the traceparent that is kept anyway."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from uuid import uuid4

import orjson
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
)
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pytest_django.fixtures import Settings

from biometrics import pipeline, spans, tracing
from biometrics.models import OutboxMessage, WebhookDelivery
from biometrics.publishing import topics
from biometrics.publishing.choosing import Limits
from biometrics.publishing.producers.memory import MemoryBroker, MemoryCluster
from biometrics.publishing.relay import Relay
from tests.bridge import RunningBridge
from tests.intake.attacked import ROOT
from tests.publishing.world import NoBreaker

SENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture
def exported(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> Iterator[InMemorySpanExporter]:
    """Turn tracing on, with an exporter that keeps what it is given."""
    kept = InMemorySpanExporter()

    def exporter_of(_name: str) -> SpanExporter:
        return kept

    monkeypatch.setattr(spans, "exporter_of", exporter_of)
    settings.AUREN_TRACING = True
    yield kept
    tracing.stop()


def finished(exported: InMemorySpanExporter) -> dict[str, ReadableSpan]:
    """Hand over what waits, and return the spans by name; each came once."""
    tracing.stop()
    found = exported.get_finished_spans()
    assert len({span.name for span in found}) == len(found)
    return {span.name: span for span in found}


def deliver(bridge: RunningBridge, **headers: str) -> int:
    body = {
        "type": "body",
        "user": {"user_id": str(uuid4()), "provider": "GARMIN"},
        "data": [
            {
                "metadata": {
                    "start_time": "2026-11-20T06:00:00+00:00",
                    "end_time": "2026-11-20T06:10:00+00:00",
                },
                "heart_data": {"heart_rate_data": {"summary": {"avg_hr_bpm": 60}}},
            }
        ],
    }
    return bridge.deliver("terra", orjson.dumps(body), headers=headers).status


def work_and_publish() -> MemoryBroker:
    """Do what workers do, with a broker in memory."""

    def now() -> datetime:
        return datetime.now(tz=UTC)

    for shard in pipeline.due_process_shards(now=now()):
        pipeline.process_shard(shard=shard, now=now, budget_s=60)
    broker = MemoryBroker(max_bytes=1_000_000)
    relay = Relay(
        cluster=MemoryCluster(broker),
        breaker=NoBreaker(),
        limits=Limits(messages=500, value_bytes=2**25),
        topics=frozenset(spec.name for spec in topics.declared()),
        transactional=True,
    )
    for shard in set(OutboxMessage.objects.values_list("shard", flat=True)):
        relay.publish(shard=shard, now=now, deadline=time.monotonic() + 5)
    assert set(OutboxMessage.objects.values_list("status", flat=True)) == {"published"}
    return broker


def records(broker: MemoryBroker) -> list[dict[str, bytes]]:
    return [
        dict(stored.record.headers)
        for stored_ones in broker.partitions.values()
        for stored in stored_ones
    ]


def ids(span: ReadableSpan) -> tuple[int, int, int]:
    own = span.get_span_context()
    assert own is not None
    return own.trace_id, own.span_id, span.parent.span_id if span.parent else 0


def test_a_delivery_has_one_trace_from_the_request_to_its_record(
    exported: InMemorySpanExporter, bridge: RunningBridge
) -> None:
    assert deliver(bridge) == 200
    broker = work_and_publish()
    # The connection that came to be is told of, too.
    told = [one["traceparent"].decode() for one in records(broker)]
    tracing.stop()
    found = exported.get_finished_spans()
    assert {span.name for span in found} == {"intake", "store", "process", "publish"}
    (intake,) = [span for span in found if span.name == "intake"]
    trace_id, span_id, parent_id = ids(intake)
    assert parent_id == 0
    for span in found:
        if span is not intake:
            assert ids(span)[0] == trace_id
            assert ids(span)[2] == span_id
    assert {one[:52] for one in told} == {f"00-{trace_id:032x}-{span_id:016x}"}
    assert WebhookDelivery.objects.get().traceparent == told[0]


def test_a_senders_own_trace_goes_on_and_is_kept_as_it_came(
    exported: InMemorySpanExporter, bridge: RunningBridge
) -> None:
    assert deliver(bridge, traceparent=SENT) == 200
    broker = work_and_publish()
    tracing.stop()
    for span in exported.get_finished_spans():
        assert f"{ids(span)[0]:032x}" == SENT.split("-")[1]
        assert f"{ids(span)[2]:016x}" == SENT.split("-")[2]
    assert {one["traceparent"].decode() for one in records(broker)} == {SENT}


@pytest.mark.parametrize(
    "invalid",
    [f"00-{'0' * 32}-{'1' * 16}-01", f"00-{'1' * 32}-{'0' * 16}-01", "ff" + SENT[2:]],
)
def test_a_trace_that_names_nothing_is_not_kept(
    bridge: RunningBridge, db: None, invalid: str
) -> None:
    assert deliver(bridge, traceparent=invalid) == 200
    assert WebhookDelivery.objects.get().traceparent == ""


def test_a_refused_request_says_why_and_names_nobody(
    exported: InMemorySpanExporter, bridge: RunningBridge
) -> None:
    assert bridge.request("POST", "/webhooks/terra", body=b"{}").status == 401
    span = finished(exported)["intake"]
    assert dict(span.attributes or {}) == {
        "biobridge.vendor": "terra",
        "error.type": "SignatureError",
    }
    assert not span.events


def test_spans_hold_neither_people_nor_values(
    exported: InMemorySpanExporter, bridge: RunningBridge
) -> None:
    deliver(bridge)
    work_and_publish()
    tracing.stop()
    names = {
        name for span in exported.get_finished_spans() for name in span.attributes or {}
    }
    assert names == {
        f"biobridge.{name}"
        for name in ("vendor", "outcome", "topic", "partition", "offset")
    }


def run(code: str, **changes: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", f"import django\ndjango.setup()\n{code}"],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
        cwd=ROOT,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings", **changes},
    )
    return done.stdout


USED = """
from biometrics import tracing
import auren.asgi, auren.celery, biometrics.tasks, sys
span = tracing.begin("intake")
tracing.record("store", since=tracing.clock(), traceparent=span.traceparent or "{sent}")
span.end(vendor="terra", outcome="accepted")
tracing.stop()
# redis-py imports the API where it is installed, for its own metrics.
mine = ("biometrics.spans", "opentelemetry.sdk.trace", "opentelemetry.exporter")
print(*sorted(name for name in sys.modules if name.startswith(mine))[:3])
"""


def test_off_nothing_of_it_is_imported() -> None:
    assert run(USED.replace("{sent}", SENT), AUREN_TRACING="false").strip() == ""


def test_the_console_shows_spans_as_the_standard_variables_say() -> None:
    said = run(
        USED.replace("{sent}", SENT),
        AUREN_TRACING="true",
        OTEL_TRACES_EXPORTER="console",
        OTEL_SERVICE_NAME="of-the-test",
        OTEL_RESOURCE_ATTRIBUTES="deployment.environment=tests",
    )
    assert '"name": "intake"' in said
    assert '"service.name": "of-the-test"' in said
    assert '"deployment.environment": "tests"' in said
    assert "biometrics.spans opentelemetry.sdk.trace" in said


class Collector(ThreadingHTTPServer):
    """Takes what an exporter sends over OTLP."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, bytes]] = []
        super().__init__(("127.0.0.1", 0), _Taking)


class _Taking(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        assert isinstance(self.server, Collector)
        self.server.taken.append((self.path, body))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_args: object) -> None:
        """Keep the test's output quiet."""


def test_otlp_reaches_the_endpoint_before_the_process_ends() -> None:
    collector = Collector()
    serving = threading.Thread(target=collector.serve_forever)
    serving.start()
    try:
        run(
            USED.replace("{sent}", SENT),
            AUREN_TRACING="true",
            OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{collector.server_port}",
        )
    finally:
        collector.shutdown()
        serving.join()
        collector.server_close()
    ((path, body),) = collector.taken
    assert path == "/v1/traces"
    found = ExportTraceServiceRequest.FromString(body)
    names = {
        span.name
        for resource in found.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    }
    assert names == {"intake", "store"}


def test_a_collector_that_is_away_stops_nobody() -> None:
    """The process goes on, and ends well."""
    run(
        USED.replace("{sent}", SENT),
        AUREN_TRACING="true",
        OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1",
    )
