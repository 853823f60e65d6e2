"""A delivery as a curl command: on the clipboard, where the browser gives one."""

from __future__ import annotations

import shlex

from django.urls import reverse
from playwright.sync_api import Locator, Page, expect

from tests.browser.seed import World
from tests.browser.staff import Staff
from tests.browser.test_access import tab_to

# As in a page that came by plain HTTP from another machine.
_NO_CLIPBOARD = "delete Navigator.prototype.clipboard"


def revealed(page: Page, world: World) -> Locator:
    """Reveal a delivery; return its button, which is reached by Tab."""
    args = [world.published.pk]
    page.goto(reverse("admin:biometrics_webhookdelivery_change", args=args))
    page.get_by_role("link", name="Reveal").first.click()
    page.get_by_label("Reason").fill("The vendor asks what was sent")
    page.get_by_role("button", name="Reveal").click()
    button = page.get_by_role("button", name="Copy as curl")
    tab_to(page, button)
    return button


def test_a_delivery_is_copied_as_curl_by_keyboard(boss: Staff, world: World) -> None:
    boss.context.grant_permissions(["clipboard-read", "clipboard-write"])
    revealed(boss.page, world)
    boss.page.keyboard.press("Enter")
    expect(boss.page.get_by_role("button", name="Copied")).to_be_focused()
    words = shlex.split(boss.page.evaluate("navigator.clipboard.readText()"))
    assert words[:3] == ["curl", "-X", "POST"]
    assert words[-2] == "--data-raw"
    assert words[-1].encode() == bytes(world.published.body or b"")


def test_without_a_clipboard_it_says_what_to_do(boss: Staff, world: World) -> None:
    boss.page.add_init_script(_NO_CLIPBOARD)
    revealed(boss.page, world)
    boss.page.keyboard.press("Enter")
    expect(boss.page.get_by_role("button", name="Press Ctrl+C")).to_be_focused()
    assert boss.page.evaluate("getSelection().toString()").startswith("curl -X POST ")
