"""What a record says, independent of when its delivery came."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import orjson

from biometrics.normalise.content import state
from biometrics.normalise.understanding import understand
from biometrics.vendors.records import Record
from biometrics.vendors.registry import get_adapter
from biometrics.vendors.wire import ApiResponse, StoredDelivery

RECEIVED = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)


def record(stamp: datetime) -> Record:
    return Record(
        record_type="sleep", record_id="night-1", action="updated", stamp=stamp
    )


def test_a_stamp_from_the_future_is_lowered_and_told() -> None:
    ahead = RECEIVED + timedelta(days=3)
    statement = state(record(ahead), known_at=RECEIVED)
    assert statement.record.stamp == RECEIVED
    assert [p.field for p in statement.record.problems] == ["stamp"]


def test_a_document_fetched_days_after_the_notification_keeps_its_stamp() -> None:
    fetched_at = RECEIVED + timedelta(days=3)
    notice = {
        "event_type": "update",
        "data_type": "daily_sleep",
        "object_id": "object-1",
        "event_time": "2026-11-20T07:59:00+00:00",
        "user_id": "user-1",
    }
    document = {"id": "object-1", "day": "2026-11-20", "score": 81, "contributors": {}}
    stored = StoredDelivery(
        vendor="oura",
        account_id="user-1",
        event_type="daily_sleep.update",
        headers={},
        body=orjson.dumps(notice),
        received_at=RECEIVED,
        documents=[
            ApiResponse(
                url="/v2/usercollection/daily_sleep/object-1",
                status=200,
                body=orjson.dumps(document),
                fetched_at=fetched_at,
            )
        ],
    )
    understood = understand(stored, adapter=get_adapter("oura"))
    (statement,) = understood.statements
    assert statement.record.stamp == fetched_at
    assert not statement.record.problems
