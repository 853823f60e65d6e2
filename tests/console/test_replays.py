"""Replays in the console: choose, plan, confirm with a reason, watch, cancel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from biometrics import selectors
from biometrics.linking import relink
from biometrics.models import (
    AuditEntry,
    ReplayRun,
    Subject,
    VendorConnection,
    WebhookDelivery,
)
from biometrics.replay import pieces, runs
from biometrics.replay.selection import Selection
from biometrics.vendors.records import Understanding
from biometrics.vendors.terra.adapter import Terra
from biometrics.vendors.wire import StoredDelivery
from tests.browser.seed import body, sleep, store
from tests.console.revealing import reveal
from tests.pipeline.replaying import finish
from tests.pipeline.world import World

CHOOSE = "admin:biometrics_replay_choose"

PLANTED = 40_540_000.0
"""Long enough to be no part of an id or a token on the page."""

SHOWN = "40540054"


@pytest.fixture(autouse=True)
def _no_nudges(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("biometrics.nudges.nudge_processing", lambda _shards: None)
    monkeypatch.setattr("biometrics.nudges.nudge_publishing", lambda _shards: None)


@pytest.fixture
def people(db: None) -> World:
    """Carry two people's nights through the pipeline."""
    world = World(now=timezone.now())
    for user in ("kim", "robin"):
        night = sleep(day=world.now, rmssd=61, resting=54)
        store(body(user_id=user, nights=[night]), account=user, at=world.now)
    world.run()
    return world


