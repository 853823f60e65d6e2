"""The pictures of docs/images, taken of seeded data.

AUREN_PICTURES=docs/images keeps them; otherwise they only have to come out.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from django.urls import reverse
from django.utils import timezone

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
    def page(model: str, pk: object) -> str:
        return reverse(f"admin:biometrics_{model}_change", args=[pk])

    return {
        "dashboard": reverse("admin:index"),
        "deliveries": reverse("admin:biometrics_webhookdelivery_changelist"),
        "delivery": page("webhookdelivery", world.published.pk),
        "delivery_parked": page("webhookdelivery", world.parked.pk),
        "parked": reverse("admin:biometrics_parked"),
        "replay": page("replayrun", planned().pk),
        "replay_choose": reverse("admin:biometrics_replay_choose"),
        "replays": reverse("admin:biometrics_replayrun_changelist"),
        "alerts": reverse("admin:biometrics_hrvalert_changelist"),
        "alert": page("hrvalert", world.alert.pk),
        "person": page("subject", world.subjects[ILL].pk),
        "breaker": reverse("admin:resilience_breakermode_detail", args=["kafka"]),
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
    is_kept = viewport is WIDE and scheme == "light"
    folder = Path(os.environ.get("AUREN_PICTURES", tmp_path)) if is_kept else tmp_path
    if everywhere := os.environ.get("AUREN_ALL_PICTURES"):
        folder = Path(everywhere)
    for name, address in addresses(world).items():
        if not everywhere and name not in KEPT:
            continue
        staff.page.goto(address, wait_until="networkidle")
        suffix = f"-{viewport['width']}-{scheme}" if everywhere else ""
        target = folder / f"{name}{suffix}.png"
        staff.page.screenshot(path=target, full_page=bool(everywhere))
        assert 5_000 < target.stat().st_size <= _LARGEST * (3 if everywhere else 1)
