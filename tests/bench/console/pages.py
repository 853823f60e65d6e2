"""Opens every page of the console as a browser would, and times the server."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.contrib.auth.models import User
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from biometrics import tasks
from biometrics.models import BiometricEvent, HrvAlert, Subject, WebhookDelivery
from tests.console.addresses import all_addresses
from tests.console.revealing import reveal

_NOT_READ = ("_add", "_delete", "_history", "_confirm", "_cancel", "_acknowledge")
_OK = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """One page: its name, its queries, and the milliseconds of each request.

    `own_ms` is processor time of this process: what is left without waiting, for the
    database or for a processor that somebody else has.
    """

    name: str
    queries: int
    ms: list[float] = field(default_factory=list)
    own_ms: list[float] = field(default_factory=list)

    @property
    def p95(self) -> float:
        """Return the 95th percentile, the next higher one measured."""
        return sorted(self.ms)[min(len(self.ms) - 1, len(self.ms) * 95 // 100)]


def measure(*, rounds: int, only: str = "") -> Iterator[Timed]:
    """Yield every page that answers 200; the person's values are revealed before."""
    settings.ALLOWED_HOSTS = ["testserver"]
    boss, _ = User.objects.get_or_create(
        username="bench", defaults={"is_staff": True, "is_superuser": True}
    )
    client = Client()
    client.force_login(boss)
    # Beat does so every minute.
    tasks.check_ledger()
    tasks.count_hrv_rates()
    reveal(client, Subject.objects.order_by("label").last().pk)  # type: ignore[union-attr]
    for name, url in [*_pages(), *_asked()]:
        if only in name:
            yield _timed(client, name=name, url=url, rounds=rounds)


def _timed(client: Client, *, name: str, url: str, rounds: int) -> Timed:
    cache.clear()
    with CaptureQueriesContext(connection) as captured:
        status = client.get(url).status_code
    if status != _OK:
        return Timed(name=f"{name} ({status})", queries=0)
    found = Timed(name=name, queries=len(captured))
    for _ in range(rounds):
        cache.clear()
        began, own = time.perf_counter(), time.process_time()
        client.get(url)
        found.ms.append((time.perf_counter() - began) * 1000)
        found.own_ms.append((time.process_time() - own) * 1000)
    sys.stderr.write(f"{name}: {found.p95:.0f} ms, {found.queries} queries\n")
    return found


def _pages() -> Iterator[tuple[str, str]]:
    for page in all_addresses():
        if not page.name.endswith(_NOT_READ) and page.name != "logout":
            yield page.name, page.url


def _asked() -> Iterator[tuple[str, str]]:
    """Yield what people ask of these pages: filters, searches, rows old and new."""
    deliveries = reverse("admin:biometrics_webhookdelivery_changelist")
    messages = reverse("admin:biometrics_outboxmessage_changelist")
    newest = WebhookDelivery.objects.filter(status="processed").latest("id")
    parked = WebhookDelivery.objects.filter(status="parked").latest("id")
    event = BiometricEvent.objects.latest("created_at")
    alert = HrvAlert.objects.latest("raised_at")
    subject = Subject.objects.order_by("label").last()
    assert subject is not None
    day = datetime.now(tz=UTC) - timedelta(days=9)
    hour = f"received_at_from_0={day:%Y-%m-%d}&received_at_from_1=07:00:00"
    hour += f"&received_at_to_0={day:%Y-%m-%d}&received_at_to_1=08:00:00"
    for name, query in (
        ("parked", "status__exact=parked"),
        ("parked, by reason", "error_code=malformed"),
        ("one vendor", "vendor=oura"),
        ("one vendor, parked", "vendor=oura&status__exact=parked"),
        ("waiting for an account", "status__exact=unlinked"),
        ("ignored", "status__exact=ignored"),
        ("erased", "status__exact=erased"),
        ("fetched afterwards", "origin__exact=recovered"),
        ("an hour nine days ago", hour),
        ("an hour, one vendor", f"{hour}&vendor=whoop"),
        ("oldest first", "o=1"),
        ("page 20", "p=20"),
        ("search: account", f"q={newest.account_id}"),
        ("search: record", f"q={newest.trace}"),
        ("search: nothing", "q=there-is-none"),
    ):
        yield f"deliveries, {name}", f"{deliveries}?{query}"
    for name, query in (
        ("pending", "status__exact=pending"),
        ("parked", "status__exact=parked"),
        ("published", "status__exact=published"),
        ("urgent", "priority__exact=2"),
        ("published in an hour nine days ago", hour.replace("received", "published")),
        ("search: person", f"q={subject.pk}"),
    ):
        yield f"messages, {name}", f"{messages}?{query}"
    for title, model, query in (
        ("events, search: person", "biometricevent", f"q={subject.pk}"),
        ("events, one vendor", "biometricevent", "vendor=terra"),
        ("events, deleted", "biometricevent", "action__exact=deleted"),
        (
            "events, an hour nine days ago",
            "biometricevent",
            hour.replace("received", "created"),
        ),
        ("events, stale", "biometricevent", "status__exact=stale"),
        ("events, search: record", "biometricevent", f"q={newest.trace}"),
        ("readings, one metric", "reading", "metric=resting_heart_rate"),
        ("readings, metric without rows", "reading", "metric=weight"),
        ("readings, search: person", "reading", f"q={subject.pk}"),
        ("readings, search: record", "reading", f"q={newest.trace}"),
        ("nights, CRITICAL", "hrvnight", "severity__exact=CRITICAL"),
        ("nights, search: person", "hrvnight", f"q={subject.pk}"),
        ("alerts, open", "hrvalert", "status__exact=open"),
        ("alerts, acknowledged", "hrvalert", "status__exact=acknowledged"),
        ("alerts, CRITICAL", "hrvalert", "severity__exact=CRITICAL"),
        ("alerts, search: person", "hrvalert", f"q={subject.pk}"),
        ("people, search: label", "subject", "q=Person 0099"),
        (
            "connections, to reconnect",
            "vendorconnection",
            "status__exact=needs_reconnect",
        ),
        ("audit, one actor", "auditentry", "q=staff-7"),
        ("audit, one verb", "auditentry", "q=values.reveal"),
    ):
        yield title, f"{reverse(f'admin:biometrics_{model}_changelist')}?{query}"
    for title, row in (
        ("delivery, newest", newest),
        ("delivery, parked", parked),
        ("event, newest", event),
        ("alert, newest", alert),
    ):
        name = f"admin:biometrics_{row._meta.model_name}_change"
        yield title, reverse(name, args=[row.pk])
    search = reverse("admin:search")
    for title, term in (
        ("delivery", str(newest.public_id)),
        ("trace id", newest.traceparent.split("-")[1]),
        ("record", newest.trace),
        ("event", str(event.pk)),
        ("person", str(subject.pk)),
        ("beginning of an id", str(event.pk)[:8]),
        ("label", "Person 0042"),
        ("nothing", "there-is-none"),
    ):
        yield f"find: {title}", f"{search}?s={term}&extended=1"
