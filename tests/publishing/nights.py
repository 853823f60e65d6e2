"""A night, an alert and what becomes of them on the wire."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import orjson

from biometrics.catalogue import Metric
from biometrics.messages import NewMessage
from biometrics.publishing.envelope import (
    AlertChange,
    alert_message,
    connection_message,
    event_messages,
    subject_erased_message,
)
from biometrics.vendors.records import ReadingValue, Record, Series

PERSON = UUID("0d5c2c1e-6f0b-4d43-9f0e-3f4a7f0f3d11")
EVENT = UUID("aaaaaaaa-0000-4000-8000-000000000001")
ALERT = UUID("bbbbbbbb-0000-4000-8000-000000000001")
STAMP = datetime(2026, 11, 20, 6, 1, 2, tzinfo=UTC)
BEDTIME = datetime(2026, 11, 19, 22, 10, tzinfo=UTC)
SLEEP = Record(
    record_type="sleep",
    record_id="8f9a5221-639e-4a85-81cb-4065ef23f979",
    action="updated",
    stamp=STAMP,
    start=BEDTIME,
    end=BEDTIME + timedelta(hours=7, minutes=30),
    zone_offset="+01:00",
    local_date=date(2026, 11, 20),
    readings=(
        ReadingValue(metric=Metric.HRV_RMSSD, value=38.0, context="sleep"),
        ReadingValue(metric=Metric.RESTING_HEART_RATE, value=52.0),
    ),
    series=(
        Series(
            metric=Metric.HEART_RATE,
            start=BEDTIME,
            interval_s=300.0,
            values=(61.0, 58.0, None, 55.0),
        ),
    ),
)
ASSESSMENT = {
    "severity": "MEDIUM",
    "reasons": ["M1_z<=-1.5"],
    "baseline_ms": 54.8,
    "range_ms": [46.9, 64.0],
    "z1": -2.36,
    "nights": 41,
    "ruleset": "hrv-1",
}

EVIDENCE = {
    "night": "2026-11-20",
    "kind": "RMSSD",
    "series_id": "RMSSD:oura:ring",
    "state": "ACTIVE",
    "severity": "CRITICAL",
    "ruleset": "hrv-1",
    "reasons": ["H5_z<=-3.0", "C1"],
    "nights": 41,
    "low_nights": 1,
    "value_ms": 20.0,
    "baseline_ms": 54.8,
    "range_ms": [46.9, 64.0],
    "z1": -5.42,
    "z7": None,
    "cv7": None,
    "limit_ms": None,
    "corroborators": [],
    "threshold_offset": 0.0,
    "label": "Low",
    "message": "Low.",
    "disclaimer": "No medical device.",
}


def told(record: Record = SLEEP, **given: Any) -> list[NewMessage]:
    return event_messages(
        event_id=EVENT,
        subject=PERSON,
        vendor="oura",
        topic="biometric-events",
        record=record,
        **{"max_bytes": 900_000, **given},
    )


def value(message: NewMessage) -> Any:
    return orjson.loads(message.value)


def alert(**given: Any) -> NewMessage:
    topic = given.pop("topic", "biometric-alerts")
    change = AlertChange(
        **{
            "kind": "raised",
            "alert_id": ALERT,
            "revision": 2,
            "subject": PERSON,
            "vendor": "oura",
            "night": date(2026, 11, 20),
            "severity": "CRITICAL",
            "priority": "HIGH",
            "reasons": ["H5_z<=-3.0", "C1"],
            "ruleset": "hrv-1",
            "evidence": EVIDENCE,
            "time": STAMP,
            **given,
        }
    )
    return alert_message(change, topic=topic)


def connection() -> NewMessage:
    return connection_message(
        change="relinked",
        change_id=EVENT,
        subject=PERSON,
        vendor="whoop",
        topic="biometric-events",
        reason="staff",
        time=STAMP,
        former_subject=ALERT,
    )


def erased() -> NewMessage:
    return subject_erased_message(subject=PERSON, topic="biometric-events", time=STAMP)
