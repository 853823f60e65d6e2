"""What Terra's tables cover."""

from __future__ import annotations

from collections.abc import Iterator

from biometrics.vendors.coverage import LAST_SAMPLE, SAMPLES, Covered, times
from biometrics.vendors.fields import covered
from biometrics.vendors.terra.mapping import READINGS
from biometrics.vendors.terra.series import SERIES


def _rows() -> Iterator[Covered]:
    for record_type, fields in READINGS.items():
        yield from covered(fields, record_type=record_type)
        for row in SERIES[record_type]:
            both = row.latest_is_reading
            yield Covered(
                record_type=record_type,
                field=f"{row.path}[].{row.key}",
                metric=row.metric,
                form="both" if both else "series",
                method=LAST_SAMPLE if both else SAMPLES,
                conversion=times(row.scale),
                context=row.context,
            )


COVERAGE = tuple(_rows())
