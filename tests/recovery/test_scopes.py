"""A 401 of one collection: a scope that is missing, or a token that has died early."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from biometrics.models import VendorConnection, WebhookDelivery
from biometrics.recovery import backfill
from tests.recovery.vendors import Vendors

_WITHOUT_STRESS = "personal daily heartrate workout tag session spo2Daily"


def resilience(vendors: Vendors, ago: int) -> str:
    """Have the ring know a day of resilience, which needs the scope `stress`."""
    day = vendors.day(ago).isoformat()
    key = f"resilience-{day}"
    vendors.put(
        "oura", "daily_resilience", key, day, {"id": key, "day": day, "level": "solid"}
    )
    return key


def asked(vendors: Vendors, part: str) -> int:
    counted = vendors.world.vendors["oura"].requests
    return sum(times for line, times in counted.items() if part in line)


def fates() -> set[tuple[str, str]]:
    return set(WebhookDelivery.objects.values_list("status", "error_code"))


def test_a_missing_scope_costs_no_renewal(vendors: Vendors) -> None:
    connection = vendors.connect(scopes=_WITHOUT_STRESS)
    for ago in range(5):
        vendors.webhook("daily_resilience", resilience(vendors, ago))
    vendors.run()
    assert fates() == {("parked", "refused")}
    assert asked(vendors, "/oauth/token") == 0
    # All five asked the vendor once whether it takes the token at all.
    assert asked(vendors, "personal_info") == 1
    vendors.webhook("daily_sleep", vendors.score(0))
    vendors.run()
    assert WebhookDelivery.objects.filter(status="processed").count() == 1
    connection.refresh_from_db()
    assert connection.status == "active"


def test_lists_that_need_a_scope_cost_no_renewal_either(vendors: Vendors) -> None:
    connection = vendors.connect(scopes=_WITHOUT_STRESS)
    vendors.score(1)
    found = backfill.fetch_history(connection_id=connection.id, now=vendors.now)
    assert found is not None
    assert {kind for kind, error in found.errors.items() if "401" in str(error)} == {
        "daily_resilience",
        "daily_cardiovascular_age",
        "vo2_max",
    }
    assert found.new == {"daily_sleep": 1}
    assert asked(vendors, "/oauth/token") == 0


def test_a_token_that_died_early_is_renewed_once(vendors: Vendors) -> None:
    vendors.connect()
    vendors.world.vendors["oura"].grants.expire("ring-1", now=vendors.world.clock())
    for ago in range(5):
        vendors.webhook("daily_resilience", resilience(vendors, ago))
    vendors.run()
    assert fates() == {("processed", "")}
    assert asked(vendors, "/oauth/token") == 1


def test_a_renewal_that_helps_nothing_is_made_once_in_a_session(
    vendors: Vendors,
) -> None:
    vendors.connect(scopes=_WITHOUT_STRESS)
    vendors.world.vendors["oura"].grants.expire("ring-1", now=vendors.world.clock())
    for ago in range(5):
        vendors.webhook("daily_resilience", resilience(vendors, ago))
    vendors.run()
    assert fates() == {("parked", "refused")}
    assert asked(vendors, "/oauth/token") == 1


def test_a_vendor_that_cannot_be_asked_decides_nothing(vendors: Vendors) -> None:
    vendors.connect(scopes=_WITHOUT_STRESS)
    vendors.fault("500", path="personal_info", times=100)
    vendors.webhook("daily_resilience", resilience(vendors, 0))
    vendors.run()
    assert fates() == {("retrying", "vendor_unavailable")}
    assert asked(vendors, "/oauth/token") == 0


@pytest.mark.parametrize(
    ("granted", "shown"),
    [
        ("", "unknown"),
        ("personal daily heartrate workout tag session spo2Daily", "stress, ring_"),
        (
            "personal daily heartrate workout tag session spo2Daily stress"
            " ring_configuration heart_health",
            "none",
        ),
    ],
)
def test_staff_see_what_was_not_granted(
    client: Client, vendors: Vendors, granted: str, shown: str
) -> None:
    connection = vendors.connect()
    VendorConnection.objects.update(scopes=granted)
    client.force_login(User.objects.create_superuser("ops", password="x"))
    page = client.get(
        reverse("admin:biometrics_vendorconnection_change", args=[connection.id])
    )
    said = " ".join(page.content.decode().split())
    row = said.partition("Scopes not granted")[2]
    assert shown in row[: row.find("Credentials held")]
