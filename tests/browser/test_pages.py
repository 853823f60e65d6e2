"""Every page opens without a complaint of the browser under the strict policy."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.urls import reverse
from playwright.sync_api import Page, expect

from biometrics.models import (
    BiometricEvent,
    HrvAlert,
    HrvNight,
    OutboxMessage,
    ParkedQueue,
    Reading,
    ShardLease,
    Subject,
    VendorConnection,
    WebhookDelivery,
)
from tests.browser.conftest import NARROW
from tests.browser.seed import World
from tests.browser.staff import Staff

LISTS = (
    "auditentry",
    "biometricevent",
    "hrvalert",
    "hrvnight",
    "outboxmessage",
    "parkedqueue",
    "publishbatch",
    "reading",
    "replayrun",
    "shardlease",
    "subject",
    "vendorconnection",
    "webhookdelivery",
)
PAGES = (
    BiometricEvent,
    HrvAlert,
    HrvNight,
    OutboxMessage,
    ParkedQueue,
    Reading,
    ShardLease,
    Subject,
    VendorConnection,
    WebhookDelivery,
)


def addresses() -> list[str]:
    lists = [reverse(f"admin:biometrics_{name}_changelist") for name in LISTS]
    others = [
        reverse("admin:index"),
        reverse("admin:biometrics_parked"),
        reverse("admin:biometrics_replay_choose"),
        reverse("admin:resilience_breakermode_changelist"),
        reverse("admin:resilience_breakermode_detail", args=["kafka"]),
        reverse("admin:resilience_breakertransition_changelist"),
        reverse("admin:auth_user_changelist"),
        reverse("admin:auth_group_changelist"),
    ]
    return lists + others


def pages() -> list[str]:
    found = []
    for model in PAGES:
        row = model._default_manager.first()
        if row is not None:
            name = f"admin:biometrics_{model._meta.model_name}_change"
            found.append(reverse(name, args=[row.pk]))
    return found


def overflow(page: Page) -> int:
    return int(
        page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
    )


def test_every_page_opens_wide_and_light(boss: Staff, world: World) -> None:
    for address in [*addresses(), *pages()]:
        answer = boss.page.goto(address)
        assert answer is not None
        assert answer.status == 200, address
        expect(boss.page.locator("#content, main, [role=main]").first).to_be_visible()


def test_every_page_fits_a_phone_in_the_dark(
    make_staff: Callable[..., Staff], world: World
) -> None:
    staff = make_staff(is_superuser=True, viewport=NARROW, scheme="dark")
    for address in [*addresses(), *pages()]:
        answer = staff.page.goto(address)
        assert answer is not None
        assert answer.status == 200, address
        assert overflow(staff.page) <= 0, address
    assert "dark" in (staff.page.locator("html").get_attribute("class") or "")


def test_an_empty_bridge_has_pages_too(boss: Staff) -> None:
    for address in addresses():
        answer = boss.page.goto(address)
        assert answer is not None
        assert answer.status == 200, address


@pytest.mark.parametrize("viewport", [NARROW, {"width": 1280, "height": 900}])
def test_somebody_without_permissions_sees_neither_block_nor_link(
    make_staff: Callable[..., Staff], world: World, viewport: dict[str, int]
) -> None:
    staff = make_staff(viewport=viewport)
    staff.page.goto(reverse("admin:index"))
    text = staff.page.content()
    assert "Robin" not in text
    for address in addresses():
        if address != reverse("admin:index"):
            # Below it lies everybody's own page: the second factor.
            for end in ('"', "?"):
                assert f'href="{address}{end}' not in text, address
