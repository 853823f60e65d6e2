"""What WHOOP's tables cover."""

from __future__ import annotations

from collections.abc import Iterator

from biometrics.catalogue import Metric
from biometrics.vendors.coverage import Covered, times
from biometrics.vendors.fields import covered
from biometrics.vendors.whoop.mapping import ASLEEP_STAGES, KINDS


def _rows() -> Iterator[Covered]:
    for kind in KINDS.values():
        yield from covered(kind.fields, record_type=kind.record_type)
    stages = [f for f in KINDS["sleep"].fields if f.metric in ASLEEP_STAGES]
    yield Covered(
        record_type="sleep",
        field=" + ".join(f.path.rpartition(".")[2] for f in stages),
        metric=Metric.SLEEP_DURATION,
        method="sum, when all are there",
        conversion=times(stages[0].scale),
    )


COVERAGE = tuple(_rows())
