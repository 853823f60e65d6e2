"""A published value holds all that is needed to make its record again."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from uuid import UUID

import orjson
from hypothesis import given
from hypothesis import strategies as st

from biometrics.catalogue import Metric
from biometrics.publishing.values import record_of, record_value
from biometrics.vendors.records import ReadingValue, Record, Series

START = datetime(2000, 1, 1, tzinfo=UTC)
STAMP = datetime(2026, 11, 24, 8, tzinfo=UTC)
numbers = st.integers(-(10**9), 10**9).map(lambda number: number / 10**6)
metrics = st.sampled_from(Metric)
contexts = st.none() | st.sampled_from(["watch", "resting:phone"])


@st.composite
def records(draw: st.DrawFn) -> Record:
    """Return a record with an offset, or with wall times marked as UTC."""
    minutes = draw(st.none() | st.integers(-12 * 60, 14 * 60))
    zone = UTC if minutes is None else timezone(timedelta(minutes=minutes))
    sign = "-" if (minutes or 0) < 0 else "+"
    hours, rest = divmod(abs(minutes or 0), 60)
    moments = st.integers(0, 10**9).map(
        lambda seconds: (START + timedelta(seconds=seconds)).astimezone(zone)
    )
    values = tuple(draw(st.lists(st.none() | numbers, max_size=5)))
    is_regular = draw(st.booleans())
    series = Series(
        metric=draw(metrics),
        start=draw(moments),
        values=values,
        interval_s=draw(st.integers(1, 600)) if is_regular else None,
        offsets_s=None if is_regular else tuple(map(float, range(len(values)))),
        context=draw(contexts),
    )
    readings = draw(
        st.lists(
            st.builds(ReadingValue, metric=metrics, value=numbers, context=contexts)
        )
    )
    return Record(
        record_type="samples",
        record_id=draw(st.text("abc:", min_size=1)),
        action="updated",
        stamp=STAMP,
        start=draw(st.none() | moments),
        end=draw(st.none() | moments),
        zone_offset=None if minutes is None else f"{sign}{hours:02d}:{rest:02d}",
        local_date=draw(st.none() | st.dates(date(2020, 1, 1), date(2030, 1, 1))),
        readings=tuple(readings),
        series=(series,),
        attributes=draw(st.dictionaries(st.sampled_from("ab"), st.text("xy"))),
    )


@given(record=records(), later=st.integers(0, 10))
def test_a_record_comes_back_from_what_was_published(
    record: Record, later: int
) -> None:
    value = record_value(subject=UUID(int=1), vendor="acme", record=record)
    stamp = STAMP + timedelta(hours=later)
    assert record_of(orjson.loads(orjson.dumps(value)), stamp=stamp) == replace(
        record, stamp=stamp
    )
