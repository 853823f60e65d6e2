"""Linking an account to another person, and forgetting a person."""

from __future__ import annotations

from io import StringIO
from typing import Any
from uuid import uuid4

import orjson
import pytest
from aiohttp import web
from django.core.management import CommandError, call_command

from biometrics import erasure, linking
from biometrics.audit import ERASED, ReasonMissingError
from biometrics.connections import registry
from biometrics.connections.registry import LinkError
from biometrics.models import (
    AuditEntry,
    BiometricEvent,
    DeliveryDocument,
    HrvAlert,
    HrvNight,
    OutboxMessage,
    Reading,
    Subject,
    VendorConnection,
    WebhookDelivery,
)
from biometrics.outbox import OutboxError
from biometrics.replay.runs import begin
from biometrics.replay.selection import Selection
from tests.pipeline.bucket import DAILY, Bucket, ping, run
from tests.pipeline.world import World, night, record, says, sent, states, value


@pytest.fixture(autouse=True)
def _no_nudges(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("biometrics.nudges.nudge_publishing", lambda _: None)


def link(connection: VendorConnection, subject: Subject, world: World) -> None:
    linking.relink(
        connection_id=connection.id,
        subject=subject,
        actor="ada",
        reason="it is Grace's ring",
        now=world.now,
    )


def erase(subject: Subject, world: World, **changes: Any) -> erasure.Erased:
    return erasure.erase_subject(
        **{
            "subject_id": subject.id,
            "actor": "ada",
            "reason": "asked for by the person",
            "now": world.now,
            **changes,
        }
    )


class TestLinking:
    def test_later_events_are_the_other_persons(self, world: World) -> None:
        world.carry(says(record("before")))
        connection = VendorConnection.objects.get()
        former, grace = connection.subject, Subject.objects.create(label="Grace")
        link(connection, grace, world)
        world.carry(says(record("after")))
        before, told, after = sent()
        assert before.subject == former.id
        assert (told.subject, after.subject) == (grace.id, grace.id)
        assert told.headers["ce_type"] == "auren.connection.relinked.v1"
        assert value(told)["former_subject"] == str(former.id)
        assert BiometricEvent.objects.get(record_id="before").subject == former
        assert AuditEntry.objects.get().reason == "it is Grace's ring"

    def test_the_nights_of_before_stay_with_the_former_person(
        self, world: World
    ) -> None:
        day = world.now.date().isoformat()
        world.carry(says(night(day, 20)))
        connection = VendorConnection.objects.get()
        former, grace = connection.subject, Subject.objects.create(label="Grace")
        link(connection, grace, world)
        world.wait(hours=1)
        # The vendor speaks of the same sleep again: it is Grace's now.
        again = {**night(day, 60), "stamp": world.now.isoformat()}
        world.carry(says(again))
        nights = dict(HrvNight.objects.values_list("subject", "value_ms"))
        assert nights == {former.id: 20, grace.id: 60}
        alert = HrvAlert.objects.get()
        assert (alert.subject_id, alert.status) == (former.id, "open")

    def test_a_sleep_that_is_deleted_after_that_takes_nothing_from_the_former(
        self, world: World
    ) -> None:
        said = night(world.now.date().isoformat(), 20)
        world.carry(says(said))
        connection = VendorConnection.objects.get()
        link(connection, Subject.objects.create(label="Grace"), world)
        world.wait(hours=1)
        gone = {**said, "action": "deleted", "stamp": world.now.isoformat()}
        assert world.carry(says(gone)).status == "processed"
        assert HrvNight.objects.get().value_ms == 20
        assert HrvAlert.objects.get().status == "open"

    def test_what_staff_begin_and_end_is_told(self, world: World) -> None:
        """By command; in the admin the same calls are made."""
        run = ("connections",)
        call_command(
            *run, "healthkit-token", "--subject", "Ada", "--create", stdout=StringIO()
        )
        ada = Subject.objects.get()
        account = ("--vendor", "healthkit", "--account", str(ada.id))
        # A new token for the same phone is no news.
        call_command(*run, "healthkit-token", "--subject", "Ada", stdout=StringIO())
        for _ in range(2):
            call_command(
                *run, "revoke", *account, "--reason", "lost", stdout=StringIO()
            )
        call_command(*run, "healthkit-token", "--subject", "Ada", stdout=StringIO())
        ring = ("--vendor", "oura", "--account", "o1", "--label", "Ada")
        for _ in range(2):
            call_command(*run, "add", *ring, stdout=StringIO())
        told = [
            (one.subject, one.headers["ce_source"], one.headers["event_type"])
            for one in sent()
        ]
        assert told == [
            (ada.id, "/auren/healthkit", "connection.connected"),
            (ada.id, "/auren/healthkit", "connection.revoked"),
            (ada.id, "/auren/healthkit", "connection.connected"),
            (ada.id, "/auren/oura", "connection.connected"),
        ]
        assert b"lost" not in b"".join(bytes(one.value or b"") for one in sent())

    def test_what_fails_is_not_told(self, world: World) -> None:
        ada = Subject.objects.create(label="Ada")
        about = {"vendor": "healthkit", "account_id": str(ada.id)}

        def hand_out_and_fail() -> None:
            with linking.telling(**about, reason="a token", now=world.now):
                registry.issue_healthkit_token(ada)
                raise LinkError("no")

        with pytest.raises(LinkError):
            hand_out_and_fail()
        assert sent() == []
        assert not VendorConnection.objects.exists()

    def test_linking_to_the_same_person_says_so(self, world: World) -> None:
        world.carry(says(record()))
        connection = VendorConnection.objects.get()
        with pytest.raises(LinkError, match="already"):
            link(connection, connection.subject, world)
        assert len(sent()) == 1

    def test_the_command_does_it(self, world: World) -> None:
        grace = Subject.objects.create(label="Grace")
        ada = Subject.objects.create(label="Ada")
        VendorConnection.objects.create(subject=ada, vendor="oura", account_id="o1")
        call_command(
            "connections",
            *("link", "--vendor", "oura", "--account", "o1"),
            *("--subject", "Grace", "--reason", "her ring"),
            stdout=StringIO(),
        )
        assert VendorConnection.objects.get().subject == grace


class TestErasing:
    def test_nothing_about_the_person_stays(self, world: World) -> None:
        day = world.now.date().isoformat()
        delivery = world.carry(says(night(day, 20)), reference="client-7")
        DeliveryDocument.objects.create(
            delivery=delivery, url="/x", status=200, body=b"{}", fetched_at=world.now
        )
        world.carry(says(record()), account="other")
        other = VendorConnection.objects.get(account_id="other").subject
        subject = VendorConnection.objects.get(account_id="someone").subject
        erased = erase(subject, world)
        assert (erased.connections, erased.deliveries, erased.events) == (1, 1, 1)
        for model in (BiometricEvent, Reading, HrvNight, HrvAlert, VendorConnection):
            assert not model.objects.exclude(subject=other).exists()
        assert list(Subject.objects.all()) == [other]
        assert not DeliveryDocument.objects.exists()
        delivery.refresh_from_db()
        assert (delivery.status, delivery.account_id, delivery.body) == (
            "erased",
            "",
            None,
        )
        assert "someone" not in delivery.dedupe_key

    def test_every_topic_of_the_person_is_told(self, world: World) -> None:
        world.carry(says(record()))
        subject = Subject.objects.get()
        erase(subject, world)
        told = sent()
        assert [m.event_type for m in told] == ["subject.erased"] * 2
        assert {m.topic for m in told} == {"acme-events", "biometric-alerts"}
        assert {m.subject for m in told} == {subject.id}

    def test_the_account_never_comes_back(self, world: World) -> None:
        world.carry(says(record()))
        erase(Subject.objects.get(), world)
        late = world.carry(says(record("late")))
        assert (late.status, late.body) == ("erased", None)
        assert not Subject.objects.exists()

    def test_what_was_still_due_is_not_worked_on(self, world: World) -> None:
        world.carry(says(record()))
        world.store(says(record("due")))
        erase(Subject.objects.get(), world)
        world.run()
        assert states() == {"erased": 2}

    def test_messages_on_their_way_are_waited_for(self, world: World) -> None:
        world.carry(says(record()))
        OutboxMessage.objects.update(status="in_batch")
        with pytest.raises(OutboxError):
            erase(Subject.objects.get(), world)
        assert BiometricEvent.objects.exists()
        assert WebhookDelivery.objects.get().body is not None

    def test_another_persons_past_on_the_same_account_stays(self, world: World) -> None:
        world.carry(says(record("adas")))
        connection = VendorConnection.objects.get()
        ada, grace = connection.subject, Subject.objects.create(label="Grace")
        link(connection, grace, world)
        world.carry(says(record("graces")))
        erase(grace, world)
        assert BiometricEvent.objects.get().record_id == "adas"
        kept = VendorConnection.objects.get()
        assert (kept.subject, kept.status) == (ada, "revoked")
        assert "someone" not in kept.account_id

    def test_what_the_account_brought_before_it_was_handed_on_goes_too(
        self, world: World
    ) -> None:
        said = world.carry(says(record("adas")))
        connection = VendorConnection.objects.get()
        ada, grace = connection.subject, Subject.objects.create(label="Grace")
        mute = world.store(says(record("adas too")), status="parked")
        world.wait(hours=1)
        link(connection, grace, world)
        world.wait(hours=1)
        later = world.carry(says(record("graces")))
        assert erasure.preview(subject_id=ada.id)["Deliveries, emptied"] == 2
        assert erase(ada, world).deliveries == 2
        for row in (said, mute, later):
            row.refresh_from_db()
        assert (said.body, mute.body) == (None, None)
        assert later.body is not None
        assert VendorConnection.objects.get().subject == grace
        (entry,) = AuditEntry.objects.filter(verb="connection.relink")
        assert (entry.reason, entry.detail) == (ERASED, {"to": str(grace.id)})

    def test_what_announced_a_payload_of_theirs_goes_too(
        self, world: World, bucket: Bucket, fresh_breakers: None
    ) -> None:
        body = orjson.loads(DAILY)
        announced = {"headers": {"terra-reference": "of-ada"}, "trace": "trace-of-ada"}
        mine = run(world, ping(world, columns=announced))
        # Of somebody else: neither a payload of theirs, nor one that only says so.
        body["user"] = {"user_id": "grace", "provider": "GARMIN"}
        bucket.answer = lambda: web.Response(body=orjson.dumps(body))
        other = run(world, ping(world))
        account = orjson.loads(DAILY)["user"]["user_id"]
        liar = world.store(
            says(record()), vendor="terra", account=account, status="parked"
        )
        key = f"{account}|payload|{other.public_id}"
        WebhookDelivery.objects.filter(id=liar.id).update(dedupe_key=key)
        chosen = Selection(ids=[mine.public_id, other.public_id])
        replayed = begin(chosen, actor="ops", reason="of Ada", now=world.now)
        (connection,) = registry.lookup([("terra", account)]).values()
        assert (
            erasure.preview(subject_id=connection.subject_id)["Deliveries, emptied"]
            == 3
        )
        assert erase(connection.subject, world).deliveries == 3
        for row in (mine, other, replayed):
            row.refresh_from_db()
        assert (mine.status, mine.body, mine.headers) == ("erased", None, {})
        assert (mine.trace, mine.dedupe_key) == ("", f"erased:{mine.id}")
        assert (other.status, other.body is None) == ("processed", False)
        assert replayed.selection == {"ids": [str(other.public_id)]}

    def test_it_needs_a_reason(self, world: World) -> None:
        world.carry(says(record()))
        with pytest.raises(ReasonMissingError):
            erase(Subject.objects.get(), world, reason=" ")
        assert BiometricEvent.objects.exists()

    def test_the_command_tells_how_much(self, world: World) -> None:
        world.carry(says(record()))
        out = StringIO()
        subject = str(Subject.objects.get().id)
        call_command("erase_subject", subject, "--reason", "asked for", stdout=out)
        assert "1 connections, 1 events, 1 messages" in out.getvalue()

    def test_the_command_names_a_wrong_id(self, world: World) -> None:
        with pytest.raises(CommandError, match="Nobody"):
            call_command("erase_subject", str(uuid4()), "--reason", "asked for")
