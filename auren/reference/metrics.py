"""Every metric of the bridge, as the code declares it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from django.conf import settings
from prometheus_client.metrics import MetricWrapperBase

from auren.health import TableCollector
from biometrics import metrics as bridge_metrics
from resilience.metrics import meters

PREFIX = "biobridge_"
_SUFFIXES = {
    "counter": ("_total",),
    "histogram": ("_bucket", "_sum", "_count"),
    "gauge": ("",),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """One metric; `series` are the names under which Prometheus keeps it."""

    name: str
    kind: str
    text: str
    labels: tuple[str, ...]
    is_of_tables: bool

    @property
    def series(self) -> tuple[str, ...]:
        """Return the names of its samples."""
        return tuple(self.name + suffix for suffix in _SUFFIXES[self.kind])


def described() -> list[Described]:
    """Return all metrics by name; asks no service."""
    found = [*_counted(), *_read()]
    return sorted(found, key=lambda metric: metric.name)


def _counted() -> Iterator[Described]:
    circuits = meters(settings.RESILIENCE_METRIC_PREFIX)
    declared = [*vars(bridge_metrics).values(), *vars(circuits).values()]
    for metric in declared:
        if not isinstance(metric, MetricWrapperBase):
            continue
        (family,) = metric.describe()
        yield Described(
            name=family.name,
            kind=family.type,
            text=family.documentation,
            labels=tuple(metric._labelnames),  # noqa: SLF001 - the client has no getter
            is_of_tables=False,
        )


def _read() -> Iterator[Described]:
    for family in TableCollector().describe():
        yield Described(
            name=family.name,
            kind=family.type,
            text=family.documentation,
            labels=tuple(getattr(family, "_labelnames", ())),
            is_of_tables=True,
        )


def page() -> str:
    """Return docs/metrics.md."""
    lines = [
        "# Metrics",
        "",
        "Made by `manage.py reference` from the code. `/metrics` of the web process and, with",
        "`WORKER_METRICS_PORT`, of a worker host add up all processes that share",
        "`PROMETHEUS_MULTIPROC_DIR`. What is read from the tables is the same on every host:",
        "take its maximum, never its sum. No label holds an id but `breaker`, which numbers the",
        "webhooks to which staff have alerts sent (`alert-webhook:7`).",
        "",
        "| metric | kind | labels | meaning |",
        "|---|---|---|---|",
    ]
    for metric in described():
        name = metric.series[0] if metric.kind != "histogram" else metric.name
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        kind = f"{metric.kind}, tables" if metric.is_of_tables else metric.kind
        lines.append(f"| `{name}` | {kind} | {labels} | {metric.text} |")
    return "\n".join([*lines, ""])
