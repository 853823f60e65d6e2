"""Who is told of which alert, when, and that nobody is told twice."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, time, timedelta
from threading import Barrier
from typing import Any
from uuid import uuid4

import orjson
import pytest
from django.contrib.auth.models import Permission, User
from django.core import mail
from django.db import connection, connections
from pytest_django.fixtures import Settings

from biometrics.models import (
    AlertNotice,
    AlertSubscription,
    AuditEntry,
    HrvAlert,
    StaffAlarm,
    Subject,
)
from biometrics.models.notices import Channel
from biometrics.notifying import notices, subscribing
from biometrics.public_addresses import ForbiddenAddressError
from resilience import get_breaker, registry
from tests.notifying.receiver import Receiver

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture(autouse=True)
def _fresh(settings: Settings) -> Iterator[None]:
    settings.EMAIL_HOST = "mail.example.org"
    settings.PUBLIC_URL = "https://bridge.example.org"
    registry.clear()
    yield
    registry.clear()


@pytest.fixture
def owner() -> User:
    user = User.objects.create_user("kim", email="kim@example.org", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_hrvalert"))
    return user


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    one = Receiver()
    yield one
    one.stop()


def subscribe(owner: User, **wishes: Any) -> tuple[AlertSubscription, str]:
    wish = {"channel": Channel.EMAIL, "address": owner.email, **wishes}
    return subscribing.subscribe(
        subscribing.Wish(owner_id=owner.pk, **wish), actor="kim", now=NOW - MINUTE
    )


def raise_alert(severity: str = "HIGH", **changes: Any) -> HrvAlert:
    subject = Subject.objects.create(label=f"Robin {uuid4()}")
    return HrvAlert.objects.create(
        **{
            "id": uuid4(),
            "subject": subject,
            "night": date(2026, 11, 24),
            "series_id": "RMSSD:terra:ring",
            "severity": severity,
            "max_severity": severity,
            "reasons": ["H1_z1<=-2"],
            "evidence": {"value_ms": 31415},
            "message": "HRV was 31415 ms.",
            "ruleset": "hrv-1",
            "raised_at": NOW,
            **changes,
        }
    )


def run(at: datetime = NOW) -> int:
    notices.make_due(now=at)
    return notices.send_due(now=lambda: at, budget_s=60)


def test_an_alert_is_mailed_once_to_who_subscribed(owner: User) -> None:
    subscribe(owner)
    alert = raise_alert()
    assert [run(), run(NOW + MINUTE), run(NOW + 60 * MINUTE)] == [1, 0, 0]
    (sent,) = mail.outbox
    assert sent.to == ["kim@example.org"]
    assert sent.subject == "HIGH alert, night of 2026-11-24"
    page = f"https://bridge.example.org/admin/biometrics/hrvalert/{alert.pk}/change/"
    assert page in sent.body
    notice = AlertNotice.objects.get()
    assert notice.status == "sent"
    assert sent.extra_headers["Message-ID"] == f"<{notice.pk}@bridge.example.org>"


def test_nothing_that_is_sent_names_or_measures_the_person(
    owner: User, receiver: Receiver
) -> None:
    subscribe(owner)
    subscribe(owner, channel=Channel.WEBHOOK, address=receiver.url)
    raise_alert()
    assert run() == 2
    told = str(mail.outbox[0].message()) + receiver.received[0].body.decode()
    assert "31415" not in told
    assert "Robin" not in told


def test_a_webhook_is_signed_as_receivers_expect(
    owner: User, receiver: Receiver
) -> None:
    _, secret = subscribe(owner, channel=Channel.WEBHOOK, address=receiver.url)
    alert = raise_alert("CRITICAL")
    assert run() == 1
    (received,) = receiver.received
    assert received.is_from(secret)
    assert received.headers["content-type"] == "application/json"
    assert received.headers["webhook-id"] == str(AlertNotice.objects.get().pk)
    assert received.headers["webhook-timestamp"] == str(int(NOW.timestamp()))
    said = orjson.loads(received.body)
    assert said["type"] == "hrv.alert"
    assert said["data"]["alert"] == str(alert.pk)
    assert said["data"]["severity"] == "CRITICAL"


@pytest.mark.parametrize(
    ("least", "severity", "expected"),
    [
        ("HIGH", "MEDIUM", 0),
        ("HIGH", "HIGH", 1),
        ("HIGH", "CRITICAL", 1),
        ("CRITICAL", "HIGH", 0),
        ("CRITICAL", "CRITICAL", 1),
    ],
)
def test_only_what_is_severe_enough_is_told(
    owner: User, least: str, severity: str, expected: int
) -> None:
    subscribe(owner, least=least)
    raise_alert(severity)
    assert run() == expected


def test_an_alert_that_grows_worse_is_told_to_each_once(owner: User) -> None:
    subscribe(owner)
    subscribe(owner, least="CRITICAL", address="chief@example.org")
    raise_alert("HIGH")
    assert run() == 1
    HrvAlert.objects.update(severity="CRITICAL", revision=2)
    assert run(NOW + MINUTE) == 1
    assert [m.to for m in mail.outbox] == [["kim@example.org"], ["chief@example.org"]]


@pytest.mark.parametrize(
    "changes",
    [
        {"raised_at": NOW - 5 * MINUTE},
        {"raised_at": NOW - timedelta(days=3)},
        {"status": "acknowledged"},
        {"status": "retracted"},
    ],
)
def test_what_is_no_news_is_not_told(owner: User, changes: dict[str, Any]) -> None:
    subscribe(owner)
    raise_alert(**changes)
    assert run() == 0


def test_quiet_hours_wait_and_critical_does_not(owner: User) -> None:
    quiet = {"quiet_from": time(11), "quiet_until": time(14)}
    subscribe(owner, **quiet)
    raise_alert("HIGH")
    raise_alert("CRITICAL")
    assert run() == 1
    assert mail.outbox[0].subject.startswith("CRITICAL")
    assert run(NOW + 119 * MINUTE) == 0
    assert run(NOW + 120 * MINUTE) == 1


def test_critical_waits_too_where_somebody_wants_to_sleep(owner: User) -> None:
    quiet = {"quiet_from": time(11), "quiet_until": time(14)}
    subscribe(owner, **quiet, wakes_for_critical=False)
    raise_alert("CRITICAL")
    assert run() == 0


def test_what_was_seen_to_meanwhile_is_not_told(owner: User) -> None:
    subscribe(owner, quiet_from=time(11), quiet_until=time(14))
    raise_alert("HIGH")
    run()
    HrvAlert.objects.update(status="acknowledged")
    assert run(NOW + 120 * MINUTE) == 0
    notice = AlertNotice.objects.get()
    assert (notice.status, notice.attempts) == ("dropped", 1)
    assert "acknowledged" in notice.error


@pytest.mark.parametrize("change", ["inactive", "no right"])
def test_who_may_not_look_any_more_is_not_told(owner: User, change: str) -> None:
    subscribe(owner)
    raise_alert()
    if change == "inactive":
        User.objects.update(is_active=False)
    else:
        owner.user_permissions.clear()
    assert run() == 0
    assert AlertNotice.objects.get().status == "dropped"


def test_a_receiver_that_fails_is_asked_again_under_the_same_id(
    owner: User, receiver: Receiver
) -> None:
    subscribe(owner, channel=Channel.WEBHOOK, address=receiver.url)
    receiver.answers = [(500, {}), (503, {})]
    raise_alert()
    assert run() == 0
    assert "500" in AlertNotice.objects.get().error
    assert run(NOW + timedelta(seconds=29)) == 0
    assert len(receiver.received) == 1
    assert run(NOW + timedelta(seconds=30)) == 0
    assert run(NOW + timedelta(seconds=149)) == 0
    assert run(NOW + timedelta(seconds=150)) == 1
    assert len({one.headers["webhook-id"] for one in receiver.received}) == 1
    assert len(receiver.received) == 3


def test_who_never_answers_is_given_up_and_staff_are_told(
    owner: User, receiver: Receiver
) -> None:
    one, _ = subscribe(owner, channel=Channel.WEBHOOK, address=receiver.url)
    receiver.stop()
    raise_alert()
    at = NOW
    for wait in (timedelta(0), *notices.WAITS):
        at += wait
        registry.clear()
        assert run(at) == 0
    assert AlertNotice.objects.get().status == "given_up"
    alarm = StaffAlarm.objects.get(kind=notices.ALARM)
    assert alarm.key == str(one.pk)
    assert "kim" in alarm.text
    assert run(at + timedelta(days=1)) == 0


def test_a_receiver_that_fails_is_left_alone(owner: User, receiver: Receiver) -> None:
    one, _ = subscribe(owner, channel=Channel.WEBHOOK, address=receiver.url)
    receiver.answers = [(500, {})] * 9
    for _ in range(6):
        raise_alert()
    assert run() == 0
    assert get_breaker(f"alert-webhook:{one.pk}").snapshot().state == "open"
    assert len(receiver.received) == 3


def test_a_receiver_that_is_gone_ends_its_subscription(
    owner: User, receiver: Receiver
) -> None:
    subscribe(owner, channel=Channel.WEBHOOK, address=receiver.url)
    receiver.answers = [(410, {})]
    raise_alert()
    assert run() == 0
    one = AlertSubscription.objects.get()
    assert one.ended_at == NOW
    assert one.secret is None
    assert AuditEntry.objects.filter(verb="notice.unsubscribe").exists()


def test_a_redirect_is_not_followed(owner: User, receiver: Receiver) -> None:
    other = Receiver()
    try:
        subscribe(owner, channel=Channel.WEBHOOK, address=receiver.url)
        receiver.answers = [(307, {"location": other.url})]
        raise_alert()
        assert run() == 0
        assert other.received == []
        assert "307" in AlertNotice.objects.get().error
    finally:
        other.stop()


def test_outside_of_development_no_webhook_leads_to_us(
    owner: User, receiver: Receiver, settings: Settings
) -> None:
    subscribe(owner, channel=Channel.WEBHOOK, address=receiver.url)
    settings.AUREN_MODE = "production"
    raise_alert()
    assert run() == 0
    assert receiver.received == []
    assert AlertNotice.objects.get().status == "given_up"
    with pytest.raises(ForbiddenAddressError):
        subscribe(owner, channel=Channel.WEBHOOK, address="https://10.0.0.1/")


def test_a_mail_server_that_is_away_is_tried_again(
    owner: User, settings: Settings
) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    subscribe(owner)
    raise_alert()
    assert run() == 0
    assert "mail server" in AlertNotice.objects.get().error
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    assert run(NOW + MINUTE) == 1


def test_without_a_mail_server_nobody_subscribes_by_mail(
    owner: User, settings: Settings
) -> None:
    settings.EMAIL_HOST = ""
    with pytest.raises(subscribing.SubscribingError, match="EMAIL_HOST"):
        subscribe(owner)


@pytest.mark.parametrize("wishes", [{"quiet_from": time(1)}, {"zone": "Mars/Olympus"}])
def test_a_wish_that_makes_no_sense_is_refused(
    owner: User, wishes: dict[str, Any]
) -> None:
    with pytest.raises(subscribing.SubscribingError):
        subscribe(owner, **wishes)


def test_the_same_address_subscribes_once(owner: User) -> None:
    one, _ = subscribe(owner)
    with pytest.raises(subscribing.SubscribingError, match="already"):
        subscribe(owner)
    assert subscribing.end(one.pk, actor="kim", reason="holiday", now=NOW)
    subscribe(owner)


def test_a_secret_lies_encrypted(owner: User) -> None:
    one, secret = subscribe(
        owner, channel=Channel.WEBHOOK, address="https://hooks.example.org/"
    )
    assert one.secret is not None
    assert secret.removeprefix("whsec_").encode() not in bytes(one.secret)


def test_a_worker_that_died_in_mid_attempt_is_followed_by_another(owner: User) -> None:
    subscribe(owner)
    raise_alert()
    notices.make_due(now=NOW)
    notice = AlertNotice.objects.get()
    assert notices._claim(notice, now=NOW)
    assert run(NOW + MINUTE) == 0
    assert run(NOW + 2 * MINUTE) == 1


@pytest.mark.skipif(
    connection.vendor != "postgresql", reason="needs two writers at once"
)
@pytest.mark.django_db(transaction=True)
def test_workers_at_the_same_moment_tell_it_once(
    owner: User, receiver: Receiver
) -> None:
    subscribe(owner, channel=Channel.WEBHOOK, address=receiver.url)
    for _ in range(5):
        raise_alert()
    barrier = Barrier(4)

    def work() -> int:
        barrier.wait(10)
        try:
            return run()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        told = sum(pool.map(lambda _: work(), range(4)))
    assert told == 5
    ids = [one.headers["webhook-id"] for one in receiver.received]
    assert len(ids) == len(set(ids)) == 5
