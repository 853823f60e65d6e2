"""What Oura answers about subscriptions, whatever it answers."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from biometrics.errors import UnreadableDeliveryError
from biometrics.vendors.oura.subscriptions import OuraSubscribing
from biometrics.vendors.subscriptions import Subscription
from tests.vendors.mutations import mutated

OURA = OuraSubscribing()
ROW = {
    "id": "5d3fe17b-f880-4d93-b9b6-afbfb76c1e78",
    "callback_url": "https://bridge.example.org/webhooks/oura",
    "event_type": "update",
    "data_type": "sleep",
    "expiration_time": "2026-11-10T09:00:00.000000",
}


def test_an_end_without_an_offset_is_utc() -> None:
    (one,) = OURA.read_list(json.dumps([ROW]).encode())
    assert one.expires_at == datetime(2026, 11, 10, 9, tzinfo=UTC)
    assert one.topic == ("update", "sleep")


@pytest.mark.parametrize(
    "written",
    [None, 5, "", "soon", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"],
)
def test_an_end_that_is_none_is_not_known(written: object) -> None:
    row = ROW | {"expiration_time": written}
    assert OURA.read_one(json.dumps(row).encode()).expires_at is None


def assert_usable(one: Subscription) -> None:
    """Assert that it can be called by its id, noted in a table, and put in order."""
    for call in (OURA.renewing(one), OURA.ending(one)):
        assert call.path.isascii()
        assert " " not in call.path
    for said in (one.remote_id, one.callback_url, *one.topic):
        assert 0 < len(said) <= 500
        assert "\x00" not in said
    # One of 1970 is 0.0, which is a time as any other.
    assert one.expires_at is None or isinstance(one.expires_at.timestamp(), float)


@given(data=st.data())
def test_no_mutation_of_an_answer_is_anything_but_unreadable(
    data: st.DataObject,
) -> None:
    several = data.draw(mutated(json.dumps([ROW, ROW]).encode()), label="list")
    single = data.draw(mutated(json.dumps(ROW).encode()), label="one")
    for read, body in (
        (OURA.read_list, several),
        (lambda b: [OURA.read_one(b)], single),
    ):
        with suppress(UnreadableDeliveryError):
            for one in read(body):
                assert_usable(one)