@pytest.fixture
def better_mapping(people: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the mapping read other values out of the nights since they came."""
    before = Terra.understand

    def understand(self: Terra, delivery: StoredDelivery) -> Understanding:
        said = before(self, delivery)
        changed = [
            replace(
                one,
                readings=tuple(
                    replace(r, value=r.value + PLANTED) for r in one.readings
                ),
            )
            for one in said.records
        ]
        return replace(said, records=tuple(changed))

    monkeypatch.setattr(Terra, "understand", understand)


def page(run: ReplayRun) -> str:
    return reverse("admin:biometrics_replayrun_change", args=[run.pk])


def text_of(client: Client, run: ReplayRun) -> str:
    answer = client.get(page(run))
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


def decide(client: Client, run: ReplayRun, what: str, **data: str) -> Any:
    address = reverse(f"admin:biometrics_replay_{what}", args=[run.pk])
    return client.post(address, data, follow=True)


def planned(world: World, **selection: Any) -> ReplayRun:
    run = runs.plan(Selection(**selection), actor="ops", now=world.now)
    return finish(world, run)


@pytest.mark.usefixtures("better_mapping")
def test_from_the_choice_to_the_end(admin_client: Client, people: World) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(pieces, "_PLAN_ROWS", 1)
        answer = admin_client.post(
            reverse(CHOOSE), {"vendor": "terra", "status": "processed"}
        )
        run = ReplayRun.objects.get()
        assert answer["Location"] == page(run)
        text = text_of(admin_client, run)
        assert "Step 2 of 3: the plan is being made" in text
        assert "manage.py replay --vendor terra --status processed" in text
        assert '<th scope="row">terra</th><td>processed</td><td>2</td>' in text
        assert "Step 3 of 3" not in text
        finish(people, run)

    text = text_of(admin_client, run)
    assert "2 records would be stored and published anew" in text
    assert "terra sleep: readings[resting_heart_rate].value" in text
    assert WebhookDelivery.objects.filter(status="processed").count() == 2

    told = decide(admin_client, run, "confirm", reason="  ")
    assert "give a reason" in told.content.decode()
    told = decide(admin_client, run, "confirm", reason="a better mapping")
    assert "Step 3 of 3: it runs" in told.content.decode()
    finish(people, run)
    text = text_of(admin_client, run)
    assert "2 of 2 deliveries read; 2 records changed" in text
    assert AuditEntry.objects.get().reason == "a better mapping"


def test_the_form_asks_for_more_than_nothing(
    admin_client: Client, people: World
) -> None:
    asked = admin_client.post(reverse(CHOOSE), {})
    assert "tick that everything is meant" in asked.content.decode()
    admin_client.post(reverse(CHOOSE), {"everything": "on"})
    assert ReplayRun.objects.get().selection == {}


def test_every_filter_of_the_form_counts(admin_client: Client, people: World) -> None:
    subject = str(Subject.objects.earliest("created_at").id)
    given = {
        "subject": subject,
        "since": "2026-01-01T00:00",
        "until": "2099-01-01T00:00",
        "error_code": "unreadable",
    }
    admin_client.post(reverse(CHOOSE), given)
    assert ReplayRun.objects.get().selection == {
        "subject": subject,
        "since": "2026-01-01T00:00:00+00:00",
        "until": "2099-01-01T00:00:00+00:00",
        "error_code": "unreadable",
    }
    wrong = admin_client.post(reverse(CHOOSE), {"subject": "kim"})
    assert "Enter a valid UUID" in wrong.content.decode()


def test_an_address_fills_the_form(admin_client: Client) -> None:
    query = {"vendor": "terra", "error_code": "unreadable"}
    text = admin_client.get(reverse(CHOOSE), query).content.decode()
    assert '<option value="terra" selected>' in text
    assert 'value="unreadable"' in text


def test_a_plan_of_nothing_says_why(admin_client: Client, people: World) -> None:
    run = planned(people, vendor="whoop")
    text = text_of(admin_client, run)
    assert "Nothing matches. Raw bodies are kept" in text
    assert "Step 3 of 3" not in text


def test_a_moved_count_asks_again(admin_client: Client, people: World) -> None:
    run = planned(people, vendor="terra")
    WebhookDelivery.objects.filter(account_id="kim").update(body=None)
    told = decide(admin_client, run, "confirm", reason="go on").content.decode()
    assert "confirm again" in told
    assert "the plan is being made" in told


def test_it_is_cancelled_with_a_reason(admin_client: Client, people: World) -> None:
    run = runs.begin(Selection(), actor="ops", reason="again", now=people.now)
    assert "Cancel it" in text_of(admin_client, run)
    decide(admin_client, run, "cancel", reason="a mistake")
    text = text_of(admin_client, run)
    assert "<dt>Cancelled by</dt><dd>ops, <time" in text
    assert "UTC: a mistake</dd>" in text
    assert "Cancel it" not in text
    told = decide(admin_client, run, "cancel", reason="twice").content.decode()
    assert "It is cancelled already" in told


@pytest.mark.usefixtures("better_mapping")
class TestHealthValues:
    @pytest.fixture
    def run(self, people: World) -> ReplayRun:
        return planned(people)

    def test_they_are_hidden_until_revealed_person_by_person(
        self, admin_client: Client, run: ReplayRun
    ) -> None:
        text = text_of(admin_client, run)
        assert "readings[resting_heart_rate].value" in text
        assert SHOWN not in text
        kim = Subject.objects.get(connections__account_id="kim")
        robin = Subject.objects.get(connections__account_id="robin")
        for one in (kim, robin):
            assert reverse("admin:biometrics_subject_reveal", args=[one.id]) in text
        reveal(admin_client, kim.id)
        text = text_of(admin_client, run)
        assert text.count(SHOWN) == 1
        shown = reverse("admin:biometrics_subject_reveal", args=[kim.id])
        assert shown not in text

    def test_the_new_person_of_an_account_is_not_shown_the_former_ones(
        self, admin_client: Client, run: ReplayRun
    ) -> None:
        account = VendorConnection.objects.get(account_id="kim")
        kim, new = account.subject, Subject.objects.create(label="Sam")
        relink(
            connection_id=account.pk,
            subject=new,
            actor="ops",
            reason="the watch was passed on",
            now=timezone.now(),
        )
        reveal(admin_client, new.pk)
        assert SHOWN not in text_of(admin_client, run)
        reveal(admin_client, kim.pk)
        assert SHOWN in text_of(admin_client, run)

    def test_without_the_right_there_is_no_offer(self, run: ReplayRun) -> None:
        client = signed_in("operator")
        text = text_of(client, run)
        assert "shown to staff with the right to reveal" in text
        assert "Reveal</a>" not in text
        assert SHOWN not in text

    def test_none_is_kept_in_the_plan_or_told_live(self, run: ReplayRun) -> None:
        stored = ReplayRun.objects.values().get(pk=run.pk)
        assert SHOWN not in str(stored)
        numbers = selectors.dashboard_numbers(now=timezone.now())
        assert numbers[f"replay_{run.pk}_state"] == "planned"
        assert numbers[f"replay_{run.pk}_at"] == "2"


def signed_in(role: str) -> Client:
    user = User.objects.create_user(role, is_staff=True)
    user.groups.add(Group.objects.get(name=role))
    client = Client()
    client.force_login(user)
    return client


class TestRights:
    @pytest.fixture
    def run(self, people: World) -> ReplayRun:
        return planned(people)

    def test_a_viewer_looks_and_does_nothing(self, run: ReplayRun) -> None:
        viewer = signed_in("viewer")
        text = text_of(viewer, run)
        assert "Step 3 of 3" not in text
        assert "Cancel it" not in text
        assert viewer.get(reverse(CHOOSE)).status_code == 403
        for what in ("confirm", "cancel"):
            assert decide(viewer, run, what, reason="let me").status_code == 403
        run.refresh_from_db()
        assert run.state == "planned"

    def test_an_operator_may(self, run: ReplayRun) -> None:
        operator = signed_in("operator")
        listing = operator.get(reverse("admin:biometrics_replayrun_changelist"))
        assert reverse(CHOOSE) in listing.content.decode()
        decide(operator, run, "confirm", reason="a better mapping")
        run.refresh_from_db()
        assert run.state == "running"

    def test_nobody_without_the_right_sees_it(
        self, bare_client: Client, run: ReplayRun
    ) -> None:
        assert bare_client.get(page(run)).status_code == 403
        index = bare_client.get(reverse("admin:index")).content.decode()
        assert reverse("admin:biometrics_replayrun_changelist") not in index

    @pytest.mark.parametrize("what", ["confirm", "cancel"])
    def test_a_get_changes_nothing(
        self, admin_client: Client, run: ReplayRun, what: str
    ) -> None:
        address = reverse(f"admin:biometrics_replay_{what}", args=[run.pk])
        assert admin_client.get(address, {"reason": "x"}).status_code == 405
        assert admin_client.post(page(run)).status_code == 403
        run.refresh_from_db()
        assert run.state == "planned"


def test_a_page_costs_few_queries(
    admin_client: Client,
    people: World,
    django_assert_max_num_queries: Callable[[int], Any],
) -> None:
    run = planned(people)
    with django_assert_max_num_queries(20):
        text_of(admin_client, run)
