"""An example of every kind of record, made by the code that makes the real ones."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid5

import orjson

from biometrics.catalogue import Metric
from biometrics.messages import NewMessage
from biometrics.publishing.envelope import (
    AlertChange,
    AlertKind,
    alert_message,
    connection_message,
    event_messages,
    subject_erased_message,
)
from biometrics.publishing.event_types import CONNECTION_KINDS
from biometrics.publishing.headers import Severity
from biometrics.vendors.records import Action, JsonScalar, ReadingValue, Record, Series

_PERSON: Final = UUID("0d5c2c1e-6f0b-4d43-9f0e-3f4a7f0f3d11")
_FORMER: Final = UUID("5b1f7a52-7f0c-4e2b-8f4e-0a7c6d1e9b20")
_DAY: Final = date(2026, 11, 20)
_BEDTIME: Final = datetime(2026, 11, 19, 22, 10, tzinfo=UTC)
_NOON: Final = datetime(2026, 11, 20, 11, 0, tzinfo=UTC)
_STAMP: Final = datetime(2026, 11, 20, 18, 1, 2, tzinfo=UTC)
_NIGHT: Final = (_BEDTIME, timedelta(hours=7, minutes=30))
_HOUR: Final = (_NOON, timedelta(hours=1))
_ASSESSMENT: Final[Mapping[str, object]] = {
    "severity": "CRITICAL",
    "reasons": ["A1_rmssd<25"],
    "state": "ACTIVE",
    "baseline_ms": 54.8,
    "range_ms": [46.9, 64.0],
    "z1": -5.42,
    "z7": -1.13,
    "nights": 41,
    "ruleset": "hrv-1",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One record as consumers get it: all its headers, and its value."""

    ce_type: str
    headers: Mapping[str, str]
    value: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Said:
    """What the example of a record type says."""

    vendor: str
    readings: Mapping[Metric, float]
    attributes: Mapping[str, JsonScalar]
    span: tuple[datetime, timedelta] | None


def _said(
    vendor: str,
    readings: Mapping[Metric, float] | None = None,
    *,
    span: tuple[datetime, timedelta] | None = None,
    **attributes: JsonScalar,
) -> _Said:
    return _Said(
        vendor=vendor, readings=readings or {}, attributes=attributes, span=span
    )


_RECORDS: Final[Mapping[str, _Said]] = {
    "body": _said("terra", {Metric.WEIGHT: 71.3, Metric.BODY_FAT: 18.4}),
    "cycle": _said("whoop", {Metric.STRAIN_SCORE: 9.6}, score_state="SCORED"),
    "daily_activity": _said("oura", {Metric.STEPS: 9120, Metric.ACTIVE_ENERGY: 412}),
    "daily_cardiovascular_age": _said("oura", {Metric.VASCULAR_AGE: 38}),
    "daily_readiness": _said(
        "oura", {Metric.READINESS_SCORE: 62}, score_hrv_balance=41
    ),
    "daily_resilience": _said("oura", level="solid"),
    "daily_sleep": _said("oura", {Metric.SLEEP_SCORE: 71}, score_latency=80),
    "daily_spo2": _said("oura", {Metric.OXYGEN_SATURATION: 97.1}),
    "daily_stress": _said(
        "oura", {Metric.STRESS_DURATION: 5400}, day_summary="restored"
    ),
    "enhanced_tag": _said("oura", span=_HOUR, tag_type_code="tag_generic_sauna"),
    "heart_rate": _said("oura", span=_HOUR),
    "menstruation": _said("terra", provider="FITBIT"),
    "nutrition": _said("terra", {Metric.PROTEIN: 92, Metric.HYDRATION: 1850}),
    "profile": _said("whoop", {Metric.HEIGHT: 1.78}),
    "recovery": _said("whoop", {Metric.RECOVERY_SCORE: 34, Metric.HRV_RMSSD: 20.4}),
    "rest_mode_period": _said("oura", span=_HOUR),
    "ring_configuration": _said("oura", hardware_type="gen4", size=10),
    "samples": _said("healthkit", span=_HOUR),
    "session": _said("oura", {Metric.DURATION: 3600}, span=_HOUR, type="meditation"),
    "sleep": _said(
        "oura",
        {Metric.HRV_RMSSD: 20.4, Metric.SLEEP_DURATION: 23_400},
        span=_NIGHT,
        type="long_sleep",
    ),
    "sleep_time": _said("oura", recommendation="earlier_bedtime"),
    "tag": _said("oura", tags="tag_generic_nocaffeine"),
    "vo2_max": _said("oura", {Metric.VO2_MAX: 43.5}),
    "workout": _said(
        "healthkit",
        {Metric.DISTANCE: 8200, Metric.HEART_RATE_AVERAGE: 148},
        span=_HOUR,
        activity="running",
    ),
}
_ALERTS: Final[Mapping[AlertKind, Severity]] = {
    "raised": "HIGH",
    "upgraded": "CRITICAL",
    "downgraded": "HIGH",
    "retracted": "NORMAL",
    "resolved": "HIGH",
}


