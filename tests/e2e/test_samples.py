"""For each vendor: a signed sample in, one record on Kafka, and not a second one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import orjson
import pytest
from kafka.consumer.fetcher import ConsumerRecord

from tests.e2e.documents import DocumentServer
from tests.e2e.stack import Stack, headers_of

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
pytestmark = [pytest.mark.kafka, pytest.mark.postgres]

REQUIRED_HEADERS = {
    "ce_specversion",
    "ce_id",
    "ce_source",
    "ce_type",
    "ce_time",
    "ce_subject",
    "ce_dataschema",
    "ce_partitionkey",
    "ce_sequence",
    "ce_dataclassification",
    "content-type",
    "source",
    "event_type",
    "user_id",
    "priority",
    "severity",
    "has_triggers",
    "triggers",
}


def sample(name: str) -> bytes:
    return (FIXTURES / name).read_bytes()


@pytest.fixture(scope="module")
def vendors(stack: Stack) -> Iterator[None]:
    """Serve the vendors' own sample documents and connect their sample accounts."""
    notice = orjson.loads(sample("oura/webhook_sleep_update.json"))
    sleep = orjson.loads(sample("oura/community_api_sleep_page1_mcp.json"))["data"][0]
    whoop = orjson.loads(sample("whoop/webhook_sleep_updated.json"))
    night = orjson.loads(sample("whoop/api_sleep_by_id.json"))
    oura_path = f"/oura/v2/usercollection/sleep/{notice['object_id']}"
    server = DocumentServer(
        port=stack.vendors_port,
        documents={
            oura_path: orjson.dumps({**sleep, "id": notice["object_id"]}),
            f"/whoop/v2/activity/sleep/{whoop['id']}": orjson.dumps(
                {**night, "id": whoop["id"]}
            ),
        },
    )
    server.start()
    accounts = (("oura", notice["user_id"]), ("whoop", str(whoop["user_id"])))
    for vendor, account in accounts:
        stack.manage(
            *("connections", "add", "--vendor", vendor, "--account", account),
            *("--label", f"{vendor} sample", "--access-token", "token"),
            *("--refresh-token", "refresh", "--expires-at", "2099-01-01T00:00:00Z"),
        )
    yield
    server.stop()


def check(record: ConsumerRecord, *, source: str) -> None:
    """Hold one record to the contract."""
    headers = headers_of(record)
    assert headers.keys() >= REQUIRED_HEADERS
    key = record.key.decode()
    assert str(UUID(key)) == key
    assert headers["source"] == source
    assert headers["ce_source"] == f"/auren/{source}"
    assert headers["ce_subject"] == headers["user_id"] == headers["ce_partitionkey"]
    assert headers["ce_subject"] == key
    value = orjson.loads(record.value)
    assert value["subject"] == key
    assert value["record"]["vendor"] == source


@pytest.mark.parametrize(
    ("vendor", "name", "topic"),
    [
        ("oura", "oura/webhook_sleep_update.json", "biometric-events"),
        ("whoop", "whoop/webhook_sleep_updated.json", "biometric-events"),
        ("terra", "terra/webhook_sleep.json", "terra-biometric-events"),
        (
            "healthkit",
            "healthkit/openwearables_sync_sample_sdk_payload.json",
            "biometric-events",
        ),
    ],
)
def test_a_sample_is_on_the_topic_once(
    stack: Stack, vendors: None, vendor: str, name: str, topic: str
) -> None:
    secret = None
    if vendor == "healthkit":
        argv = ("healthkit-token", "--subject", "Sample person", "--create")
        secret = stack.manage("connections", *argv).strip().splitlines()[-1]

    first = stack.deliver(vendor, sample(name), secret=secret)
    assert first.json["status"] == "accepted"

    def mine(records: list[ConsumerRecord]) -> list[ConsumerRecord]:
        return [
            r
            for r in records
            if headers_of(r)["source"] == vendor
            and headers_of(r)["ce_type"].startswith("auren.biometric.")
        ]

    found = mine(stack.records(topic, enough=lambda records: bool(mine(records))))
    for record in found:
        check(record, source=vendor)

    again = stack.deliver(vendor, sample(name), secret=secret)
    assert again.json == {**again.json, "status": "duplicate", "id": first.json["id"]}
    # The same content under another delivery key: stored again, published no more.
    resent = stack.deliver(vendor, sample(name) + b" ", secret=secret)
    assert resent.json["status"] in {"accepted", "duplicate"}
    stack.until(
        lambda: (
            not stack.sql(
                "SELECT 1 FROM biometrics_webhookdelivery"
                " WHERE status IN ('pending', 'retrying')"
            )
        ),
        "all deliveries are processed",
    )
    ids = [headers_of(r)["ce_id"] for r in found]
    later = mine(stack.records(topic, enough=lambda records: bool(mine(records))))
    assert sorted(headers_of(r)["ce_id"] for r in later) == sorted(ids)
