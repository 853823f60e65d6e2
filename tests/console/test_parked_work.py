"""The page of parked work: by reason, in words, with verbs that say what they do."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.test import Client
from django.urls import reverse

from biometrics.models import (
    AuditEntry,
    OutboxMessage,
    ParkedQueue,
    ReplayRun,
    Subject,
    WebhookDelivery,
)
from biometrics.models.outbox import ParkCode
from biometrics.reasons import of_delivery, of_queue
from tests.console.conftest import NOW

PAGE = "admin:biometrics_parked"


@pytest.fixture(autouse=True)
def nudged(monkeypatch: pytest.MonkeyPatch) -> list[set[int]]:
    found: list[set[int]] = []
    monkeypatch.setattr("biometrics.nudges.nudge_processing", found.append)
    monkeypatch.setattr("biometrics.nudges.nudge_publishing", found.append)
    return found


@pytest.fixture
def stuck(world: SimpleNamespace) -> SimpleNamespace:
    """Park two deliveries for one reason, one for another, and two people's messages."""
    for n, code in enumerate(("unreadable", "malformed")):
        WebhookDelivery.objects.create(
            public_id=uuid4(),
            vendor="terra",
            account_id="terra-user-1",
            dedupe_key=f"more-{n}",
            shard=3,
            body=b"{}",
            received_at=NOW + timedelta(hours=n + 1),
            status="parked",
            error_code=code,
            error="not as documented",
        )
    OutboxMessage.objects.update(status="parked", published_at=None)
    ParkedQueue.objects.update(code="invalid")
    other = Subject.objects.create(label="Kim")
    held = OutboxMessage.objects.create(
        ce_id=uuid4(),
        shard=2,
        subject=other.id,
        topic="terra-biometric-events",
        event_type="sleep.created",
        headers={},
        value=b"{}",
        status="parked",
        created_at=NOW,
    )
    world.other = ParkedQueue.objects.create(
        subject=other.id,
        shard=2,
        from_id=held.id,
        code="held_back",
        reason="moving house",
        since=NOW,
    )
    return world


@pytest.fixture
def staff(db: None) -> Callable[..., Client]:
    """Sign somebody in with a role, or with single permissions."""

    def sign_in(*permissions: str, role: str = "") -> Client:
        user = User.objects.create_user(f"u{uuid4().hex}", is_staff=True)
        user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
        if role:
            user.groups.add(Group.objects.get(name=role))
        client = Client()
        client.force_login(user)
        return client

    return sign_in


def show(client: Client) -> str:
    answer = client.get(reverse(PAGE))
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


def verb_url(kind: str, verb: str, **query: str) -> str:
    address = reverse("admin:biometrics_parked_verb", args=[kind, verb])
    return f"{address}?{'&'.join(f'{k}={v}' for k, v in query.items())}"


def test_it_groups_by_reason_and_says_what_next(
    admin_client: Client, stuck: SimpleNamespace
) -> None:
    text = show(admin_client)
    assert "3 deliveries could not be read; 2 messages of 2 people" in text
    assert "terra: Not as the vendor documents it" in text
    assert "terra: Not in the vendor&#x27;s format" in text
    assert "Messages: Breaks its own schema" in text
    assert "Messages: Held back by staff" in text
    assert of_queue("invalid").next_step in text
    for button in ("Retry 2", "Skip 2", "Try one", "Retry 1", "Fix 1", "Skip 1"):
        assert f"{button} <" in text
    # The form of a replay asks for it.
    assert '<dt>Code</dt><dd class="console-command">unreadable</dd>' in text
    query = "status__exact=parked&amp;vendor=terra&amp;error_code=unreadable"
    assert query in text


def test_each_list_that_a_card_leads_to_shows_its_rows(
    admin_client: Client, stuck: SimpleNamespace
) -> None:
    for card in admin_client.get(reverse(PAGE)).context["cards"]:
        answer = admin_client.get(card["list"])
        assert len(answer.context["cl"].result_list) == card["group"].count


def test_nothing_parked_is_said(admin_client: Client) -> None:
    text = show(admin_client)
    assert "Nothing is parked." in text
    assert "one card for each reason" in text


