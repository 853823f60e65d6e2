"""What Oura's collections mean when they are read as lists."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from typing import Any

from biometrics.catalogue import Metric
from biometrics.vendors.oura.documents import build_record
from biometrics.vendors.oura.lists import records_from_documents
from biometrics.vendors.records import Record, Series
from tests.vendors.deliveries import NOW, fixture
from tests.vendors.oura_documents import load
from tests.vendors.said import problems, readings, times


def test_personal_info_keeps_no_name_no_address_and_no_account() -> None:
    document = json.loads(fixture("oura", "api_personal_info.json"))
    record = build_record(
        data_type="personal_info", document=document, stamp=NOW, action="created"
    )

    assert (record.record_type, record.record_id) == ("profile", "profile")
    assert readings(record) == {"weight": 74.8, "height": 1.8}
    assert record.attributes == {"age": 31, "biological_sex": "male"}
    assert "example.com" not in str(record)
    assert document["id"] not in str(record)


def test_backfilled_documents_are_the_records_that_webhooks_bring() -> None:
    rows = [
        *load("community_api_sleep_page1_mcp.json"),
        *load("community_api_sleep_page2_mcp.json"),
    ]
    records = records_from_documents(
        data_type="sleep", documents=rows, stamp=NOW, action="updated"
    )

    assert [r.record_id[-1] for r in records] == ["1", "2"]
    assert [r.local_date for r in records] == [date(2026, 8, 10), date(2026, 8, 11)]


def _heart_rate(rows: list[dict[str, Any]]) -> tuple[Record, ...]:
    return records_from_documents(
        data_type="heartrate", documents=rows, stamp=NOW, action="created"
    )


def test_heart_rate_rows_become_a_record_a_day_and_a_series_a_source() -> None:
    first, second = _heart_rate(load("community_api_heartrate_mcp.json")[::-1])

    assert (first.record_type, first.record_id) == ("heart_rate", "2026-08-10")
    assert times(first) == (
        "2026-08-10T02:00:00-07:00",
        "2026-08-10T17:10:00-07:00",
        "-07:00",
        "2026-08-10",
    )
    assert [(s.context, s.values, s.offsets_s) for s in first.series] == [
        ("awake", (62.0, 70.0), (0.0, 1800.0)),
        ("sleep", (48.0, 46.0), (0.0, 300.0)),
        ("workout", (128.0,), (0.0,)),
    ]
    assert second.record_id == "2026-08-11"
    assert [(s.context, s.values) for s in second.series] == [
        ("awake", (66.0,)),
        ("sleep", (52.0,)),
    ]


def test_the_official_heart_rate_row() -> None:
    (record,) = _heart_rate(load("api_heartrate.json"))

    assert record.series == (
        Series(
            metric=Metric.HEART_RATE,
            start=datetime(2021, 1, 1, 1, 2, 3, tzinfo=UTC),
            values=(60.0,),
            offsets_s=(0.0,),
            context="sleep",
        ),
    )


def test_bad_heart_rate_rows_cost_nothing_else() -> None:
    (good,) = load("api_heartrate.json")
    rows: list[Any] = [
        good,
        good,
        good | {"bpm": 0, "timestamp": "2021-01-01T02:00:00+00:00"},
        good | {"timestamp": "soon"},
        good | {"source": "\x00", "timestamp": "2021-01-01T03:00:00+00:00"},
        "row",
    ]
    (record,) = _heart_rate(rows)

    assert [(s.context, s.values) for s in record.series] == [
        (None, (60.0,)),
        ("sleep", (60.0,)),
    ]
    assert problems(record) == ["bpm", "timestamp"]
