"""A document that its vendor had not finished is fetched again, and said once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from biometrics import ledger
from biometrics.models import BiometricEvent, OutboxMessage, WebhookDelivery
from tests.recovery.vendors import Vendors, published

MINUTES = timedelta(minutes=1)


def state(vendors: Vendors, key: str, state: str, **changes: Any) -> None:
    """Have the band know its sleep in this state, as of the vendor's present moment."""
    documents = vendors.world.vendors["whoop"].documents
    known = documents.get(account="4711", collection="sleep", key=key)
    assert known is not None
    body = {**known.body, "score_state": state, **changes}
    if state != "SCORED":
        body["score"] = None
    vendors.put("whoop", "sleep", key, known.at, body)


def pending(vendors: Vendors) -> str:
    """Return a sleep that was announced before it was scored."""
    vendors.connect("whoop")
    key = vendors.band(0)
    state(vendors, key, "PENDING_SCORE")
    vendors.webhook("sleep", key, vendor="whoop")
    vendors.run()
    return key


def scored(vendors: Vendors, key: str) -> None:
    at = vendors.now().isoformat()
    state(vendors, key, "SCORED", score={"respiratory_rate": 15.0}, updated_at=at)


def waiting() -> list[WebhookDelivery]:
    return list(WebhookDelivery.objects.filter(status="retrying"))


def current() -> dict[str, Any]:
    data: dict[str, Any] = BiometricEvent.objects.get(status="current").data
    return data


def asked(vendors: Vendors) -> int:
    counts = vendors.world.vendors["whoop"].requests
    return sum(n for line, n in counts.items() if "/activity/sleep" in line)


class TestPending:
    def test_it_is_kept_without_a_score_and_fetched_again(
        self, vendors: Vendors
    ) -> None:
        key = pending(vendors)
        assert current()["readings"] == []
        (again,) = waiting()
        assert (again.origin, again.error_code) == ("recovered", "unfinished")
        assert again.next_attempt_at == vendors.now() + 30 * MINUTES
        vendors.shift += 29 * MINUTES
        vendors.run()
        assert asked(vendors) == 1
        scored(vendors, key)
        vendors.shift += 2 * MINUTES
        vendors.run()
        assert [r["value"] for r in current()["readings"]] == [15.0]
        assert waiting() == []
        assert published() == ["sleep.created", "sleep.updated"]
        (line,) = ledger.balance(now=vendors.now(), hours=1).lines
        assert (line.recovered, line.silent_events) == (1, 0)

    def test_a_webhook_that_came_meanwhile_is_not_said_twice(
        self, vendors: Vendors
    ) -> None:
        key = pending(vendors)
        scored(vendors, key)
        vendors.webhook("sleep", key, vendor="whoop")
        vendors.run()
        count = OutboxMessage.objects.count()
        vendors.shift += 31 * MINUTES
        vendors.run()
        assert OutboxMessage.objects.count() == count == 2
        assert waiting() == []

    def test_it_is_asked_for_ever_more_seldom_and_then_given_up(
        self, vendors: Vendors
    ) -> None:
        pending(vendors)
        waits = []
        while rows := waiting():
            (again,) = rows
            assert again.next_attempt_at is not None
            waits.append((again.next_attempt_at - vendors.now()) // MINUTES)
            vendors.shift = again.next_attempt_at - vendors.world.clock()
            vendors.run()
        assert waits == [30, 60, 120, 240, 480, 960]
        assert asked(vendors) == 7
        # Nothing new was said in all that time.
        assert OutboxMessage.objects.count() == 1

    def test_a_repeated_run_asks_once(self, vendors: Vendors) -> None:
        pending(vendors)
        WebhookDelivery.objects.filter(origin="webhook").update(status="pending")
        vendors.run()
        assert len(waiting()) == 1

    def test_a_replay_long_after_asks_nobody(self, vendors: Vendors) -> None:
        pending(vendors)
        WebhookDelivery.objects.filter(origin="recovered").delete()
        vendors.shift += timedelta(days=3)
        WebhookDelivery.objects.filter(origin="webhook").update(status="pending")
        vendors.run()
        assert waiting() == []


@pytest.mark.parametrize("final", ["UNSCORABLE", "SCORED"])
def test_what_is_final_is_not_asked_for_again(vendors: Vendors, final: str) -> None:
    vendors.connect("whoop")
    key = vendors.band(0)
    state(vendors, key, final)
    vendors.webhook("sleep", key, vendor="whoop")
    vendors.run()
    assert waiting() == []
    assert current()["record"]["action"] == "created"
    said = BiometricEvent.objects.get().data["attributes"]
    assert said["score_state"] == final


def test_a_pending_recovery_is_asked_for_again_too(vendors: Vendors) -> None:
    vendors.connect("whoop")
    key = vendors.band(0)
    documents = vendors.world.vendors["whoop"].documents
    known = documents.get(account="4711", collection="recovery", key="1")
    assert known is not None
    body = {**known.body, "score_state": "PENDING_SCORE", "score": None}
    vendors.put("whoop", "recovery", "1", known.at, body)
    vendors.webhook("recovery", key, vendor="whoop")
    vendors.run()
    assert len(waiting()) == 1
