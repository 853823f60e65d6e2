"""The HRV chart: drawn, readable without a mouse or a picture, in both themes and widths."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.urls import reverse
from playwright.sync_api import Page, expect

from tests.browser.conftest import NARROW, WIDE
from tests.browser.seed import ILL, World
from tests.browser.staff import Staff
from tests.browser.test_pages import overflow

CHART = "Chart.getChart(document.querySelector('canvas[data-hrv]'))"


def alert_page(world: World) -> str:
    return reverse("admin:biometrics_hrvalert_change", args=[world.alert.pk])


def person_page(world: World) -> str:
    return reverse("admin:biometrics_subject_change", args=[world.subjects[ILL].pk])


def open_revealed(page: Page, address: str) -> None:
    page.goto(address)
    assert page.locator("canvas").count() == 0
    page.get_by_role("link", name="Reveal").first.click()
    page.locator("input[name=reason]").fill("asked by the person")
    page.get_by_role("button", name="Reveal").click()
    expect(page.locator("canvas[data-hrv]").first).to_be_visible()


def drawn(page: Page) -> dict[str, Any]:
    """Return what Chart.js holds, by the name of the line."""
    held: dict[str, Any] = page.evaluate(
        f"Object.fromEntries({CHART}.data.datasets.map((d) => [d.label, d.data]))"
    )
    return held


def gaps_are_shown(page: Page) -> bool:
    line = f"{CHART}.data.datasets.find((d) => d.label === 'RMSSD')"
    return page.evaluate(f"{line}.spanGaps") is False


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [WIDE, NARROW], ids=["wide", "narrow"])
def test_both_pages_show_it(
    make_staff: Callable[..., Staff],
    world: World,
    viewport: dict[str, int],
    scheme: str,
) -> None:
    staff = make_staff(is_superuser=True, viewport=viewport, scheme=scheme)
    page = staff.page
    open_revealed(page, alert_page(world))
    on_alert = drawn(page)
    assert overflow(page) <= 0
    page.goto(person_page(world))
    on_person = drawn(page)
    assert overflow(page) <= 0
    for held in (on_alert, on_person):
        values = held["RMSSD"]
        # Today's night may not have ended yet.
        last = max(place for place, value in enumerate(values) if value is not None)
        assert values[last] == 31
        assert last >= len(values) - 2
        # Two nights without the watch are a gap of the line, not a bridge.
        assert gaps_are_shown(page)
        assert values[last - 21 : last - 19] == [None, None]
        assert 40 < held["lower edge"][last] < held["own usual range"][last] < 80
        assert [v for v in held[world.alert.severity] if v is not None] == [31]
    assert len(on_person["RMSSD"]) == 90
    if folder := os.environ.get("AUREN_ALL_PICTURES"):
        name = f"{viewport['width']}-{scheme}.png"
        page.screenshot(path=f"{folder}/hrv-person-{name}", full_page=True)
        page.goto(alert_page(world), wait_until="networkidle")
        page.screenshot(path=f"{folder}/hrv-alert-{name}", full_page=True)


def test_it_is_drawn_anew_when_the_theme_changes(page: Page, world: World) -> None:
    open_revealed(page, alert_page(world))
    colour = f"{CHART}.options.scales.x.ticks.color"
    before = page.evaluate(colour)
    page.evaluate("document.documentElement.classList.toggle('dark')")
    page.wait_for_function(f"{colour} !== '{before}'")


def test_the_keyboard_reads_out_nights_and_opens_the_table(
    page: Page, world: World
) -> None:
    open_revealed(page, alert_page(world))
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.matches('canvas[data-hrv]')"):
            break
    page.keyboard.press("ArrowLeft")
    spoken = page.locator("[data-hrv-read]")
    expect(spoken).to_contain_text(f"{world.alert.night}: 31 ms, own usual")
    expect(spoken).to_contain_text(f"alert: {world.alert.severity}")
    page.keyboard.press("Home")
    oldest = world.alert.night - timedelta(days=60)
    expect(spoken).to_contain_text(str(oldest))

    row = page.get_by_role("row", name=str(world.alert.night))
    expect(row).to_be_hidden()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(row).to_contain_text("31.0")


def test_a_longer_span_is_one_link_away(page: Page, world: World) -> None:
    open_revealed(page, person_page(world))
    page.get_by_role("link", name="365 days").click()
    expect(page.locator("canvas[data-hrv]")).to_be_visible()
    assert len(drawn(page)["RMSSD"]) == 365
