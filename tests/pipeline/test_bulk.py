"""Rows come back as they went in, on both databases."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime
from typing import Any
from uuid import uuid4

import pytest
from django.db import DatabaseError, transaction

from biometrics.models import HrvNight, Subject, WebhookDelivery, bulk
from tests.odd_texts import ODD_TEXTS

pytestmark = pytest.mark.django_db

AT = datetime(2026, 11, 20, 8, 0, 0, 250, tzinfo=UTC)
DELIVERY = (
    *("public_id", "vendor", "account_id", "dedupe_key", "shard", "origin", "body"),
    *("headers", "received_at", "status", "next_attempt_at", "error"),
    *("reference", "event_type", "traceparent", "trace", "secret_slot", "attempts"),
    "error_code",
)
NIGHT = (
    *("subject_id", "series_id", "kind", "night", "event_id", "record_id", "is_main"),
    *("sleep_s", "value_ms", "z1", "revision_stamp", "severity", "verdict", "ruleset"),
    "updated_at",
)


def delivery(number: int, text: str) -> dict[str, Any]:
    return {
        **dict.fromkeys(DELIVERY, ""),
        "public_id": uuid4(),
        "vendor": "terra",
        "account_id": text,
        "dedupe_key": f"{number}|{text}",
        "shard": number,
        "origin": "webhook",
        "body": None if number % 2 else bytes(range(256)) + text.encode(),
        "headers": {"user-agent": text, text: [None, 1.5, True]},
        "received_at": AT,
        "status": "pending",
        "next_attempt_at": AT if number % 2 else None,
        "error": text,
        "secret_slot": 0,
        "attempts": 0,
    }


def night(subject: Subject, number: int, value: float | None) -> dict[str, Any]:
    return {
        "subject_id": subject.pk,
        "series_id": "rmssd:oura:ring",
        "kind": "rmssd",
        "night": date(2024, 2, 29 - number),
        "event_id": None,
        "record_id": "r",
        "is_main": number % 2 == 0,
        "sleep_s": value,
        "value_ms": None,
        "z1": value,
        "revision_stamp": AT,
        "severity": "NORMAL",
        "verdict": {"z1": None if value is None else 0.1},
        "ruleset": "",
        "updated_at": AT,
    }


def write(model: Any, columns: tuple[str, ...], rows: list[dict[str, Any]]) -> None:
    bulk.insert(
        model, columns=columns, rows=[[row[name] for name in columns] for row in rows]
    )


def read(model: Any, columns: tuple[str, ...]) -> list[dict[str, Any]]:
    found = list(model.objects.order_by("id").values(*columns))
    for row in found:
        if row.get("body") is not None:
            row["body"] = bytes(row["body"])
    return found


def test_texts_bytes_and_json_come_back_as_they_went_in() -> None:
    rows = [delivery(number, text) for number, text in enumerate(ODD_TEXTS)]
    write(WebhookDelivery, DELIVERY, rows)
    assert read(WebhookDelivery, DELIVERY) == rows


def test_numbers_dates_and_truth_values_come_back_as_they_went_in() -> None:
    subject = Subject.objects.create()
    values = [None, 0.1, -1e-300, 1.7976931348623157e308, 0.1 + 0.2, math.pi]
    rows = [night(subject, number, value) for number, value in enumerate(values)]
    write(HrvNight, NIGHT, rows)
    assert read(HrvNight, NIGHT) == rows


def test_values_are_replaced_by_their_keys() -> None:
    write(
        WebhookDelivery,
        DELIVERY,
        [delivery(n, text) for n, text in enumerate(ODD_TEXTS)],
    )
    ids = list(WebhookDelivery.objects.order_by("id").values_list("id", flat=True))
    changed = list(reversed(ODD_TEXTS))
    bulk.update(
        WebhookDelivery,
        columns=("error", "next_attempt_at", "headers"),
        rows=[
            (pk, text, None, {text: text})
            for pk, text in zip(ids, changed, strict=True)
        ],
    )
    found = WebhookDelivery.objects.order_by("id").values_list(
        "error", "next_attempt_at", "headers"
    )
    assert list(found) == [(text, None, {text: text}) for text in changed]


def test_a_text_that_is_too_long_is_refused_rather_than_cut() -> None:
    row = {**delivery(0, "a"), "status": "x" * 40}
    with pytest.raises(DatabaseError), transaction.atomic():
        write(WebhookDelivery, DELIVERY, [row])
    assert not WebhookDelivery.objects.exists()
