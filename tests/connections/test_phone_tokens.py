"""A person's token in the admin: shown once, told where it goes, replaced."""

from __future__ import annotations

import hashlib
import re

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from biometrics.models import AuditEntry, OutboxMessage, Subject, VendorConnection

pytestmark = pytest.mark.django_db


def issue(client: Client, subject: Subject) -> tuple[str, str]:
    """Return a new token and the page that shows it."""
    maker = reverse("admin:biometrics_subject_connect", args=[subject.pk])
    page = client.post(maker, {"vendor": "healthkit"}).content.decode()
    found = re.search(r"Authorization: Bearer ([\w-]+)", page)
    assert found is not None, page
    return found[1], page


def held() -> str | None:
    return VendorConnection.objects.get().personal_token_sha256


def test_a_token_is_shown_once_and_replaced(client: Client) -> None:
    robin = Subject.objects.create(label="Robin")
    client.force_login(User.objects.create_superuser("ops", password="x"))
    first, page = issue(client, robin)
    assert held() == hashlib.sha256(first.encode()).hexdigest()
    for told in ("/webhooks/healthkit", str(robin.id), "Shown this once"):
        assert told in page
    maker = reverse("admin:biometrics_subject_connect", args=[robin.pk])
    assert first not in client.get(maker).content.decode()
    second, _ = issue(client, robin)
    assert second != first
    assert held() == hashlib.sha256(second.encode()).hexdigest()
    verbs = AuditEntry.objects.values_list("verb", flat=True)
    assert list(verbs) == ["connection.token"] * 2
    assert first not in str(list(AuditEntry.objects.values()))


def test_staff_revoke_with_a_reason(client: Client) -> None:
    robin = Subject.objects.create(label="Robin")
    client.force_login(User.objects.create_superuser("ops", password="x"))
    issue(client, robin)
    row = VendorConnection.objects.get()
    chosen = {"action": "revoke_selected", "_selected_action": [row.pk]}
    listing = reverse("admin:biometrics_vendorconnection_changelist")
    assert client.post(listing, chosen).status_code == 200
    assert held() is not None
    assert client.post(listing, {**chosen, "reason": "phone lost"}).status_code == 302
    row.refresh_from_db()
    assert (row.status, row.status_reason) == ("revoked", "phone lost")
    assert held() is None
    noted = AuditEntry.objects.get(verb="connection.revoke")
    assert (noted.actor, noted.reason) == ("ops", "phone lost")
    # Consumers hear of both, and of nothing that staff wrote.
    told = OutboxMessage.objects.order_by("id")
    assert [one.event_type for one in told] == [
        "connection.connected",
        "connection.revoked",
    ]
    assert all(b"phone lost" not in bytes(one.value or b"") for one in told)
