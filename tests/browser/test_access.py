"""Every page by the rules of axe-core in both themes, and every control by the keyboard."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.contrib.auth.models import User
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import Locator, Page, expect

from biometrics.admin import inbox
from biometrics.models import (
    AlertSubscription,
    AuditEntry,
    PublishBatch,
    ReplayRun,
    StaffAlarm,
)
from biometrics.realtime.broadcast import broadcast_numbers
from resilience import get_breaker
from tests.browser.conftest import NARROW, WIDE
from tests.browser.seed import World
from tests.browser.staff import Staff
from tests.browser.test_pages import overflow
from tests.console.addresses import Address, all_addresses

# Parts of pages, not pages.
_PARTS = {"search", "autocomplete", "jsi18n", "logout"}
_DARK = "document.documentElement.classList.toggle('dark', {})"
# A panel that fades in, or a theme that changes, has no contrast to be judged yet.
_STILL = """
() => Promise.allSettled(
  document.getAnimations()
    .filter((one) => one.playState === "running")
    .filter((one) => one.effect.getComputedTiming().endTime !== Infinity)
    .map((one) => one.finished)
)
"""
_MARK = """
() => {
  const wanted = "a[href], button, input:not([type=hidden]), select, textarea, summary,"
    + " [x-on\\\\:click], [role=button], [tabindex='0']";
  const seen = (one) => one.checkVisibility({ visibilityProperty: true })
    && one.getClientRects().length > 0
    && [...one.getClientRects()].some((box) => box.width > 0 && box.height > 0);
  let number = 0;
  for (const one of document.querySelectorAll(wanted)) {
    if (!seen(one) || one.disabled || one.closest("[aria-hidden=true]")) continue;
    // A control around a control: the inner one is what is pressed.
    if (!one.matches("a[href], button, summary") && one.querySelector(wanted)) continue;
    one.dataset.wanted = number++;
  }
  return number;
}
"""
_WHERE = "() => document.activeElement?.dataset?.wanted ?? ''"
_MISSED = """
(reached) => [...document.querySelectorAll("[data-wanted]")]
  .filter((one) => !reached.includes(one.dataset.wanted))
  .filter((one) => !(one.type === "radio" && [...document.getElementsByName(one.name)]
    .some((other) => reached.includes(other.dataset.wanted))))
  .map((one) => one.outerHTML.replace(/\\s+/g, " ").slice(0, 160))
