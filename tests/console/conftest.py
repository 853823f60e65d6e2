from __future__ import annotations

from datetime import UTC, date, datetime
from types import SimpleNamespace
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.test import Client

from biometrics.models import (
    AuditEntry,
    BiometricEvent,
    DeliveryDocument,
    HrvAlert,
    HrvNight,
    OutboxMessage,
    ParkedQueue,
    PublishBatch,
    Reading,
    ReplayRun,
    SecretUse,
    ShardLease,
    StaffAlarm,
    Subject,
    VendorConnection,
    WebhookDelivery,
)

NOW = datetime(2026, 11, 24, 7, 0, tzinfo=UTC)
ACCESS_TOKEN = b"planted-access-token"


@pytest.fixture
def world(db: None) -> SimpleNamespace:
    """Return one row of everything, linked along the flow."""
    subject = Subject.objects.create(label="Robin")
    connection = VendorConnection.objects.create(
        subject=subject,
        vendor="terra",
        account_id="terra-user-1",
        access_token=ACCESS_TOKEN,
        refresh_token=b"planted-refresh-token",
        personal_token_sha256="f" * 64,
    )
    delivery = WebhookDelivery.objects.create(
        public_id=uuid4(),
        vendor="terra",
        account_id="terra-user-1",
        event_type="sleep",
        dedupe_key="trace-1",
        shard=3,
        body=b'{"type":"sleep","note":"<script>alert(1)</script>"}',
        headers={"content-type": "application/json"},
        received_at=NOW,
        status="parked",
        error_code="unreadable",
        error="data: not a list",
    )
    DeliveryDocument.objects.create(
        delivery=delivery, url="/v2/x", status=200, body=b"{}", fetched_at=NOW
    )
    event = BiometricEvent.objects.create(
        id=uuid4(),
        delivery=delivery,
        connection=connection,
        subject=subject,
        vendor="terra",
        record_type="sleep",
        record_id="night-1",
        action="created",
        revision_stamp=NOW,
        content_sha256="0" * 64,
        mapping_version=1,
        local_date=date(2026, 11, 24),
        data={"readings": []},
    )
    reading = Reading.objects.create(
        event=event,
        connection=connection,
        subject=subject,
        record_type="sleep",
        record_id="night-1",
        metric="resting_heart_rate",
        value=52,
        unit="/min",
        revision_stamp=NOW,
    )
    night = HrvNight.objects.create(
        subject=subject,
        series_id="RMSSD:terra:garmin",
        kind="RMSSD",
        night=date(2026, 11, 24),
        event=event,
        value_ms=20,
        severity="CRITICAL",
        revision_stamp=NOW,
    )
    alert = HrvAlert.objects.create(
        id=uuid4(),
        subject=subject,
        hrv_night=night,
        night=night.night,
        series_id=night.series_id,
        severity="CRITICAL",
        max_severity="CRITICAL",
        reasons=["A1_rmssd<25"],
        evidence={"value_ms": 20},
        message="HRV was 20 ms. Check in with the person.",
        ruleset="hrv-1",
        raised_at=NOW,
    )
    batch = PublishBatch.objects.create(
        shard=1, seq=1, state="published", holder="relay-1", size=1, created_at=NOW
    )
    message = OutboxMessage.objects.create(
        ce_id=event.id,
        shard=1,
        subject=subject.id,
        topic="terra-biometric-events",
        event_type="sleep.created",
        headers={"priority": "HIGH", "revision": "1"},
        value=b'{"subject":"x"}',
        status="published",
        batch=batch,
        event=event,
        alert=alert,
        created_at=NOW,
        published_at=NOW,
        kafka_partition=3,
        kafka_offset=88,
    )
    queue = ParkedQueue.objects.create(
        subject=subject.id, shard=1, from_id=message.id, reason="too large", since=NOW
    )
    lease = ShardLease.objects.filter(step="publish", shard=1).first()
    if lease is None:
        lease = ShardLease.objects.create(step="publish", shard=1, until=NOW)
    audit = AuditEntry.objects.create(
        at=NOW, actor="ops", verb="outbox.retry", target="x", reason="fixed"
    )
    alarm = StaffAlarm.objects.create(
        kind="ledger", text="7 deliveries cannot be accounted for.", since=NOW
    )
    secret = SecretUse.objects.create(
        vendor="terra",
        slot=0,
        fingerprint="0123456789abcdef",
        since=NOW,
        counted_until=NOW,
    )
    run = ReplayRun.objects.create(
        selection={"vendor": "terra"},
        actor="ops",
        through_id=delivery.pk,
        counted=[["terra", "parked", 1]],
        total=1,
        created_at=NOW,
    )
    return SimpleNamespace(
        replayrun=run,
        secretuse=secret,
        staffalarm=alarm,
        subject=subject,
        vendorconnection=connection,
        webhookdelivery=delivery,
        biometricevent=event,
        reading=reading,
        hrvnight=night,
        hrvalert=alert,
        outboxmessage=message,
        publishbatch=batch,
        parkedqueue=queue,
        shardlease=lease,
        auditentry=audit,
    )


@pytest.fixture
def admin_client(db: None) -> Client:
    """Return the browser of somebody who may do everything."""
    client = Client()
    client.force_login(User.objects.create_superuser("ops", password="x"))
    return client


@pytest.fixture
def bare_client(db: None) -> Client:
    """Return the browser of a staff member without any permission."""
    client = Client()
    client.force_login(User.objects.create_user("new", password="x", is_staff=True))
    return client
