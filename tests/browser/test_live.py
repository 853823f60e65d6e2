"""The dashboard while things happen, and where a browser runs no scripts."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from django.urls import reverse
from playwright.sync_api import Browser, Page, expect

from biometrics import alarms, balances, nudges
from biometrics.models import HrvAlert
from biometrics.realtime import broadcast
from biometrics.realtime.broadcast import broadcast_numbers
from resilience import force_open
from tests.bridge import RunningBridge
from tests.browser.seed import ILL, World, body, sleep
from tests.browser.staff import Staff

INDEX = reverse("admin:index")


def now() -> datetime:
    return datetime.now(tz=UTC)


def push_whole(as_worker: Callable[[Any], Any]) -> None:
    """Push the whole board, whoever had the turn."""
    nudges.connect().delete(broadcast._TURN, broadcast._WHOLE_TURN)
    assert as_worker(lambda: broadcast_numbers(now=now()))


_BARS = """() => Chart.getChart(document.querySelector("[data-live-chart=traffic] canvas"))
    .data.datasets.flatMap((one) => one.data).reduce((sum, n) => sum + n, 0)"""


def test_an_empty_dashboard_fills_while_one_looks(
    page: Page, site: RunningBridge, as_worker: Callable[[Any], Any]
) -> None:
    page.goto(INDEX)
    expect(page.locator("[data-live-state]")).to_have_text("live")
    expect(page.get_by_text("No deliveries yet.")).to_be_visible()
    expect(page.get_by_text("Nothing came in the last hour.")).to_be_visible()
    expect(page.locator("[data-live-chart=traffic]")).to_be_hidden()
    night = sleep(day=now(), rmssd=60, resting=54)
    for _ in range(2):
        site.deliver("terra", body(user_id="terra-kim", nights=[night]))
    force_open("kafka", actor="ops", reason="The brokers are being moved")
    alarms.sound("silence", key="1/sleep", text="Nothing came for days.", now=now())
    as_worker(lambda: balances.count(now=now()))
    push_whole(as_worker)
    # One stored, and the same again: a duplicate.
    expect(page.locator("[data-live=ledger_received]")).to_have_text("2")
    row = page.locator("[data-live-rows=ledger] tr")
    expect(row.locator("th")).to_have_text("terra")
    expect(row.locator("a")).to_have_attribute(
        "href", reverse("admin:biometrics_ledger")
    )
    told = page.locator("[data-live-rows=traffic] tr")
    expect(told).to_have_count(2)
    expect(told.last).to_contain_text("terrastored1")
    expect(page.locator("[data-live-chart=traffic]")).to_be_visible()
    assert page.evaluate(_BARS) == 2
    expect(page.get_by_text("No deliveries yet.")).to_be_hidden()
    expect(page.locator("[data-live=summary]")).to_have_text(
        re.compile("Calls are refused: kafka. For a person: 1 alarm")
    )
    alarm = page.locator("[data-live-rows=alarms] tr")
    expect(alarm).to_contain_text("Silent stream")
    alarm.get_by_role("link").click()
    expect(page.get_by_text("Nothing came for days.")).to_be_visible()


def test_what_came_last_changes_while_one_looks(
    page: Page, site: RunningBridge, world: World, as_worker: Callable[[Any], Any]
) -> None:
    HrvAlert.objects.update(status="acknowledged")
    page.goto(INDEX)
    expect(page.locator("[data-live-state]")).to_have_text("live")
    nothing = page.get_by_text("No open alerts: no night waits")
    expect(nothing).to_be_visible()
    delivery = page.locator("[data-live-rows=deliveries] tr").first
    expect(delivery).to_contain_text("processed")
    night = sleep(day=now(), rmssd=60, resting=54)
    site.deliver("terra", body(user_id="terra-kim", nights=[night]))
    HrvAlert.objects.filter(pk=world.alert.pk).update(status="open")
    push_whole(as_worker)
    # The list says what the number beside it says.
    expect(page.locator("[data-live=alerts_open]").first).to_have_text("1")
    expect(nothing).to_be_hidden()
    alert = page.locator("[data-live-rows=alerts] tr")
    expect(alert).to_contain_text(ILL)
    expect(delivery).to_contain_text("pending")
    alert.get_by_role("link").click()
    page.wait_for_url(f"**/hrvalert/{world.alert.pk}/change/")


@pytest.fixture
def scriptless(
    chrome: Browser, make_staff: Callable[..., Staff], site: RunningBridge
) -> Iterator[Page]:
    """Open the browser of somebody who may do everything and runs no scripts."""
    boss = make_staff(is_superuser=True)
    context = chrome.new_context(
        base_url=f"http://127.0.0.1:{site.port}", java_script_enabled=False
    )
    context.add_cookies(boss.context.cookies())  # type: ignore[arg-type]
    yield context.new_page()
    context.close()


def test_without_javascript_the_dashboard_has_its_numbers_with_their_time(
    scriptless: Page, world: World
) -> None:
    scriptless.goto(INDEX)
    expect(scriptless.locator("[data-live=summary]")).to_be_visible()
    expect(scriptless.locator("[data-live-state]")).to_have_text("not live")
    parked = scriptless.locator("[data-live=parked]").first
    expect(parked).to_be_visible()
    expect(parked).to_have_text("4")
    text = scriptless.locator("[data-live=as_of]").inner_text()
    told = datetime.strptime(text, "%H:%M:%S UTC").replace(tzinfo=UTC)
    assert (now() - told).seconds < 60
    expect(scriptless.locator("[data-live-rows=ledger] tr")).to_have_count(2)
    expect(scriptless.locator("[data-live-rows=traffic] tr")).to_have_count(3)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("biometrics_ledger", r"^counted at \d\d:\d\d:\d\d UTC$"),
        ("resilience_breakermode_changelist", r"As of \d\d:\d\d:\d\d UTC"),
        ("biometrics_parked", r"first \d{4}-\d\d-\d\d \d\d:\d\d"),
        ("biometrics_webhookdelivery_changelist", r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$"),
    ],
)
def test_without_javascript_pages_say_of_when_they_speak(
    scriptless: Page, world: World, name: str, said: str
) -> None:
    scriptless.goto(reverse(f"admin:{name}"))
    expect(scriptless.get_by_text(re.compile(said)).first).to_be_visible()
