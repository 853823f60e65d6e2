"""Erasing a person in the console: a dry run, the label typed, then no trace anywhere."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from django.apps import apps
from django.contrib.auth.models import Permission, User
from django.contrib.sessions.models import Session
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from biometrics import audit, parked
from biometrics.alerts.staff import acknowledge, answer, state_of
from biometrics.models import (
    AuditEntry,
    ErasedAccount,
    HrvAlert,
    HrvTuning,
    OutboxMessage,
    Reading,
    ReplayRun,
    StaffAlarm,
    Subject,
    VendorConnection,
    WebhookDelivery,
)
from biometrics.models.hrv import Feedback
from biometrics.replay.runs import begin, cancel
from biometrics.replay.selection import Selection
from tests.console.revealing import reveal

REASON = "asked for by letter of May"
NOTE = "has shingles, told us on the phone"


@pytest.fixture(autouse=True)
def _no_nudges(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("biometrics.nudges.nudge_publishing", lambda _: None)


@pytest.fixture
def traces(admin_client: Client, world: SimpleNamespace) -> list[str]:
    """Leave traces of the person wherever the console leaves any; return them."""
    subject, connection = world.subject, world.vendorconnection
    reveal(admin_client, subject.pk, reason=NOTE)
    url = reverse("admin:biometrics_hrvalert_changelist")
    said = {"reason": NOTE, "feedback": "explained"}
    chosen = {"action": "acknowledge", "_selected_action": [str(world.hrvalert.pk)]}
    admin_client.post(url, {**chosen, **said})
    # What was said is corrected, and the alert raised again: each answer stands alone.
    for feedback in (Feedback.USEFUL, Feedback.NO_IDEA):
        seen = state_of(HrvAlert.objects.get())
        key, now = world.hrvalert.pk, timezone.now()
        signed: dict[str, Any] = {
            "feedback": feedback,
            "note": NOTE,
            "actor": "ops",
            "now": now,
        }
        assert answer(key, seen=seen, **signed) is not None
    HrvAlert.objects.update(acknowledged_at=None)
    now = timezone.now()
    for selection in (
        Selection(subject=subject.pk),
        Selection(account_id="terra-user-1"),
        Selection(ids=[world.webhookdelivery.public_id]),
    ):
        run = begin(selection, actor="ops", reason=NOTE, now=now)
        cancel(run.pk, actor="ops", reason=NOTE, now=now)
    parked.skip_deliveries(
        WebhookDelivery.objects.all(), actor="ops", reason=NOTE, now=now
    )
    audit.note(
        actor="ops",
        verb="audit.export",
        target="7 entries",
        reason=NOTE,
        now=now,
        detail={"filters": "q=Robin"},
    )
    assert AuditEntry.objects.filter(reason=NOTE).count() == 12
    HrvTuning.objects.create(
        subject=subject, reason=NOTE, changed_by="ops", changed_at=timezone.now()
    )
    StaffAlarm.objects.create(
        kind="silence",
        key=f"{connection.pk}/sleep",
        text="Terra: no sleep of terra-user-1.",
        since=timezone.now(),
    )
    ReplayRun.objects.filter(pk=world.replayrun.pk).update(
        selection={"account_id": "terra-user-1"}
    )
    # A measured value that nothing else in the tables has.
    Reading.objects.update(value=52.4242)
    return [
        "Robin",
        "terra-user-1",
        "planted-access-token",
        "night-1",
        "52.4242",
        NOTE,
        str(world.hrvalert.pk),
        "no sleep of",
    ]


def erase_url(world: SimpleNamespace) -> str:
    return reverse("admin:biometrics_subject_erase", args=[world.subject.pk])


def dump() -> dict[str, str]:
    """Return every table's rows as text; bytes as the text that they hold.

    Without sessions: they say who among staff is there, and end by themselves.
    """

    def told(value: Any) -> str:
        if isinstance(value, (bytes, memoryview)):
            return bytes(value).decode(errors="replace")
        return json.dumps(value) if isinstance(value, (dict, list)) else str(value)

    return {
        model._meta.label: "\n".join(
            " ".join(told(value) for value in row)
            for row in model._default_manager.values_list()
        )
        for model in apps.get_models()
        if model is not Session
    }


def test_the_dry_run_counts_and_changes_nothing(
    admin_client: Client, world: SimpleNamespace, traces: list[str]
) -> None:
    before = dump()
    answer = admin_client.get(erase_url(world))
    assert answer.context["found"] == {
        "Connections, with their tokens": 1,
        "Deliveries, emptied": 1,
        "Events": 1,
        "Readings": 1,
        "HRV nights": 1,
        "Alerts": 1,
        "Messages": 1,
    }
    assert dump() == before
    for trace in traces:
        assert any(trace in rows for rows in before.values()), trace


@pytest.mark.parametrize(
    "said",
    [
        {"label": "Robin", "reason": ""},
        {"label": "robin", "reason": REASON},
        {"label": "", "reason": REASON},
        {"reason": REASON},
    ],
)
def test_without_the_label_and_a_reason_nobody_is_erased(
    admin_client: Client, world: SimpleNamespace, said: dict[str, str]
) -> None:
    before = dump()
    assert admin_client.post(erase_url(world), said).status_code == 200
    assert dump() == before


def test_confirmed_there_is_no_trace_in_any_table(
    admin_client: Client, world: SimpleNamespace, traces: list[str]
) -> None:
    label = {"label": "Robin", "reason": REASON}
    answer = admin_client.post(erase_url(world), label, follow=True)
    assert "The person is erased" in answer.content.decode()
    found = [
        (trace, table)
        for table, rows in dump().items()
        for trace in traces
        if trace in rows
    ]
    assert found == []
    assert not Subject.objects.exists()
    # Nothing but the audit and the messages that say so name the person's opaque id.
    named = {label for label, rows in dump().items() if str(world.subject.pk) in rows}
    assert named == {"biometrics.OutboxMessage", "biometrics.AuditEntry"}
    assert ErasedAccount.objects.count() == 1


def test_consumers_of_every_topic_are_told(
    admin_client: Client, world: SimpleNamespace
) -> None:
    admin_client.post(erase_url(world), {"label": "Robin", "reason": REASON})
    told = OutboxMessage.objects.all()
    assert {message.event_type for message in told} == {"subject.erased"}
    assert {message.topic for message in told} == {
        "terra-biometric-events",
        "biometric-alerts",
    }
    assert {message.subject for message in told} == {world.subject.pk}


def test_consumers_of_an_account_that_was_handed_on_are_told_too(
    admin_client: Client, world: SimpleNamespace
) -> None:
    """What it brought before is on a topic of which no account is left."""
    kim = Subject.objects.create(label="Kim")
    VendorConnection.objects.update(subject=kim)
    admin_client.post(erase_url(world), {"label": "Robin", "reason": REASON})
    told = OutboxMessage.objects.filter(event_type="subject.erased")
    assert {message.topic for message in told} == {
        "terra-biometric-events",
        "biometric-alerts",
    }


def test_the_audit_says_that_it_was_done_and_not_what_was_there(
    admin_client: Client, world: SimpleNamespace, traces: list[str]
) -> None:
    admin_client.post(erase_url(world), {"label": "Robin", "reason": REASON})
    entry = AuditEntry.objects.get(verb="subject.erase")
    assert (entry.actor, entry.reason) == ("ops", REASON)
    assert entry.target == f"subject {world.subject.pk}"
    assert entry.detail == {}
    # What was done before stays, without what was found.
    before = AuditEntry.objects.filter(verb__in=["values.reveal", "alert.acknowledge"])
    assert before.count() == 4
    assert {row.reason for row in before} == {"Erased with the person."}


def test_of_an_act_on_many_the_others_ids_stay(
    admin_client: Client, world: SimpleNamespace
) -> None:
    kim = Subject.objects.create(label="Kim")
    theirs = HrvAlert.objects.get()
    theirs.pk, theirs.subject, theirs.hrv_night = uuid4(), kim, None
    theirs.save(force_insert=True)
    acknowledge(
        [world.hrvalert.pk, theirs.pk],
        feedback=Feedback.USEFUL,
        note=NOTE,
        actor="ops",
        now=timezone.now(),
    )
    others = WebhookDelivery.objects.create(
        public_id=uuid4(),
        vendor="terra",
        account_id="terra-kim",
        dedupe_key="trace-9",
        shard=1,
        body=b"{}",
        received_at=timezone.now(),
        status="parked",
    )
    both = [world.webhookdelivery.public_id, others.public_id]
    run = begin(Selection(ids=both), actor="ops", reason=NOTE, now=timezone.now())
    admin_client.post(erase_url(world), {"label": "Robin", "reason": REASON})
    entry = AuditEntry.objects.get(verb="alert.acknowledge")
    assert (entry.reason, entry.target) == (audit.ERASED, "2 alerts")
    assert entry.detail == {"feedback": "useful", "alerts": [str(theirs.pk)]}
    run.refresh_from_db()
    assert run.selection == {"ids": [str(others.public_id)]}
    assert run.reason == audit.ERASED
    entry = AuditEntry.objects.get(verb="delivery.replay")
    assert entry.reason == audit.ERASED
    assert entry.detail["chosen"] == {"ids": [str(others.public_id)]}


def test_while_messages_are_on_their_way_nothing_is_erased(
    admin_client: Client, world: SimpleNamespace
) -> None:
    OutboxMessage.objects.update(status="in_batch")
    said = {"label": "Robin", "reason": REASON}
    answer = admin_client.post(erase_url(world), said)
    assert "Nothing was erased." in answer.content.decode()
    assert Subject.objects.get() == world.subject
    assert not AuditEntry.objects.filter(verb="subject.erase").exists()


def test_it_takes_a_right_of_its_own(world: SimpleNamespace) -> None:
    user = User.objects.create_user("one", password="x", is_staff=True)
    others = Permission.objects.filter(content_type__app_label="biometrics")
    user.user_permissions.set(others.exclude(codename="delete_subject"))
    client = Client()
    client.force_login(user)
    assert client.get(erase_url(world)).status_code == 403
    said = {"label": "Robin", "reason": REASON}
    assert client.post(erase_url(world), said).status_code == 403
    assert Subject.objects.exists()