def test_what_waits_for_its_account_is_stuck_too(
    admin_client: Client, stuck: SimpleNamespace, staff: Callable[..., Client]
) -> None:
    WebhookDelivery.objects.filter(error_code="malformed").update(
        status="unlinked", error="Its account is not connected."
    )
    text = show(admin_client)
    assert "1 delivery waits for its account. Everything else flows." in text
    assert "Waiting for their account" in text
    assert "its page leads to the person to connect" in text
    assert "Waiting for their account" not in show(staff("view_parkedqueue"))


def test_every_code_has_words() -> None:
    for code in ParkCode.values:
        assert of_queue(code).next_step
    assert of_delivery("something_new").title == "Something new"


def test_few_queries_whatever_is_parked(
    admin_client: Client,
    stuck: SimpleNamespace,
    django_assert_max_num_queries: Any,
) -> None:
    with django_assert_max_num_queries(20):
        show(admin_client)


class TestRights:
    def test_without_any_there_is_no_page(self, bare_client: Client) -> None:
        assert bare_client.get(reverse(PAGE)).status_code == 403

    def test_everybody_sees_what_they_may(
        self, staff: Callable[..., Client], stuck: SimpleNamespace
    ) -> None:
        text = show(staff("view_parkedqueue"))
        assert "Messages: Breaks its own schema" in text
        assert "terra: Not in the vendor&#x27;s format" not in text
        assert "Fix one" not in text

    def test_a_viewer_sees_no_button_and_can_do_nothing(
        self, staff: Callable[..., Client], stuck: SimpleNamespace
    ) -> None:
        viewer = staff(role="viewer")
        assert "Retry 2" not in show(viewer)
        url = verb_url("deliveries", "skip", vendor="terra", code="unreadable")
        assert viewer.post(url, {"reason": "let me"}).status_code == 403
        assert WebhookDelivery.objects.filter(status="parked").count() == 3

    def test_an_operator_acts(
        self, staff: Callable[..., Client], stuck: SimpleNamespace
    ) -> None:
        operator = staff(role="operator")
        assert "Retry 2" in show(operator)
        url = verb_url("deliveries", "retry", vendor="terra", code="unreadable")
        answer = operator.post(url, {"reason": "mapping mended"})
        assert answer.status_code == 302
        assert operator.get(answer["Location"]).status_code == 200


