"""What has served its time goes, and nothing that somebody still needs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from io import StringIO
from uuid import uuid4

import pytest
from django.core.management import call_command
from django.utils import timezone
from pytest_django.fixtures import Settings

from biometrics import retention
from biometrics.models import DeliveryDocument, OutboxMessage, WebhookDelivery

NOW = datetime(2026, 11, 24, 7, 0, tzinfo=UTC)
pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _days(settings: Settings) -> None:
    settings.RAW_RETENTION_DAYS = 30
    settings.MESSAGE_RETENTION_DAYS = 7


def delivery(
    *, age_days: float, status: str = "processed", now: datetime = NOW
) -> None:
    at = now - timedelta(days=age_days)
    row = WebhookDelivery.objects.create(
        public_id=uuid4(),
        vendor="oura",
        dedupe_key=str(uuid4()),
        shard=0,
        body=b"{}",
        status=status,
        received_at=at,
    )
    DeliveryDocument.objects.create(
        delivery=row, url="/x", status=200, body=b"{}", fetched_at=at
    )


def message(*, age_days: float, status: str = "published") -> None:
    at = NOW - timedelta(days=age_days)
    OutboxMessage.objects.create(
        ce_id=uuid4(),
        shard=0,
        subject=uuid4(),
        topic="t",
        event_type="sleep.created",
        headers={},
        value=b"{}",
        status=status,
        created_at=at,
        published_at=at if status == "published" else None,
    )


def many() -> None:
    for age in (1, 29.9, 30.1, 400):
        delivery(age_days=age)
    for status in ("pending", "retrying", "unlinked", "parked"):
        delivery(age_days=400, status=status)
    for age in (1, 6.9, 7.1, 400):
        message(age_days=age)
    message(age_days=400, status="pending")
    message(age_days=400, status="parked")


def test_what_is_due_is_what_goes() -> None:
    many()
    due = retention.due(now=NOW)
    assert due == {"bodies": 2, "documents": 2, "messages": 2}
    assert WebhookDelivery.objects.filter(body=None).count() == 0
    assert retention.retain(now=NOW, limit_s=60) == due
    assert retention.due(now=NOW) == {"bodies": 0, "documents": 0, "messages": 0}
    assert WebhookDelivery.objects.filter(body=None).count() == 2
    kept = OutboxMessage.objects.exclude(value=None)
    assert sorted(kept.values_list("status", flat=True)) == [
        "parked",
        "pending",
        "published",
        "published",
    ]


def test_no_row_goes() -> None:
    many()
    before = (WebhookDelivery.objects.count(), OutboxMessage.objects.count())
    retention.retain(now=NOW, limit_s=60)
    assert (WebhookDelivery.objects.count(), OutboxMessage.objects.count()) == before


def test_a_run_without_time_changes_nothing() -> None:
    many()
    done = retention.retain(now=NOW, limit_s=-1)
    assert set(done.values()) == {0}


def test_the_command_counts_before_it_drops() -> None:
    delivery(age_days=31, now=timezone.now())

    def told(*arguments: str) -> str:
        out = StringIO()
        call_command("retention", *arguments, stdout=out)
        return out.getvalue()

    assert "bodies\t1 would be dropped" in told("--dry-run")
    assert WebhookDelivery.objects.get().body is not None
    assert "bodies\t1 dropped" in told()
    assert WebhookDelivery.objects.get().body is None
    assert "bodies\t0 would be dropped" in told("--dry-run")
