"""What waits is counted no further than a person reads, and all of it at once."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings
from django.core.cache import cache
from django.db import connection
from django.db.models import Model
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from auren.health import TableCollector
from biometrics import board, depths, nudges, parked_groups, selectors, tasks, waiting
from biometrics.alerts.explaining import WORST_FIRST
from biometrics.alerts.ruleset import RANK
from biometrics.board.summary import summary
from biometrics.models import (
    OutboxMessage,
    ParkedQueue,
    PublishBatch,
    WebhookDelivery,
)
from biometrics.models.outbox import ParkCode
from tests.console.conftest import NOW

BEYOND = waiting.MOST + 2
_MANY = 5 * waiting.MOST
_BIG = ("biometrics_webhookdelivery", "biometrics_outboxmessage")


@pytest.fixture(autouse=True)
def _fresh() -> None:
    cache.clear()


def deliveries(number: int, **fields: Any) -> None:
    """Store deliveries that look alike."""
    given = {"vendor": "terra", "shard": 3, "body": b"{}", "received_at": NOW}
    _store(
        number,
        WebhookDelivery(
            **{**given, **fields}, public_id=uuid4(), dedupe_key=uuid4().hex
        ),
        unlike=("public_id", "dedupe_key"),
    )


def messages(number: int, **fields: Any) -> None:
    """Store messages that look alike."""
    given = {"shard": 3, "subject": uuid4(), "created_at": NOW, "headers": {}}
    _store(
        number,
        OutboxMessage(
            **{**given, **fields},
            ce_id=uuid4(),
            topic="terra-biometric-events",
            event_type="sleep.created",
        ),
        unlike=("ce_id",),
    )


def _store(number: int, row: Model, *, unlike: Collection[str]) -> None:
    """Store a row, and so many like it that there are `number`, in one statement."""
    row.save()
    fields = [field for field in row._meta.concrete_fields if not field.primary_key]
    new_id = (
        "gen_random_uuid()"
        if connection.vendor == "postgresql"
        else "lower(hex(randomblob(16)))"
    )
    columns = ", ".join(str(field.column) for field in fields)
    values = ", ".join(new_id if f.name in unlike else str(f.column) for f in fields)
    table = row._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} ({columns}) WITH RECURSIVE series(n) AS"
            " (SELECT 1 UNION ALL SELECT n + 1 FROM series WHERE n < %s)"
            f" SELECT {values} FROM {table}, series WHERE id = %s AND n < %s",
            [number, row.pk, number],
        )


def text_of(client: Client, name: str) -> str:
    page = client.get(reverse(name)).content.decode()
    return " ".join(re.sub(r"<[^>]+>", " ", page).split())


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0"), (9_999, "9,999"), (10_000, "10,000")]
)
def test_a_count_is_told_and_read(number: int, text: str) -> None:
    assert waiting.told(number) == text
    assert waiting.read(text) == number


def test_beyond_the_bound_only_more_is_known() -> None:
    assert {waiting.told(n) for n in (10_001, 10_002, 10**9)} == {"10,000+"}
    assert waiting.total(["6,000", "4,000"]) == "10,000"
    assert waiting.total(["6,000", "4,001"]) == "10,000+"
    assert waiting.total(["10,000+", "0"]) == "10,000+"


def test_the_first_sentence_takes_what_is_beyond_the_bound() -> None:
    numbers = {"ledger_imbalance": "0", "parked": "10,000+", "alerts_open": "1"}
    assert summary(numbers) == (
        "Nothing is lost. For a person: 1 open alert,"
        " 10,000+ parked deliveries and messages."
    )


def test_the_dashboard_ends_counting_and_the_ledger_does_not(
    admin_client: Client,
) -> None:
    received = timezone.now() - timedelta(hours=4)
    deliveries(BEYOND, status="parked", error_code="unreadable", received_at=received)
    deliveries(BEYOND, received_at=received)
    messages(BEYOND)
    text = text_of(admin_client, "admin:index")
    assert "10,000+ parked deliveries and messages" in text
    assert "On their way: 10,000+ in, 10,000+ out." in text
    # Counted by beat, to the last row: nothing may be missing from a balance.
    assert f"Waiting {BEYOND} Parked {BEYOND}" in text


def test_everything_is_counted_in_one_statement(world: SimpleNamespace) -> None:
    selectors.dashboard_numbers(now=NOW)
    with CaptureQueriesContext(
        connection,
    ) as asked:
        selectors.dashboard_numbers(now=NOW)
    counting = [query for query in asked if "COUNT(" in query["sql"]]
    assert len(counting) == 1
    # Beside it: the newest replays; p50 and p99 are kept for some seconds.
    assert len(asked) == 2


def test_a_number_for_each_thing_that_waits(world: SimpleNamespace) -> None:
    deliveries(2)
    deliveries(1, status="retrying", next_attempt_at=NOW + timedelta(hours=1))
    deliveries(4, status="unlinked")
    messages(5)
    messages(6, status="parked")
    PublishBatch.objects.create(
        shard=2, seq=1, state="open", holder="relay-1", size=7, created_at=NOW
    )
    numbers = selectors.dashboard_numbers(now=NOW)
    told = {key: numbers[key] for key in numbers if "delay" not in key}
    assert (
        told.items()
        >= {
            "alarms_open": "1",
            "alerts_open": "1",
            "alerts_critical": "1",
            "alerts_high": "0",
            "deliveries_due": "3",
            "deliveries_unlinked": "4",
            "parked_deliveries": "1",
            "parked_messages": "6",
            "outbox_waiting": "12",
        }.items()
    )
    shown = board.for_viewer(board.whole(now=NOW), may=lambda _: True)
    assert shown["numbers"]["parked"] == "7"


class TestAges:
    def test_nothing_due_has_no_age(self, db: None) -> None:
        deliveries(3, status="processed")
        messages(3, status="published", published_at=NOW)
        assert selectors.oldest(now=NOW) == {"deliveries": None, "messages": None}

    def test_a_later_attempt_is_not_due_before(self, db: None) -> None:
        later = NOW + timedelta(minutes=5)
        deliveries(2, shard=1, status="retrying", next_attempt_at=later)
        assert selectors.oldest(now=NOW)["deliveries"] is None
        found = selectors.oldest(now=later)["deliveries"]
        assert found == timedelta(minutes=5)

    @pytest.mark.parametrize("shard", [0, 7, 15])
    def test_the_oldest_of_all_shards_counts(self, db: None, shard: int) -> None:
        deliveries(1, shard=shard, received_at=NOW - timedelta(minutes=9))
        deliveries(2, shard=3, received_at=NOW - timedelta(minutes=2))
        assert selectors.oldest(now=NOW)["deliveries"] == timedelta(minutes=9)

    def test_what_is_in_hand_counts_until_it_is_in_kafka(self, db: None) -> None:
        opened = PublishBatch.objects.create(
            shard=3, seq=2, state="open", holder="relay-1", size=2, created_at=NOW
        )
        ago = timedelta(minutes=9)
        messages(2, status="in_batch", batch=opened, created_at=NOW - ago)
        assert selectors.oldest(now=NOW)["messages"] == ago
        assert selectors.dashboard_numbers(now=NOW)["outbox_oldest"] == "9 min"
        messages(1, created_at=NOW - timedelta(minutes=1))
        assert selectors.oldest(now=NOW)["messages"] == ago
        PublishBatch.objects.update(state="published")
        assert selectors.oldest(now=NOW)["messages"] == timedelta(minutes=1)

    def test_what_goes_first_hides_nothing_that_is_older(self, db: None) -> None:
        messages(1, priority=0, created_at=NOW - timedelta(minutes=9))
        messages(1, priority=2, created_at=NOW - timedelta(minutes=1))
        assert selectors.oldest(now=NOW)["messages"] == timedelta(minutes=9)


class TestParked:
    def test_a_group_ends_counting(self, admin_client: Client, db: None) -> None:
        deliveries(BEYOND, status="parked", error_code="unreadable")
        deliveries(2, status="parked", error_code="unreadable", vendor="oura")
        found = parked_groups.delivery_groups()
        assert [(one.vendor, one.count) for one in found] == [
            ("terra", waiting.MOST + 1),
            ("oura", 2),
        ]
        text = text_of(admin_client, "admin:biometrics_parked")
        assert "10,000+ deliveries could not be read" in text
        assert "Retry 10,000+" in text
        where = "?vendor=terra&code=unreadable"
        url = reverse("admin:biometrics_parked_verb", args=["deliveries", "skip"])
        page = admin_client.get(url + where).content.decode()
        assert "10,000+ deliveries." in page
        assert "Skip 10,000+" in page

    def test_what_can_be_tried_is_found_among_the_newest(self, db: None) -> None:
        fields: dict[str, Any] = {"status": "parked", "error_code": "unreadable"}
        deliveries(3, body=None, **fields)
        deliveries(2, **fields)
        (group,) = parked_groups.delivery_groups()
        assert (group.count, group.readable) == (5, 2)
        assert group.oldest == WebhookDelivery.objects.order_by("id")[3]

    def test_a_group_begins_with_its_first_and_ends_with_its_last(
        self, db: None
    ) -> None:
        for ago in (3, 2, 1):
            received = NOW - timedelta(hours=ago)
            deliveries(2, status="parked", error_code="x", received_at=received)
        (group,) = parked_groups.delivery_groups()
        assert group.first_at == NOW - timedelta(hours=3)
        assert group.last_at == NOW - timedelta(hours=1)

    def test_every_vendor_and_reason_has_a_group(self, db: None) -> None:
        wanted = {(v, code) for v in ("oura", "terra", "whoop") for code in "abc"}
        for vendor, code in wanted:
            deliveries(2, status="parked", vendor=vendor, error_code=code)
        deliveries(2, status="ignored", vendor="acme", error_code="d")
        found = parked_groups.delivery_groups()
        assert {(one.vendor, one.code) for one in found} == wanted
        assert {one.count for one in found} == {2}

    def test_people_are_grouped_with_what_waits_for_them(self, db: None) -> None:
        for n, code in enumerate(ParkCode.values):
            for ago in range(n + 1):
                subject = uuid4()
                messages(2, status="parked", subject=subject)
                ParkedQueue.objects.create(
                    subject=subject,
                    shard=1,
                    from_id=1,
                    code=code,
                    reason=f"{ago} days",
                    since=NOW - timedelta(days=ago),
                )
        found = {one.code: one for one in parked_groups.queue_groups()}
        assert [found[code].count for code in ParkCode.values] == [1, 2, 3, 4, 5]
        assert [found[code].messages for code in ParkCode.values] == [2, 4, 6, 8, 10]
        last = found[ParkCode.values[-1]]
        assert last.oldest.reason == "4 days"
        assert (last.first_at, last.last_at) == (NOW - timedelta(days=4), NOW)


def test_the_order_of_the_inbox_is_that_of_weight() -> None:
    assert WORST_FIRST[0] == "severity"
    names = [str(name) for name in RANK]
    assert sorted(names) == sorted(names, key=lambda name: -RANK[name])  # type: ignore[index]


@pytest.mark.redis
class TestMetrics:
    @pytest.fixture(autouse=True)
    def _redis(self, redis_url: str) -> Iterator[None]:
        with override_settings(REDIS_URL=redis_url):
            nudges.connect.cache_clear()
            nudges.connect().flushdb()
            yield
        nudges.connect.cache_clear()

    def test_they_show_exactly_what_beat_counted(self, db: None) -> None:
        deliveries(BEYOND, status="unlinked")
        tasks.count_waiting()
        WebhookDelivery.objects.all().delete()
        assert self.scraped()["deliveries", "unlinked"] == BEYOND
        assert self.scraped()["messages", "parked"] == 0

    def test_without_beat_they_count(self, db: None) -> None:
        deliveries(3)
        assert self.scraped()["deliveries", "pending"] == 3
        assert self.scraped() == depths.recent()

    def scraped(self) -> Mapping[tuple[str, str], float]:
        (family,) = [
            family
            for family in TableCollector().collect()
            if family.name == "biobridge_queue_depth"
        ]
        return {
            (sample.labels["queue"], sample.labels["status"]): sample.value
            for sample in family.samples
        }


@pytest.mark.skipif(connection.vendor != "postgresql", reason="PostgreSQL's plans")
class TestPlans:
    """Nothing walks rows that do not wait, even where statistics promise many."""

    def test_no_count_looks_at_more_rows_than_the_bound(self, db: None) -> None:
        self.backlog()
        for sql in self.asked():
            for node in self.scans(sql):
                looked = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
                assert looked <= waiting.MOST + 1, (node, sql)

    def backlog(self) -> None:
        """Store history first, and behind it far more than is counted."""
        deliveries(_MANY, status="processed")
        messages(_MANY, status="published", published_at=NOW)
        deliveries(_MANY)
        deliveries(_MANY, status="unlinked")
        deliveries(_MANY, status="parked", error_code="unreadable")
        messages(_MANY)
        messages(_MANY, status="parked")
        for shard in range(settings.SHARDS):
            opened = PublishBatch.objects.create(
                shard=shard, seq=1, state="open", holder="x", size=500, created_at=NOW
            )
            messages(500, shard=shard, status="in_batch", batch=opened)
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")

    def asked(self) -> list[str]:
        with CaptureQueriesContext(connection) as asked:
            selectors.dashboard_numbers(now=NOW)
            selectors.oldest(now=NOW)
            parked_groups.delivery_groups()
            parked_groups.queue_groups()
            parked_groups.waiting_for_accounts()
        return [query["sql"] for query in asked]

    def scans(self, sql: str) -> list[dict[str, Any]]:
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}")
            (told,) = cursor.fetchone()
        plan = json.loads(told) if isinstance(told, str) else told
        return [
            node
            for node in self.nodes(plan[0]["Plan"])
            if node.get("Relation Name") in _BIG
        ]

    def nodes(self, plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
        yield plan
        for below in plan.get("Plans", []):
            yield from self.nodes(below)
