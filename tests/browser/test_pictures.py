"""The pictures of docs/images, taken of seeded data.

AUREN_ALL_PICTURES=docs/images/console keeps one of every page, of which the documents show
some; otherwise they only have to come out.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.urls import reverse
from django.utils import timezone
from django_otp.plugins.otp_totp.models import TOTPDevice
from PIL import Image
from playwright.sync_api import expect

from biometrics import alarms, audit
from biometrics.models import ReplayRun
from biometrics.replay import runs
from biometrics.replay.selection import Selection
from resilience import force_open
from tests.browser.conftest import NARROW, WIDE
from tests.browser.seed import ILL, World
from tests.browser.staff import Staff

_LARGEST = 300_000


def planned() -> ReplayRun:
    """Return a finished plan."""
    run = runs.plan(Selection(vendor="terra"), actor="ops", now=timezone.now())
    while run.is_active:
        runs.advance(now=timezone.now, budget_s=10)
        run.refresh_from_db()
    return run


def addresses(world: World) -> dict[str, str]:
    """Return every page that has a picture, by its name."""

    def page(model: str, pk: object) -> str:
        return reverse(f"admin:biometrics_{model}_change", args=[pk])

    def of_person(name: str) -> str:
        return reverse(f"admin:biometrics_subject_{name}", args=[person.pk])

    person = world.subjects[ILL]
    lists = {
        "alarms": "staffalarm",
        "alerts": "hrvalert",
        "audit": "auditentry",
        "batches": "publishbatch",
        "connections": "vendorconnection",
        "deliveries": "webhookdelivery",
        "events": "biometricevent",
        "leases": "shardlease",
        "messages": "outboxmessage",
        "nights": "hrvnight",
        "parked_queues": "parkedqueue",
        "people": "subject",
        "readings": "reading",
        "replays": "replayrun",
        "signing_secrets": "secretuse",
        "subscriptions": "alertsubscription",
        "vendor_subscriptions": "vendorsubscription",
    }
    event = world.published.events.latest("created_at")
    return {
        **{n: reverse(f"admin:biometrics_{m}_changelist") for n, m in lists.items()},
        "dashboard": reverse("admin:index"),
        "ledger": reverse("admin:biometrics_ledger"),
        "delivery": page("webhookdelivery", world.published.pk),
        "delivery_parked": page("webhookdelivery", world.parked.pk),
        "event": page("biometricevent", event.pk),
        "message": page("outboxmessage", event.messages.latest("id").pk),
        "parked": reverse("admin:biometrics_parked"),
        "parked_retry": reverse(
            "admin:biometrics_parked_verb", args=["deliveries", "retry"]
        )
        + "?code=unreadable",
        "replay": page("replayrun", planned().pk),
        "replay_choose": reverse("admin:biometrics_replay_choose"),
        "alert": page("hrvalert", world.alert.pk),
        "person": page("subject", person.pk),
        "person_connect": of_person("connect"),
        "person_settings": of_person("tuning"),
        "person_erase": of_person("erase"),
        "reveal": of_person("reveal"),
        "breaker_transitions": reverse("admin:resilience_breakertransition_changelist"),
        "breakers": reverse("admin:resilience_breakermode_changelist"),
        "breaker": reverse("admin:resilience_breakermode_detail", args=["kafka"]),
        "breaker_auto": reverse(
            "admin:resilience_breakermode_action", args=["kafka", "auto"]
        ),
        "audit_export": reverse("admin:biometrics_auditentry_export"),
        "subscribe": reverse("admin:biometrics_alertsubscription_subscribe"),
        "second_factor": reverse("admin:auth_user_second_factor"),
        "staff": reverse("admin:auth_user_changelist"),
        "roles": reverse("admin:auth_group_changelist"),
    }


KEPT = (
    "dashboard",
    "deliveries",
    "delivery",
    "parked",
    "replay",
    "alert",
    "person",
    "breaker",
)
# Once the person's values are revealed, these look otherwise.
REVEALED = ("alert", "delivery", "person")
# Pages with charts and states: what the other theme could spoil.
DARK_TOO = ("dashboard", "delivery", "person", "alerts", "breaker")


def happenings(world: World) -> None:
    """Let a few things have happened that lists show."""
    audit.note(
        actor="grace",
        verb="values.reveal",
        target=audit.of_subject(world.subjects[ILL].pk),
        reason="called back after a bad night",
        now=world.now,
    )
    alarms.sound(
        "silence",
        key="3/sleep",
        text="Terra, connection 3: nothing of sleep came for 3 days, usually every day. "
        "Ask the person whether the device is worn.",
        now=world.now - timedelta(hours=2),
    )
    TOTPDevice.objects.create(user=User.objects.get(), name="app", confirmed=False)


def smaller(target: Path) -> None:
    """Keep the picture with 128 colours: a quarter of the size, no visible loss."""
    with Image.open(target) as picture:
        few = picture.convert("RGB").quantize(128, dither=Image.Dither.NONE)
    few.save(target, optimize=True)


@pytest.mark.usefixtures("better_mapping")
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [WIDE, NARROW], ids=["wide", "narrow"])
def test_pictures_come_out(
    make_staff: Callable[..., Staff],
    world: World,
    viewport: dict[str, int],
    scheme: str,
    tmp_path: Path,
) -> None:
    force_open("kafka", actor="ops", reason="The brokers are being moved")
    staff = make_staff(is_superuser=True, viewport=viewport, scheme=scheme)
    happenings(world)
    everywhere = os.environ.get("AUREN_ALL_PICTURES")
    folder = Path(everywhere) if everywhere else tmp_path
    pages = addresses(world)
    wanted = DARK_TOO if scheme == "dark" else tuple(pages)
    shown = {n: a for n, a in pages.items() if n in (wanted if everywhere else KEPT)}
    suffix = f"-{viewport['width']}-{scheme}" if everywhere else ""
    for name, address in shown.items():
        take(staff, address, folder / f"{name}{suffix}.png", is_whole=bool(everywhere))
    if everywhere:
        reveal(staff, pages["reveal"])
        for name in REVEALED:
            target = folder / f"{name}_revealed{suffix}.png"
            take(staff, pages[name], target, is_whole=True)


@pytest.mark.parametrize("viewport", [WIDE, NARROW], ids=["wide", "narrow"])
def test_pictures_of_an_empty_bridge_come_out(
    make_staff: Callable[..., Staff], viewport: dict[str, int], tmp_path: Path
) -> None:
    staff = make_staff(is_superuser=True, viewport=viewport)
    folder = Path(os.environ.get("AUREN_ALL_PICTURES", tmp_path))
    pages = {
        "dashboard": reverse("admin:index"),
        "deliveries": reverse("admin:biometrics_webhookdelivery_changelist"),
        "parked": reverse("admin:biometrics_parked"),
    }
    for name, address in pages.items():
        target = folder / f"{name}_empty-{viewport['width']}-light.png"
        take(staff, address, target, is_whole=True)


def take(staff: Staff, address: str, target: Path, *, is_whole: bool) -> None:
    """Take a picture of a page, of what fits the window or of the whole."""
    staff.page.goto(address, wait_until="networkidle")
    viewport = staff.page.viewport_size
    assert viewport is not None
    if is_whole:
        # The whole page, and the bar at the window's lower edge at its end.
        height = staff.page.evaluate("document.documentElement.scrollHeight")
        size = {**viewport, "height": max(viewport["height"], min(height, 2600))}
        staff.page.set_viewport_size(size)  # type: ignore[arg-type]
    staff.page.screenshot(path=target)
    staff.page.set_viewport_size(viewport)
    smaller(target)
    assert 2_000 < target.stat().st_size <= _LARGEST * (3 if is_whole else 1)


def reveal(staff: Staff, address: str) -> None:
    """Reveal the values of the person whose form this is."""
    staff.page.goto(address)
    staff.page.get_by_label("Reason").fill("called back after a bad night")
    staff.page.get_by_role("button", name="Reveal").click()
    expect(staff.page.get_by_text("Revealed for 15 minutes")).to_be_visible()