def examples(*, event_topic: str, alert_topic: str) -> dict[str, list[Example]]:
    """Return examples by the name of their schema, one at least for each kind.

    Every record type is created once; a sleep is also updated, deleted, and spread over
    several records.
    """
    found: defaultdict[str, list[Example]] = defaultdict(list)
    for name, message in _messages(event_topic, alert_topic):
        found[name].append(_example(message, number=sum(map(len, found.values())) + 1))
    return dict(found)


def _messages(events: str, alerts: str) -> Iterator[tuple[str, NewMessage]]:
    for record_type in _RECORDS:
        for message in _record(record_type, action="created", topic=events):
            yield "biometric-record", message
    later: tuple[Action, ...] = ("updated", "deleted")
    for action in later:
        for message in _record("sleep", action=action, topic=events):
            yield "biometric-record", message
    (whole,) = _record("samples", action="updated", topic=events)
    less = len(whole.value) - 1
    for part in _record("samples", action="updated", topic=events, max_bytes=less):
        yield "biometric-record", part
    for revision, (kind, severity) in enumerate(_ALERTS.items(), start=1):
        yield "hrv-alert", _alert(kind, severity, revision=revision, topic=alerts)
    for change in CONNECTION_KINDS:
        yield (
            "connection",
            connection_message(
                change=change,
                change_id=uuid5(_PERSON, change),
                subject=_PERSON,
                vendor="whoop",
                topic=events,
                reason="the person consented at the vendor",
                time=_STAMP,
                former_subject=_FORMER if change == "relinked" else None,
            ),
        )
    yield (
        "subject-erased",
        subject_erased_message(subject=_PERSON, topic=events, time=_STAMP),
    )


def _record(
    record_type: str, *, action: Action, topic: str, max_bytes: int = 900_000
) -> list[NewMessage]:
    said = _RECORDS[record_type]
    is_gone = action == "deleted"
    start, length = said.span or (None, timedelta(0))
    record = Record(
        record_type=record_type,
        record_id=f"example-{record_type}",
        action=action,
        stamp=_STAMP,
        start=None if is_gone else start,
        end=None if is_gone or start is None else start + length,
        zone_offset=None if is_gone else "+01:00",
        local_date=None if is_gone else _DAY,
        readings=() if is_gone else _readings(said),
        series=() if is_gone or start is None else (_heart_rate(start),),
        attributes={} if is_gone else said.attributes,
    )
    is_judged = record_type == "sleep" and not is_gone
    return event_messages(
        event_id=uuid5(_PERSON, f"{record_type} {action}"),
        subject=_PERSON,
        vendor=said.vendor,
        topic=topic,
        record=record,
        max_bytes=max_bytes,
        assessment=_ASSESSMENT if is_judged else None,
    )


def _readings(said: _Said) -> tuple[ReadingValue, ...]:
    return tuple(
        ReadingValue(metric=metric, value=value)
        for metric, value in said.readings.items()
    )


def _heart_rate(start: datetime) -> Series:
    if start == _BEDTIME:
        # The third sample is missing.
        values = (61.0, 58.0, None, 55.0)
        return Series(
            metric=Metric.HEART_RATE, start=start, interval_s=300.0, values=values
        )
    return Series(
        metric=Metric.HEART_RATE,
        start=start,
        offsets_s=tuple(float(12 * index) for index in range(20)),
        values=tuple(float(118 + 2 * index) for index in range(20)),
    )


def _alert(
    kind: AlertKind, severity: Severity, *, revision: int, topic: str
) -> NewMessage:
    reasons = [] if severity == "NORMAL" else ["A1_rmssd<25"]
    change = AlertChange(
        kind=kind,
        alert_id=uuid5(_PERSON, "alert"),
        revision=revision,
        subject=_PERSON,
        vendor="oura",
        night=_DAY,
        severity=severity,
        priority="HIGH" if kind in {"raised", "upgraded"} else "NORMAL",
        reasons=reasons,
        ruleset="hrv-1",
        evidence=_evidence(severity, reasons),
        time=_STAMP,
    )
    return alert_message(change, topic=topic)


def _evidence(severity: Severity, reasons: list[str]) -> dict[str, object]:
    label = "No alert" if severity == "NORMAL" else "Low value by a fixed limit"
    return {
        "night": _DAY.isoformat(),
        "kind": "RMSSD",
        "state": "ACTIVE",
        "severity": severity,
        "reasons": reasons,
        "value_ms": 52.1 if severity == "NORMAL" else 20.4,
        "baseline_ms": 54.8,
        "range_ms": [46.9, 64.0],
        "z1": -0.34 if severity == "NORMAL" else -5.42,
        "z7": -1.13,
        "cv7": 0.12,
        "nights": 41,
        "low_nights": 0 if severity == "NORMAL" else 1,
        "limit_ms": None if severity == "NORMAL" else 25,
        "corroborators": [
            {"signal": "RHR", "value": 58, "usual": 52, "delta": 6, "z": 2.4}
        ],
        "threshold_offset": 0,
        "ruleset": "hrv-1",
        "series_id": "RMSSD:oura:ring",
        "label": label,
        "message": f"{label}. Wellness information, not a diagnosis.",
        "disclaimer": "Wellness information, not a diagnosis.",
    }


def _example(message: NewMessage, *, number: int) -> Example:
    return Example(
        ce_type=message.headers["ce_type"],
        headers={**message.headers, "ce_sequence": f"{number:020d}"},
        value=orjson.loads(message.value),
    )
