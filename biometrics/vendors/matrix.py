"""The coverage matrix and the mapping tables as Markdown, made from the code's tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from biometrics.catalogue import METRICS, Metric
from biometrics.vendors.base import VendorAdapter
from biometrics.vendors.coverage import Covered


def render(adapters: Sequence[VendorAdapter]) -> str:
    """Return metric by vendor, then each vendor's fields with method and conversion."""
    parts = ["## Metrics by vendor\n", _matrix(adapters)]
    for adapter in adapters:
        parts += [f"## Fields of {adapter.title}\n", _fields(adapter.coverage)]
    return "\n".join(parts)


def _matrix(adapters: Sequence[VendorAdapter]) -> str:
    titles = [adapter.title for adapter in adapters]
    return _table(
        ["Metric", "Unit", *titles],
        (
            [
                f"`{metric}`",
                f"`{spec.unit}`",
                *(_cell(adapter.coverage, metric) for adapter in adapters),
            ]
            for metric, spec in METRICS.items()
        ),
    )


def _cell(rows: Iterable[Covered], metric: Metric) -> str:
    """Name the record types that hold the metric, and how."""
    forms: dict[str, set[str]] = {}
    for row in rows:
        if row.metric == metric:
            said = {"reading", "series"} if row.form == "both" else {row.form}
            forms.setdefault(row.record_type, set()).update(said)
    return ", ".join(
        f"{kind} ({' and '.join(sorted(said))})" if "series" in said else kind
        for kind, said in forms.items()
    )


def _fields(rows: Iterable[Covered]) -> str:
    return _table(
        ["Record", "Field", "Metric", "Unit", "Context", "Method", "Conversion"],
        (
            [
                row.record_type,
                f"`{row.field}`",
                f"`{row.metric}`",
                f"`{METRICS[row.metric].unit}`",
                row.context or "",
                row.method,
                row.conversion,
            ]
            for row in rows
        ),
    )


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join(_lines(heads, rows)) + "\n"


def _lines(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(heads)} |"
    yield f"|{' --- |' * len(heads)}"
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', r'&#124;') for cell in row)} |"
