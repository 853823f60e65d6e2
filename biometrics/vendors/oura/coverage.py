"""What Oura's tables cover."""

from __future__ import annotations

from collections.abc import Iterator

from biometrics.catalogue import Metric
from biometrics.vendors.coverage import SAMPLES, Covered
from biometrics.vendors.fields import covered
from biometrics.vendors.oura.mapping import KINDS, MAIN_SLEEP


def _rows() -> Iterator[Covered]:
    for kind in KINDS.values():
        yield from covered(kind.fields, record_type=kind.record_type)
        if kind.record_type == "sleep":
            method = "as sent, of the main sleep"
            yield from covered(MAIN_SLEEP, record_type="sleep", method=method)
        for row in kind.series:
            padding = (
                "" if row.padding is None else f", without {row.padding:g} at the end"
            )
            yield Covered(
                record_type=kind.record_type,
                field=f"{row.path}.items",
                metric=row.metric,
                form="series",
                method=SAMPLES + padding,
                context=row.context,
            )
    yield Covered(
        record_type="heart_rate",
        field="bpm",
        metric=Metric.HEART_RATE,
        form="series",
        method="samples, a series for each `source`",
    )


COVERAGE = tuple(_rows())
