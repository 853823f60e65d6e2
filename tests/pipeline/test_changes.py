"""What deliveries say about connections themselves."""

from __future__ import annotations

from typing import Any

import pytest

from biometrics.models import BiometricEvent, Subject, VendorConnection
from tests.pipeline.world import World, record, says, sent, value


def change(name: str, **more: Any) -> dict[str, Any]:
    return {"changes": [{"change": name, "reason": "the vendor says so", **more}]}


def connection(account: str = "someone") -> VendorConnection:
    return VendorConnection.objects.get(account_id=account)


class TestStates:
    def test_a_consent_makes_a_person_and_is_told(self, world: World) -> None:
        delivery = world.carry(change("connected"))
        (message,) = sent()
        assert delivery.status == "processed"
        assert connection().status == "active"
        assert message.event_type == "connection.connected"
        assert message.headers["ce_type"] == "auren.connection.connected.v1"
        assert message.subject == connection().subject_id

    def test_a_repeated_consent_is_not_told_again(self, world: World) -> None:
        world.carry(change("connected"))
        world.wait(minutes=1)
        world.carry(change("connected"))
        assert len(sent()) == 1

    def test_a_revoked_connection_is_told_and_still_receives(
        self, world: World
    ) -> None:
        world.carry(says(record()))
        world.wait(minutes=1)
        world.carry(change("revoked"))
        assert connection().status == "revoked"
        assert connection().status_reason == "the vendor says so"
        world.carry(says(record("late")))
        assert [m.event_type for m in sent()] == [
            "sleep.updated",
            "connection.revoked",
            "sleep.updated",
        ]

    def test_a_lost_permission_is_kept_for_staff_only(self, world: World) -> None:
        world.carry(says(record()))
        world.wait(minutes=1)
        world.carry(change("needs_reconnect"))
        assert connection().status == "needs_reconnect"
        assert len(sent()) == 1

    def test_older_news_changes_nothing(self, world: World) -> None:
        world.carry(says(record()))
        end = world.store(change("revoked"))
        world.wait(minutes=1)
        world.store(change("connected"))
        type(end).objects.filter(id=end.id).update(next_attempt_at=world.now)
        world.wait(minutes=-1)
        world.run()
        world.wait(minutes=1)
        world.run()
        assert connection().status == "active"

    def test_messages_of_a_batch_keep_the_order_of_its_deliveries(
        self, world: World
    ) -> None:
        world.carry(says(record("one")))
        world.wait(minutes=1)
        world.store(says(record("two")))
        world.store(change("revoked"))
        world.store(says(record("three")))
        world.run()
        assert [m.event_type for m in sent()] == [
            "sleep.updated",
            "sleep.updated",
            "connection.revoked",
            "sleep.updated",
        ]


class TestNewAccountIds:
    def test_the_person_keeps_the_data(self, world: World) -> None:
        world.carry(says(record(readings={"steps": 1})))
        subject = connection().subject
        world.wait(minutes=1)
        world.carry(change("relinked", new_account_id="renamed"))
        assert connection("renamed").subject == subject
        assert connection("someone").status == "revoked"
        world.carry(says(record(readings={"steps": 1})), account="renamed")
        world.carry(says(record("late")), account="someone")
        assert Subject.objects.count() == 1
        # The record is known under the new id too.
        assert BiometricEvent.objects.count() == 2

    def test_a_person_who_comes_back_under_a_new_id_is_told_of(
        self, world: World
    ) -> None:
        """Who was told that it ended must learn that it goes on."""
        world.carry(says(record()))
        world.wait(minutes=1)
        world.carry(change("revoked"))
        world.wait(minutes=1)
        world.carry(change("relinked", new_account_id="renamed"))
        assert connection("renamed").status == "active"
        assert [m.event_type for m in sent()][-2:] == [
            "connection.revoked",
            "connection.connected",
        ]
        assert sent()[-1].subject == connection("renamed").subject_id
        assert connection("someone").status == "revoked"

    @pytest.mark.parametrize(
        ("old", "new"), [("someone", "renamed"), ("renamed", "someone")]
    )
    def test_a_person_who_comes_back_under_a_known_id_is_told_of(
        self, world: World, old: str, new: str
    ) -> None:
        world.carry(says(record()))
        world.wait(minutes=1)
        world.carry(change("relinked", new_account_id="renamed"))
        world.wait(minutes=1)
        world.carry(change("revoked"), account="renamed")
        world.wait(minutes=1)
        world.carry(change("relinked", new_account_id=new), account=old)
        assert connection(new).status == "active"
        assert [m.event_type for m in sent()][-2:] == [
            "connection.revoked",
            "connection.connected",
        ]

    def test_a_person_who_never_left_is_not_told_of(self, world: World) -> None:
        world.carry(says(record()))
        world.wait(minutes=1)
        world.carry(change("relinked", new_account_id="renamed"))
        world.wait(minutes=1)
        world.carry(change("relinked", new_account_id="someone"), account="renamed")
        assert "connection.connected" not in [m.event_type for m in sent()]

    def test_a_stranger_who_comes_under_two_ids_is_connected(
        self, world: World
    ) -> None:
        world.carry(change("relinked", new_account_id="renamed"))
        assert [m.event_type for m in sent()] == ["connection.connected"]

    def test_an_id_that_comes_back_is_fetched_again(self, world: World) -> None:
        world.carry(says(record()))
        world.wait(minutes=1)
        world.carry(change("relinked", new_account_id="renamed"))
        world.wait(minutes=1)
        world.carry(change("relinked", new_account_id="someone"), account="renamed")
        assert connection("someone").status == "active"
        assert connection("renamed").status == "revoked"

    def test_an_end_that_is_newer_than_the_new_id_stays(self, world: World) -> None:
        world.carry(says(record()))
        world.carry(says(record()), account="renamed")
        world.wait(minutes=1)
        world.carry(change("revoked"), account="renamed")
        world.wait(minutes=-1)
        late = world.store(change("relinked", new_account_id="renamed"))
        world.wait(minutes=2)
        world.run()
        late.refresh_from_db()
        assert late.status == "processed"
        assert connection("renamed").status == "revoked"

    def test_data_that_came_under_the_new_id_first_joins_the_person(
        self, world: World
    ) -> None:
        world.carry(says(record()))
        before = connection().subject
        world.carry(says(record()), account="renamed")
        stranger = connection("renamed").subject
        assert stranger != before
        world.wait(minutes=1)
        world.carry(change("relinked", new_account_id="renamed"))
        assert connection("renamed").subject == before
        message = sent()[-1]
        assert message.event_type == "connection.relinked"
        assert message.subject == before.id
        assert value(message)["former_subject"] == str(stranger.id)


@pytest.mark.parametrize("name", ["connected", "revoked"])
def test_a_replayed_change_is_not_told_twice(world: World, name: str) -> None:
    world.carry(says(record()))
    world.wait(minutes=1)
    delivery = world.carry(change(name))
    before = len(sent())
    delivery.status = "pending"
    delivery.save()
    world.run()
    assert len(sent()) == before
