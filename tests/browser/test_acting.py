"""What is parked and what is replayed, done with the keyboard in a real browser."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import Page, expect

from biometrics import pipeline
from biometrics.models import HrvTuning, ReplayRun, WebhookDelivery
from biometrics.realtime.broadcast import broadcast_numbers
from biometrics.replay import runs
from biometrics.replay.selection import Selection
from tests.browser.conftest import NARROW
from tests.browser.seed import World
from tests.browser.staff import Staff
from tests.browser.test_pages import overflow

PARKED = reverse("admin:biometrics_parked")
CHOOSE = reverse("admin:biometrics_replay_choose")

AsWorker = Callable[[Callable[[], Any]], Any]


def go_on(as_worker: AsWorker) -> None:
    """Play beat and workers once."""

    def work() -> None:
        runs.advance(now=timezone.now, budget_s=10)
        for shard in pipeline.due_process_shards(now=timezone.now()):
            pipeline.process_shard(shard=shard, now=timezone.now, budget_s=10)
        while not broadcast_numbers(now=timezone.now()):
            pass

    as_worker(work)


def tab_to(page: Page, name: str, *, role: Any = "button") -> None:
    """Press Tab until the control has the focus."""
    wanted = page.get_by_role(role, name=name, exact=True)
    for _ in range(80):
        if wanted.evaluate("one => one === document.activeElement"):
            return
        page.keyboard.press("Tab")
    pytest.fail(f"{name} is not reached by Tab")


@pytest.mark.usefixtures("better_mapping")
def test_a_replay_from_the_choice_to_the_end_by_keyboard(
    page: Page, as_worker: AsWorker
) -> None:
    page.goto(CHOOSE)
    page.get_by_label("Vendor").focus()
    page.get_by_label("Vendor").select_option("terra")
    page.get_by_label("Status").select_option("processed")
    tab_to(page, "Make the plan")
    page.keyboard.press("Enter")
    expect(page.get_by_text("the plan is being made")).to_be_visible()
    expect(page.locator("[data-live-state]")).to_have_text("live")

    while ReplayRun.objects.get().state == "planning":
        go_on(as_worker)
    # Nobody is writing on the page, so it turns by itself.
    expect(page.get_by_text("look at the plan")).to_be_visible()
    expect(page.get_by_text("would be stored and published anew")).to_be_visible()

    page.locator('form[action$="/confirm/"] input[name="reason"]').focus()
    page.keyboard.type("A better mapping")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Step 3 of 3: it runs")).to_be_visible()
    expect(page.locator("[data-live-state]")).to_have_text("live")
    while ReplayRun.objects.get().state == "running":
        go_on(as_worker)
    expect(page.get_by_text("deliveries read;")).to_be_visible()
    run = ReplayRun.objects.get()
    assert run.done == run.total > 0
    assert run.changed > 0


def test_the_progress_moves_while_one_looks(
    page: Page, world: World, as_worker: AsWorker
) -> None:
    page.goto(CHOOSE)
    page.get_by_label("Vendor").select_option("terra")
    page.get_by_role("button", name="Make the plan").click()
    bar = page.locator("progress")
    expect(bar).to_have_js_property("value", 0)
    expect(page.locator("[data-live-state]")).to_have_text("live")
    # Somebody writes on the page: then it must not be loaded anew.
    page.locator("summary").click()
    page.locator('form[action$="/cancel/"] input[name="reason"]').fill("It is")
    go_on(as_worker)
    total = ReplayRun.objects.get().planned
    assert total > 0
    expect(bar).to_have_js_property("value", total)
    field = page.locator('form[action$="/cancel/"] input[name="reason"]')
    expect(field).to_have_value("It is")
    field.fill("It is not needed")
    page.get_by_role("button", name="Cancel it").click()
    expect(page.get_by_text("nothing more is")).to_be_visible()
    assert ReplayRun.objects.get().state == "cancelled"


def test_parked_deliveries_are_retried_from_their_card_by_keyboard(
    page: Page, world: World
) -> None:
    page.goto(PARKED)
    expect(page.get_by_text("Not as the vendor documents it")).to_be_visible()
    tab_to(page, "Retry 2", role="link")
    page.keyboard.press("Enter")
    expect(page.get_by_text("at the pace of replays")).to_be_visible()
    page.locator('input[name="reason"]').focus()
    page.keyboard.type("The mapping is mended")
    tab_to(page, "Retry 2")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Step 3 of 3: it runs")).to_be_visible()
    assert ReplayRun.objects.get().total == 2
    assert WebhookDelivery.objects.filter(status="parked").count() == 3


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_pages_fit_a_phone(
    make_staff: Callable[..., Staff], better_mapping: None, scheme: str
) -> None:
    staff = make_staff(is_superuser=True, viewport=NARROW, scheme=scheme)
    now = timezone.now()
    run = runs.plan(Selection(vendor="terra"), actor="ops", now=now)
    while ReplayRun.objects.get(pk=run.pk).state == "planning":
        runs.advance(now=timezone.now, budget_s=10)
    addresses = [
        PARKED,
        reverse("admin:biometrics_parked_verb", args=["queues", "fix"])
        + "?code=refused",
        CHOOSE,
        reverse("admin:biometrics_replayrun_changelist"),
        reverse("admin:biometrics_replayrun_change", args=[run.pk]),
    ]
    for address in addresses:
        answer = staff.page.goto(address)
        assert answer is not None
        assert answer.status == 200, address
        assert overflow(staff.page) <= 0, address


def test_alert_settings_of_a_person_are_changed_by_keyboard(
    boss: Staff, world: World
) -> None:
    page, person = boss.page, world.subjects["Kim Aster"]
    page.goto(reverse("admin:biometrics_subject_tuning", args=[person.pk]))
    expect(page.get_by_text("Alert settings of Kim Aster").first).to_be_visible()
    page.get_by_label("Threshold offset").select_option("0.25")
    until = timezone.now().date() + timedelta(days=10)
    page.get_by_label("Muted until").focus()
    # A native date field takes its parts one after the other, as the locale orders them.
    page.keyboard.type(f"{until:%m%d%Y}")
    page.get_by_label("Reason").focus()
    page.keyboard.type("On holiday in the mountains")
    tab_to(page, "Save")
    page.keyboard.press("Enter")
    expect(page.get_by_text("The next night is judged by this.")).to_be_visible()
    tuning = HrvTuning.objects.get(subject=person)
    assert (tuning.threshold_offset, tuning.muted_until) == (0.25, until)
    assert boss.complaints == []


def test_a_date_that_cannot_be_is_refused_before_it_is_sent(
    boss: Staff, world: World
) -> None:
    page, person = boss.page, world.subjects["Kim Aster"]
    page.goto(reverse("admin:biometrics_subject_tuning", args=[person.pk]))
    late = timezone.now().date() + timedelta(days=91)
    page.get_by_label("Muted until").fill(late.isoformat())
    page.get_by_label("Reason").fill("Away")
    page.get_by_role("button", name="Save", exact=True).click()
    field = page.get_by_label("Muted until")
    assert field.evaluate("one => one.validity.rangeOverflow")
    assert not HrvTuning.objects.exists()
    assert boss.complaints == []
