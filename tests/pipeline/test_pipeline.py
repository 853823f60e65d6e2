"""Steps 4 to 7: what is stored becomes events, readings and messages, once."""

from __future__ import annotations

from uuid import uuid4

import pytest
from pytest_django.fixtures import Settings

from biometrics.models import (
    BiometricEvent,
    OutboxMessage,
    Reading,
    Subject,
    VendorConnection,
)
from biometrics.models.events import EventStatus
from tests.pipeline.world import PROCESSED, World, record, says, sent, states, value

STEPS = {"steps": 4000.0}


def readings() -> dict[str, float]:
    return dict(Reading.objects.values_list("metric", "value"))


class TestFlow:
    def test_a_record_becomes_an_event_its_readings_and_a_message(
        self, world: World
    ) -> None:
        delivery = world.carry(
            says(record(type="daily_activity", date="2026-11-23", readings=STEPS))
        )
        assert delivery.status == PROCESSED
        assert delivery.unfinished == 0
        event = BiometricEvent.objects.get()
        reading = Reading.objects.get()
        (message,) = sent()
        assert event.delivery == delivery
        assert (reading.metric, reading.value, reading.unit) == (
            "steps",
            4000.0,
            "{steps}",
        )
        assert reading.event == event
        assert reading.subject == event.subject
        assert (message.ce_id, message.event_id) == (event.id, event.id)
        assert message.topic == "acme-events"
        assert message.subject == event.subject_id
        assert message.headers["ce_type"] == (
            "auren.biometric.daily_activity.updated.v1"
        )
        assert value(message) == event.data
        assert event.data["readings"] == [
            {"metric": "steps", "value": 4000, "unit": "{steps}"}
        ]

    def test_an_account_keeps_its_order(self, world: World) -> None:
        for n in range(20):
            world.store(says(record(f"r{n}", readings={"steps": n})))
        world.run()
        ids = [value(message)["record"]["id"] for message in sent()]
        assert ids == [f"r{n}" for n in range(20)]

    def test_the_outcome_names_the_shards_with_messages(self, world: World) -> None:
        world.store(says(record(readings=STEPS)))
        (outcome,) = world.run()
        (message,) = sent()
        assert outcome.publish_shards == {message.shard}
        assert outcome.urgent_shards == set()
        assert (outcome.deliveries, outcome.more_due) == (1, False)

    def test_a_spent_budget_leaves_the_rest_due(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("biometrics.pipeline._MAX_ROWS", 2)
        for n in range(5):
            world.store(says(record(f"r{n}")))
        (outcome,) = world.run(budget_s=0)
        assert (outcome.deliveries, outcome.more_due) == (2, True)
        (rest,) = world.run()
        assert (rest.deliveries, rest.more_due) == (3, False)

    def test_a_big_body_does_not_travel_with_others(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("biometrics.pipeline._MAX_BYTES", 600)
        world.store(says(record("small")))
        world.store(says(record("big", attributes={"note": "x" * 900})))
        (outcome,) = world.run(budget_s=0)
        assert (outcome.deliveries, outcome.more_due) == (1, True)
        world.run()
        assert states() == {"processed": 2}

    def test_problems_are_kept_on_the_event(self, world: World) -> None:
        problem = {"field": "steps", "reason": "implausible"}
        world.carry(says(record(problems=[problem])))
        assert BiometricEvent.objects.get().problems == [problem]

    def test_an_ignored_delivery_says_why(self, world: World) -> None:
        delivery = world.carry({"ignored": "a kind that nobody needs"})
        assert (delivery.status, delivery.error) == (
            "ignored",
            "a kind that nobody needs",
        )

    def test_a_long_series_is_split_over_messages_of_one_event(
        self, world: World, settings: Settings
    ) -> None:
        settings.KAFKA_MAX_EVENT_BYTES = 10_000
        series = {
            "metric": "heart_rate",
            "start": "2026-11-23T00:00:00+00:00",
            "interval_s": 60,
            "values": [60.5 + n % 7 for n in range(5000)],
        }
        world.carry(says(record(series=[series])))
        event = BiometricEvent.objects.get()
        messages = sent()
        assert len(messages) > 1
        assert {message.event_id for message in messages} == {event.id}
        parts = [v for m in messages for s in value(m)["series"] for v in s["values"]]
        assert parts == series["values"]
        assert event.data["series"][0]["values"] == series["values"]


class TestPeople:
    def test_an_unknown_account_of_a_pushing_vendor_becomes_a_person(
        self, world: World
    ) -> None:
        world.carry(says(record()))
        connection = VendorConnection.objects.get()
        assert (connection.vendor, connection.account_id) == ("acme", "someone")
        assert "someone" not in connection.subject.label

    def test_accounts_with_one_reference_are_one_person(self, world: World) -> None:
        for account in ("phone", "watch"):
            world.store(says(record()), account=account, reference="client-7")
        world.run()
        world.carry(says(record()), account="scale", reference="client-7")
        assert Subject.objects.count() == 1
        assert VendorConnection.objects.count() == 3

    def test_a_reference_that_is_a_persons_id_means_that_person(
        self, world: World
    ) -> None:
        subject = Subject.objects.create(label="Ada")
        world.carry(says(record()), reference=str(subject.id))
        world.carry(says(record()), account="other", reference=str(uuid4()))
        assert BiometricEvent.objects.filter(subject=subject).count() == 1
        assert Subject.objects.count() == 2

    def test_without_provisioning_it_waits_until_it_is_connected(
        self, world: World, settings: Settings
    ) -> None:
        settings.AUTO_PROVISION_SUBJECTS = False
        delivery = world.carry(says(record()))
        assert (delivery.status, delivery.error_code) == ("unlinked", "unlinked")
        assert not OutboxMessage.objects.exists()
        subject = Subject.objects.create(label="Ada")
        VendorConnection.objects.create(
            subject=subject, vendor="acme", account_id="someone"
        )
        world.run()
        delivery.refresh_from_db()
        assert (delivery.status, delivery.error) == (PROCESSED, "")
        assert BiometricEvent.objects.get().subject == subject

    def test_data_without_an_account_is_parked(self, world: World) -> None:
        delivery = world.carry(says(record()), account="")
        assert (delivery.status, delivery.error_code) == ("parked", "no_account")

    def test_the_end_of_an_unknown_connection_makes_nobody(self, world: World) -> None:
        change = {"change": "revoked", "reason": "deauth"}
        delivery = world.carry(says(changes=[change]))
        assert (delivery.status, delivery.error_code) == ("ignored", "unknown_account")
        assert not Subject.objects.exists()


class TestRevisions:
    def test_the_same_content_again_publishes_nothing(self, world: World) -> None:
        world.carry(says(record(readings=STEPS)))
        world.wait(hours=1)
        world.carry(says(record(readings=STEPS, stamp=world.now.isoformat())))
        assert BiometricEvent.objects.count() == 1
        assert len(sent()) == 1
        assert BiometricEvent.objects.get().revision_stamp == world.now

    def test_a_newer_revision_replaces_the_readings(self, world: World) -> None:
        world.carry(says(record(readings={"steps": 10, "distance": 7})))
        world.wait(hours=1)
        newer = record(readings={"steps": 20}, stamp=world.now.isoformat())
        world.carry(says(newer))
        assert readings() == {"steps": 20.0}
        statuses = BiometricEvent.objects.order_by("created_at")
        assert [event.status for event in statuses] == ["superseded", "current"]
        assert len(sent()) == 2

    def test_an_older_revision_changes_nothing(self, world: World) -> None:
        world.carry(says(record(readings={"steps": 20})))
        older = record(readings={"steps": 10}, stamp="2026-11-24T07:00:00+00:00")
        delivery = world.carry(says(older))
        assert delivery.status == PROCESSED
        assert readings() == {"steps": 20.0}
        assert len(sent()) == 1
        stale = BiometricEvent.objects.get(status=EventStatus.STALE)
        assert stale.delivery == delivery

    def test_a_confirmation_makes_what_lies_between_stale(self, world: World) -> None:
        first, between, last = (f"2026-11-24T0{h}:00:00+00:00" for h in (5, 6, 7))
        world.carry(says(record(readings={"steps": 1}, stamp=first)))
        world.carry(says(record(readings={"steps": 1}, stamp=last)))
        world.carry(says(record(readings={"steps": 2}, stamp=between)))
        assert readings() == {"steps": 1.0}

    def test_an_equal_stamp_with_other_content_wins_once(self, world: World) -> None:
        one, two = record(readings={"steps": 1}), record(readings={"steps": 2})
        for said in (one, two, one, two):
            world.carry(says(said))
        assert readings() == {"steps": 2.0}
        assert len(sent()) == 2

    def test_revisions_within_one_batch_are_told_in_order(self, world: World) -> None:
        world.carry(says(record(readings={"steps": 1})))
        for hour, steps in ((9, 2), (10, 3)):
            stamp = f"2026-11-24T{hour:02}:00:00+00:00"
            world.store(says(record(readings={"steps": steps}, stamp=stamp)))
        world.run()
        assert readings() == {"steps": 3.0}
        told = [value(message)["readings"][0]["value"] for message in sent()]
        assert told == [1, 2, 3]
        assert BiometricEvent.objects.filter(status="current").count() == 1

    def test_a_deletion_removes_the_readings_and_is_told(self, world: World) -> None:
        world.carry(says(record(readings=STEPS)))
        gone = record(action="deleted", stamp="2026-11-24T09:00:00+00:00")
        world.carry(says(gone))
        world.carry(says(gone))
        assert readings() == {}
        assert [m.event_type for m in sent()] == ["sleep.updated", "sleep.deleted"]
        world.carry(says(record(readings={"steps": 5})))
        assert readings() == {}

    def test_a_stamp_from_the_future_does_not_shut_later_ones_out(
        self, world: World
    ) -> None:
        world.carry(
            says(record(readings={"steps": 1}, stamp="2099-01-01T00:00:00+00:00"))
        )
        world.wait(hours=1)
        newer = record(readings={"steps": 2}, stamp=world.now.isoformat())
        world.carry(says(newer))
        assert readings() == {"steps": 2.0}

    def test_one_persons_record_is_not_anothers(self, world: World) -> None:
        for account in ("a", "b"):
            world.carry(says(record(readings=STEPS)), account=account)
        assert len({event.id for event in BiometricEvent.objects.all()}) == 2
        assert len(sent()) == 2