"""
_MOST_TABS = 600


@pytest.fixture
def rows(world: World) -> World:
    """Add a row to the lists that a plausible day leaves empty."""
    now = timezone.now()
    StaffAlarm.objects.create(
        kind="silence", key="1/sleep", text="No sleep.", since=now
    )
    AuditEntry.objects.create(
        at=now, actor="ops", verb="values.reveal", target="x", reason="asked"
    )
    PublishBatch.objects.create(
        shard=1, seq=1, state="published", holder="relay", size=1, created_at=now
    )
    ReplayRun.objects.create(
        selection={"vendor": "terra"},
        actor="ops",
        through_id=1,
        counted=[["terra", "parked", 1]],
        total=1,
        created_at=now - timedelta(hours=1),
        state="done",
    )
    AlertSubscription.objects.create(
        owner=User.objects.create_user("told", is_staff=True),
        channel="email",
        address="told@example.org",
        created_at=now,
    )
    return world


def open_pages(staff: Staff) -> list[Address]:
    """Return the pages that this person can look at, one of each kind."""
    request = staff.context.request
    found: dict[str, Address] = {}
    for page in all_addresses():
        if page.name in _PARTS or page.name in found:
            continue
        if request.get(page.url, max_redirects=0).status == 200:
            found[page.name] = page
    return list(found.values())


def serious(page: Page, axe: Axe) -> list[str]:
    """Return what axe-core finds that shuts somebody out, once colours stand still."""
    page.evaluate(_STILL)
    found: list[dict[str, Any]] = axe.run(page).response["violations"]
    return [
        f"{one['id']}: {node['html'][:160]}"
        for one in found
        if one["impact"] in {"serious", "critical"}
        for node in one["nodes"]
    ]


def missed_by_tab(page: Page) -> list[str]:
    """Go once round the page by Tab; return the controls that were passed over.

    Some pages begin with the focus in their form, so the round begins anywhere.
    """
    assert page.evaluate(_MARK) > 5
    reached: list[str] = []
    for _ in range(_MOST_TABS):
        page.keyboard.press("Tab")
        here = page.evaluate(_WHERE)
        if reached and here == reached[0]:
            break
        if here:
            reached.append(here)
    else:
        pytest.fail(f"{page.url}: Tab never comes round")
    missed: list[str] = page.evaluate(_MISSED, reached)
    return missed


@pytest.mark.parametrize(
    ("viewport", "themes"),
    [(WIDE, ("light", "dark")), (NARROW, ("dark",))],
    ids=["wide", "narrow"],
)
def test_no_page_has_a_serious_fault_in_either_theme(
    make_staff: Callable[..., Staff],
    rows: World,
    viewport: dict[str, int],
    themes: tuple[str, ...],
) -> None:
    staff, axe = make_staff(is_superuser=True, viewport=viewport), Axe()
    faults: dict[str, list[str]] = {}
    pages = open_pages(staff)
    assert len(pages) > 50
    for address in pages:
        staff.page.goto(address.url)
        for theme in themes:
            staff.page.evaluate(_DARK.format("true" if theme == "dark" else "false"))
            if found := serious(staff.page, axe):
                faults[f"{address} {theme}"] = found
        if overflow(staff.page) > 0:
            faults[f"{address} width"] = [f"{overflow(staff.page)} px too wide"]
    assert faults == {}


def test_every_control_of_every_page_is_reached_by_tab(
    boss: Staff, rows: World
) -> None:
    missed: dict[str, list[str]] = {}
    for address in open_pages(boss):
        boss.page.goto(address.url)
        if found := missed_by_tab(boss.page):
            missed[str(address)] = found
    assert missed == {}


def test_the_signing_in_page_has_no_serious_fault(
    make_staff: Callable[..., Staff],
) -> None:
    staff = make_staff()
    staff.context.clear_cookies()
    staff.page.goto("/admin/login/")
    for theme in ("false", "true"):
        staff.page.evaluate(_DARK.format(theme))
        assert serious(staff.page, Axe()) == []
    assert missed_by_tab(staff.page) == []


def tab_to(page: Page, control: Locator) -> None:
    """Press Tab until the control has the focus."""
    for _ in range(_MOST_TABS):
        if control.evaluate("(one) => one === document.activeElement"):
            return
        page.keyboard.press("Tab")
    pytest.fail(f"{control} is not reached by Tab")


def test_filters_are_opened_used_and_closed_by_keyboard(
    page: Page, rows: World
) -> None:
    page.goto(reverse("admin:biometrics_webhookdelivery_changelist"))
    panel = page.locator("#changelist-filter")
    expect(panel).to_be_hidden()
    tab_to(page, page.get_by_role("button", name="Filters"))
    page.keyboard.press("Enter")
    expect(panel).to_be_visible()
    assert serious(page, Axe()) == []
    page.keyboard.press("Escape")
    expect(panel).to_be_hidden()
    page.keyboard.press(" ")
    expect(panel).to_be_visible()
    tab_to(page, panel.get_by_role("button", name="Apply Filters"))
    page.keyboard.press("Enter")
    page.wait_for_load_state()
    expect(page.locator("#result_list")).to_be_visible()


def test_somebody_signs_out_by_keyboard(page: Page, boss: Staff) -> None:
    page.goto(reverse("admin:index"))
    tab_to(page, page.get_by_role("button", name=boss.name))
    page.keyboard.press("Enter")
    leave = page.get_by_role("button", name="Log out")
    expect(leave).to_be_visible()
    assert serious(page, Axe()) == []
    page.keyboard.press("Shift+Tab")
    expect(leave).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_url("**/admin/logout/")
    page.goto(reverse("admin:index"))
    page.wait_for_url("**/admin/login/**")


def test_on_a_phone_the_sidebar_is_opened_by_keyboard(
    make_staff: Callable[..., Staff], rows: World
) -> None:
    page = make_staff(is_superuser=True, viewport=NARROW).page
    page.goto(reverse("admin:index"))
    people = page.get_by_role("link", name="People", exact=True)
    expect(people).not_to_be_in_viewport()
    tab_to(page, page.get_by_role("button", name="Sidebar"))
    page.keyboard.press("Enter")
    expect(people).to_be_in_viewport()


def test_the_palette_has_no_serious_fault_in_the_dark(boss: Staff, rows: World) -> None:
    boss.page.goto(reverse("admin:index"))
    boss.page.keyboard.press("Control+k")
    expect(boss.page.get_by_role("dialog", name="Find")).to_be_visible()
    boss.page.evaluate(_DARK.format("true"))
    assert serious(boss.page, Axe()) == []


def test_what_is_live_is_only_what_one_may_see(
    make_staff: Callable[..., Staff], rows: World, as_worker: Callable[[Any], Any]
) -> None:
    page = make_staff("view_webhookdelivery").page
    with page.expect_websocket() as opened:
        page.goto(reverse("admin:index"))
    expect(page.locator("[data-live-state]")).to_have_text("live")
    with opened.value.expect_event("framereceived") as came:
        assert as_worker(lambda: broadcast_numbers(now=timezone.now()))
    told = json.loads(came.value)
    numbers = told["numbers"]
    assert "alerts" not in told["tables"]
    assert {"as_of", "parked", "deliveries_due"} <= numbers.keys()
    kinds = {key.partition("_")[0] for key in numbers}
    assert kinds.isdisjoint({"alerts", "outbox", "delay", "replay"})


def test_an_alert_is_acknowledged_by_keyboard_in_one_go(
    page: Page, boss: Staff, rows: World
) -> None:
    page.goto(inbox.open_url())
    name = f"Acknowledge alert of {rows.alert.night}: Useful"
    tab_to(page, page.get_by_role("button", name=name))
    page.keyboard.press("Enter")
    expect(page.get_by_text("Acknowledged. Useful")).to_be_visible()
    rows.alert.refresh_from_db()
    assert (rows.alert.status, rows.alert.acknowledged_by) == (
        "acknowledged",
        boss.name,
    )


def test_several_alerts_are_acknowledged_by_keyboard(page: Page, rows: World) -> None:
    page.goto(inbox.open_url())
    tab_to(page, page.locator(f'[name="_selected_action"][value="{rows.alert.pk}"]'))
    page.keyboard.press("Space")
    tab_to(page, page.locator('select[name="action"]'))
    page.keyboard.type("Ack")
    tab_to(page, page.get_by_role("button", name="Run", exact=True))
    page.keyboard.press("Enter")
    expect(page.get_by_text("marked as seen by you")).to_be_visible()
    tab_to(page, page.get_by_label("What was it worth?"))
    page.keyboard.type("Useful")
    tab_to(page, page.get_by_label("What you found or did"))
    page.keyboard.type("Has a cold")
    tab_to(page, page.get_by_role("button", name="Acknowledge", exact=True))
    page.keyboard.press("Enter")
    expect(page.get_by_text("1 alert acknowledged.")).to_be_visible()
    rows.alert.refresh_from_db()
    assert (rows.alert.status, rows.alert.feedback) == ("acknowledged", "useful")


def test_values_are_revealed_by_keyboard(page: Page, rows: World) -> None:
    url = reverse("admin:biometrics_hrvalert_change", args=[rows.alert.pk])
    page.goto(url)
    expect(page.locator("canvas")).to_have_count(0)
    tab_to(page, page.get_by_role("link", name="Reveal").first)
    page.keyboard.press("Enter")
    tab_to(page, page.get_by_label("Reason"))
    page.keyboard.type("The person asked us to look")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**{url}")
    expect(page.locator("canvas").first).to_be_visible()
    entry = AuditEntry.objects.get(verb="values.reveal", actor__startswith="staff")
    assert entry.reason == "The person asked us to look"


def test_a_circuit_is_opened_by_keyboard(page: Page, boss: Staff) -> None:
    page.goto(reverse("admin:resilience_breakermode_detail", args=["kafka"]))
    tab_to(page, page.get_by_role("link", name="Force open"))
    page.keyboard.press("Enter")
    tab_to(page, page.get_by_label("Reason"))
    page.keyboard.type("The brokers are being moved")
    tab_to(page, page.get_by_role("button", name="Force open kafka"))
    page.keyboard.press("Enter")
    expect(page.get_by_text("every call is refused").first).to_be_visible()
    assert get_breaker("kafka").snapshot().mode == "forced_open"