class TestVerbs:
    @pytest.mark.parametrize(
        ("kind", "verb", "query"),
        [
            ("deliveries", "retry", {"vendor": "terra", "code": "unreadable"}),
            ("deliveries", "skip", {"vendor": "terra", "code": "unreadable"}),
            ("queues", "fix", {"code": "invalid"}),
            ("queues", "retry", {"code": "invalid"}),
            ("queues", "skip", {"code": "invalid"}),
        ],
    )
    def test_looking_changes_nothing_and_a_reason_is_needed(
        self,
        admin_client: Client,
        stuck: SimpleNamespace,
        kind: str,
        verb: str,
        query: dict[str, str],
    ) -> None:
        url = verb_url(kind, verb, **query)
        before = self.all_rows()
        page = admin_client.get(url + "&reason=because")
        assert page.status_code == 200
        assert admin_client.post(url, {"reason": " "}).status_code == 200
        assert self.all_rows() == before
        assert ReplayRun.objects.count() == 1

    def all_rows(self) -> list[Any]:
        return [
            list(model._default_manager.order_by("pk").values())
            for model in (WebhookDelivery, OutboxMessage, ParkedQueue)
        ]

    def test_retrying_deliveries_is_a_replay_of_them(
        self, admin_client: Client, stuck: SimpleNamespace
    ) -> None:
        url = verb_url("deliveries", "retry", vendor="terra", code="unreadable")
        assert "at the pace of replays" in admin_client.get(url).content.decode()
        answer = admin_client.post(url, {"reason": "mapping mended"})
        run = ReplayRun.objects.latest("id")
        assert answer["Location"] == reverse(
            "admin:biometrics_replayrun_change", args=[run.pk]
        )
        assert run.selection == {
            "vendor": "terra",
            "status": "parked",
            "error_code": "unreadable",
        }
        assert (run.state, run.total, run.reason) == ("running", 2, "mapping mended")

    def test_trying_one_takes_the_oldest(
        self, admin_client: Client, stuck: SimpleNamespace
    ) -> None:
        one = str(stuck.webhookdelivery.public_id)
        assert f"retry/?id={one}" in admin_client.get(reverse(PAGE)).content.decode()
        admin_client.post(verb_url("deliveries", "retry", id=one), {"reason": "try"})
        assert ReplayRun.objects.latest("id").selection == {"ids": [one]}
        assert AuditEntry.objects.latest("id").detail["chosen"] == {"ids": [one]}

    def test_skipping_deliveries_keeps_them_with_the_reason(
        self, admin_client: Client, stuck: SimpleNamespace
    ) -> None:
        url = verb_url("deliveries", "skip", vendor="terra", code="unreadable")
        admin_client.post(url, {"reason": "a test of theirs"})
        rows = WebhookDelivery.objects.filter(error_code="skipped").order_by("id")
        assert {row.status for row in rows} == {"ignored"}
        assert {row.error for row in rows} == {"Skipped by staff: a test of theirs"}
        assert WebhookDelivery.objects.get(status="parked").error_code == "malformed"
        entry = AuditEntry.objects.get(verb="delivery.skip")
        assert entry.reason == "a test of theirs"
        assert entry.target == "2 deliveries"
        assert entry.detail["parked_because"] == {"unreadable": 2}
        assert entry.detail["deliveries"] == [str(row.public_id) for row in rows]

    def test_skipping_a_message_lets_the_rest_flow(
        self, admin_client: Client, stuck: SimpleNamespace, nudged: list[set[int]]
    ) -> None:
        admin_client.post(
            verb_url("queues", "skip", code="invalid"), {"reason": "of no worth"}
        )
        assert OutboxMessage.objects.get(pk=stuck.outboxmessage.pk).status == "dead"
        assert ParkedQueue.objects.get().code == "held_back"
        assert {1} in nudged
        assert AuditEntry.objects.filter(verb="outbox.skip").exists()

    def test_retrying_one_person_leaves_the_others(
        self, admin_client: Client, stuck: SimpleNamespace
    ) -> None:
        url = verb_url("queues", "retry", id=str(stuck.other.pk))
        admin_client.post(url, {"reason": "moved"})
        assert ParkedQueue.objects.get().code == "invalid"

    def test_what_cannot_be_fixed_stays_and_is_said(
        self, admin_client: Client, stuck: SimpleNamespace
    ) -> None:
        WebhookDelivery.objects.update(body=None)
        OutboxMessage.objects.update(alert=None)
        url = verb_url("queues", "fix", code="invalid")
        text = admin_client.post(url, {"reason": "mended"}, follow=True)
        assert "1 stays parked: The bytes from which" in text.content.decode()
        assert ParkedQueue.objects.filter(code="invalid").exists()

    def test_deliveries_without_bytes_can_only_be_skipped(
        self, admin_client: Client, stuck: SimpleNamespace
    ) -> None:
        WebhookDelivery.objects.filter(error_code="malformed").update(body=None)
        (card,) = [
            card
            for card in admin_client.get(reverse(PAGE)).context["cards"]
            if card["group"].code == "malformed"
        ]
        assert [verb["text"] for verb in card["verbs"]] == ["Skip 1"]

    @pytest.mark.parametrize(
        "url",
        [
            verb_url("deliveries", "fix", code="x"),
            verb_url("queues", "retry", id="x"),
            verb_url("deliveries", "retry", id="x"),
            verb_url("deliveries", "retry"),
            verb_url("people", "retry", id="1"),
        ],
    )
    def test_what_does_not_exist_is_not_found(
        self, admin_client: Client, url: str
    ) -> None:
        assert admin_client.get(url).status_code == 404


def test_a_person_s_page_says_why_and_what_next(
    admin_client: Client, stuck: SimpleNamespace
) -> None:
    url = reverse("admin:biometrics_parkedqueue_change", args=[stuck.parkedqueue.pk])
    text = admin_client.get(url).content.decode()
    assert "breaks the schema that consumers were promised" in text
    assert "deploy, then fix" in text
