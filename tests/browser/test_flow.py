"""What staff do: sign in, watch numbers change, act with a reason, and never by a GET."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.urls import reverse
from playwright.sync_api import Browser, Page, expect

from biometrics.models import AuditEntry, HrvAlert, WebhookDelivery
from biometrics.realtime.broadcast import broadcast_numbers
from resilience import get_breaker
from tests.bridge import RunningBridge
from tests.browser.seed import ILL, World, body, sleep
from tests.browser.staff import Staff

INDEX = reverse("admin:index")
DELIVERIES = reverse("admin:biometrics_webhookdelivery_changelist")
ALERTS = reverse("admin:biometrics_hrvalert_changelist")
KAFKA = reverse("admin:resilience_breakermode_detail", args=["kafka"])


def now() -> datetime:
    return datetime.now(tz=UTC)


def choose(page: Page, pk: object, *, action: str) -> None:
    page.locator(f'input[name="_selected_action"][value="{pk}"]').check()
    page.locator('select[name="action"]').select_option(label=action)
    page.locator('button[name="index"], button:has-text("Run")').first.click()


def test_signing_in_leads_to_the_dashboard(
    chrome: Browser, site: RunningBridge
) -> None:
    User.objects.create_superuser("ops", password="a long sentence")
    page = chrome.new_page(base_url=f"http://127.0.0.1:{site.port}")
    try:
        page.goto(INDEX)
        page.get_by_label("Username").fill("ops")
        page.locator('input[name="password"]').fill("wrong")
        page.keyboard.press("Enter")
        expect(page.get_by_text("Please enter the correct")).to_be_visible()
        page.get_by_label("Username").fill("ops")
        page.locator('input[name="password"]').fill("a long sentence")
        page.keyboard.press("Enter")
        page.wait_for_url(f"**{INDEX}")
        expect(page.get_by_text("Nothing is lost.")).to_be_visible()
    finally:
        page.close()


def test_the_dashboard_changes_when_a_webhook_arrives(
    page: Page, site: RunningBridge, world: World, as_worker: Callable[[Any], Any]
) -> None:
    page.goto(INDEX)
    state = page.locator("[data-live-state]")
    expect(state).to_have_text("live")
    waiting = page.locator("[data-live=deliveries_due]").first
    expect(waiting).to_have_text("0")
    night = sleep(day=now(), rmssd=60, resting=54)
    answer = site.deliver("terra", body(user_id="terra-kim", nights=[night]))
    assert answer.status == 200
    assert as_worker(lambda: broadcast_numbers(now=now()))
    expect(waiting).to_have_text("1")


def test_the_page_says_when_it_is_not_live_and_keeps_its_numbers(
    boss: Staff, site: RunningBridge, world: World
) -> None:
    page = boss.page
    page.route_web_socket("**/ws/live/", lambda socket: socket.close())
    page.goto(INDEX)
    expect(page.locator("[data-live-state]")).to_have_text("not live")
    expect(page.locator("[data-live=alerts_open]").first).to_have_text("1")
    expect(page.locator("[data-live=parked]").first).to_have_text("4")


def test_a_circuit_is_opened_and_given_back(page: Page, site: RunningBridge) -> None:
    page.goto(KAFKA)
    page.get_by_role("link", name="Force open").click()
    page.get_by_role("button", name="Force open kafka").click()
    expect(page.get_by_text("This field is required")).to_be_visible()
    page.locator('textarea[name="reason"]').fill("The brokers are being moved")
    page.get_by_role("button", name="Force open kafka").click()
    page.wait_for_url(f"**{KAFKA}")
    expect(page.get_by_text("every call is refused").first).to_be_visible()
    assert get_breaker("kafka").snapshot().mode == "forced_open"
    page.get_by_role("link", name="Auto").click()
    page.locator('textarea[name="reason"]').fill("Moved")
    page.get_by_role("button", name="Auto kafka").click()
    page.wait_for_url(f"**{KAFKA}")
    assert get_breaker("kafka").snapshot().mode == "auto"
    expect(page.get_by_text("“Moved”")).to_be_visible()


def test_a_parked_delivery_is_retried(page: Page, world: World) -> None:
    page.goto(f"{DELIVERIES}?status__exact=parked")
    choose(page, world.parked.pk, action="Retry what is parked")
    expect(page.get_by_text("are worked on again")).to_be_visible()
    page.locator('input[name="reason"]').fill("The mapping is fixed")
    page.get_by_role("button", name="Retry").click()
    expect(page.get_by_text("Due again: 1 delivery.")).to_be_visible()
    world.parked.refresh_from_db()
    assert world.parked.status == "pending"
    assert (
        AuditEntry.objects.get(verb="delivery.retry").reason == "The mapping is fixed"
    )


def test_an_alert_is_acknowledged(page: Page, world: World) -> None:
    page.goto(ALERTS)
    choose(page, world.alert.pk, action="Acknowledge")
    page.locator('select[name="feedback"]').select_option("useful")
    page.locator('input[name="reason"]').fill("Has a cold, stays at home")
    page.get_by_role("button", name="Acknowledge").click()
    expect(page.get_by_text("1 alert acknowledged.")).to_be_visible()
    alert = HrvAlert.objects.get(pk=world.alert.pk)
    assert (alert.status, alert.note) == ("acknowledged", "Has a cold, stays at home")


def test_a_trail_is_read_and_its_values_revealed_with_a_reason(
    page: Page, world: World
) -> None:
    args = [world.published.pk]
    page.goto(reverse("admin:biometrics_webhookdelivery_change", args=args))
    expect(page.get_by_text("Published in 310 ms")).to_be_visible()
    expect(page.get_by_text("avg_hrv_rmssd")).to_have_count(0)
    page.get_by_role("link", name="Reveal").click()
    page.locator('input[name="reason"]').fill("The person asked us to look")
    page.get_by_role("button", name="Reveal").click()
    expect(page.get_by_text("avg_hrv_rmssd").first).to_be_visible()
    entry = AuditEntry.objects.get(verb="values.reveal")
    assert entry.target == f"subject {world.subjects[ILL].pk}"
    assert entry.reason == "The person asked us to look"


def test_the_trail_of_a_night_leads_to_its_alert_and_both_records(
    page: Page, world: World
) -> None:
    args = [world.published.pk]
    page.goto(reverse("admin:biometrics_webhookdelivery_change", args=args))
    trail = page.locator(".console-trail")
    expect(trail.get_by_text("Judged: alert")).to_be_visible()
    for record in ("sleep.updated on", "hrv_alert.raised on"):
        expect(trail.get_by_role("link", name=record)).to_be_visible()
    expect(page.get_by_text("1 alert, 2 records")).to_be_visible()


@pytest.mark.parametrize("name", ["open", "disable", "observe", "auto", "reset"])
def test_looking_at_a_verb_changes_nothing(
    boss: Staff, site: RunningBridge, name: str
) -> None:
    before = get_breaker("kafka").snapshot()
    args = ["kafka", name]
    boss.page.goto(reverse("admin:resilience_breakermode_action", args=args))
    after = get_breaker("kafka").snapshot()
    assert (after.mode, after.state) == (before.mode, before.state)


def test_a_bulk_verb_in_the_address_changes_nothing(page: Page, world: World) -> None:
    query = f"?action=retry_parked&_selected_action={world.parked.pk}&reason=because"
    page.goto(DELIVERIES + query)
    assert WebhookDelivery.objects.get(pk=world.parked.pk).status == "parked"
    page.goto(f"{ALERTS}?action=acknowledge&_selected_action={world.alert.pk}&reason=x")
    assert HrvAlert.objects.get(pk=world.alert.pk).status == "open"
