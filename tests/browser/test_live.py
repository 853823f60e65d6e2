"""The dashboard while things happen, and where a browser runs no scripts."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from django.urls import reverse
from playwright.sync_api import Browser, Page, expect

from biometrics import alarms, balances, nudges
from biometrics.realtime import broadcast
from biometrics.realtime.broadcast import broadcast_numbers
from resilience import force_open
from tests.bridge import RunningBridge
from tests.browser.seed import World, body, sleep
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


@pytest.mark.parametrize("name", ["admin:index", "admin:biometrics_ledger"])
def test_without_javascript_the_numbers_are_there_with_their_time(
    chrome: Browser,
    make_staff: Callable[..., Staff],
    site: RunningBridge,
    world: World,
    name: str,
) -> None:
    boss = make_staff(is_superuser=True)
    context = chrome.new_context(
        base_url=f"http://127.0.0.1:{site.port}",
        java_script_enabled=False,
    )
    try:
        context.add_cookies(boss.context.cookies())  # type: ignore[arg-type]
        page = context.new_page()
        page.goto(reverse(name))
        expect(page.get_by_text("Nothing is lost")).to_be_visible()
        expect(page.locator("[data-live=ledger_at]")).to_have_text(
            re.compile(r"^counted at \d\d:\d\d:\d\d UTC$")
        )
        expect(page.locator("dd[data-live=ledger_received]")).to_be_visible()
        if name == "admin:index":
            expect(page.locator("[data-live-state]")).to_have_text("not live")
            parked = page.locator("[data-live=parked]").first
            expect(parked).to_be_visible()
            expect(parked).to_have_text("4")
            text = page.locator("[data-live=as_of]").inner_text()
            told = datetime.strptime(text, "%H:%M:%S UTC").replace(tzinfo=UTC)
            assert (now() - told).seconds < 60
    finally:
        context.close()
