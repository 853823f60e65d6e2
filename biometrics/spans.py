"""The half of `tracing` that needs OpenTelemetry; imported only while it is on.

The provider is this process's own and made at its first span: after a fork, never before.
OpenTelemetry's variables (OTEL_EXPORTER_OTLP_*, OTEL_TRACES_SAMPLER, OTEL_BSP_*,
OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES) mean what they mean everywhere.
"""

from __future__ import annotations

import threading

from django.conf import settings
from opentelemetry.sdk.resources import SERVICE_NAME, OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    ConsoleSpanExporter,
    SpanExporter,
)
from opentelemetry.trace import Span as Under
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

_STOP_S = 3.0
_KINDS = {
    "intake": SpanKind.SERVER,
    "process": SpanKind.CONSUMER,
    "publish": SpanKind.PRODUCER,
}
_w3c = TraceContextTextMapPropagator()
_lock = threading.Lock()
_provider: TracerProvider | None = None


class OpenSpan:
    """A span of OpenTelemetry's, without its stack of current ones."""

    def __init__(self, under: Under) -> None:
        self._under = under
        found = under.get_span_context()
        self.traceparent = (
            f"00-{found.trace_id:032x}-{found.span_id:016x}-{found.trace_flags:02x}"
        )

    def end(self, *, error: str = "", **attributes: str | int) -> None:
        """Say how it went."""
        for name, value in attributes.items():
            self._under.set_attribute(f"biobridge.{name}", value)
        if error:
            self._under.set_attribute("error.type", error)
            self._under.set_status(Status(StatusCode.ERROR))
        self._under.end()


def begin(name: str, *, traceparent: str, since: int | None = None) -> OpenSpan:
    """Begin a span, at `since` (nanoseconds of the epoch) or now."""
    tracer = _current().get_tracer("biobridge")
    return OpenSpan(
        tracer.start_span(
            name,
            context=_w3c.extract({"traceparent": traceparent}),
            kind=_KINDS.get(name, SpanKind.INTERNAL),
            start_time=since,
        )
    )


def stop() -> None:
    """Hand over what waits, for _STOP_S at most: a collector may be away."""
    global _provider
    with _lock:
        ended, _provider = _provider, None
    if ended is not None:
        ending = threading.Thread(target=ended.shutdown, daemon=True)
        ending.start()
        ending.join(_STOP_S)


def _current() -> TracerProvider:
    global _provider  # noqa: PLW0603 - one per process
    if _provider is None:
        with _lock:
            if _provider is None:
                _provider = _made()
    return _provider


def _made() -> TracerProvider:
    named = Resource({SERVICE_NAME: "biometric-bridge"})
    # Whoever ends this process calls `stop`; at exit it may be too late for threads.
    provider = TracerProvider(
        resource=named.merge(OTELResourceDetector().detect()), shutdown_on_exit=False
    )
    exporter = exporter_of(settings.OTEL_TRACES_EXPORTER)
    if exporter is not None:
        provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider


def exporter_of(name: str) -> SpanExporter | None:
    """Return what OTEL_TRACES_EXPORTER names; None for `none`."""
    if name == "console":
        return ConsoleSpanExporter()
    if name == "none":
        return None
    # Brings its own HTTP client, which the console has no use for.
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415
        OTLPSpanExporter,
    )

    return OTLPSpanExporter()
