"""Rows as intake and history leave them, written straight into PostgreSQL."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import orjson
import psycopg2
from psycopg2.extras import Json, execute_values, register_uuid

from biometrics.shards import shard_of
from tests.databases import parameters_of

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures"
# About a month of each person's nights.
_NIGHTS = 25
_PAGE = 1000
Row = tuple[Any, ...]


def fill(url: str, *, count: int, seed: int) -> None:
    """Store `count` deliveries, half Terra, half Oura with its document fetched.

    Each is one night of somebody, 3.5 kB (Terra) and 0.5 kB (Oura), and gives one event.
    """
    register_uuid()  # type: ignore[no-untyped-call]
    session = psycopg2.connect(**parameters_of(url))
    try:
        with session, session.cursor() as cursor:
            people = count // 2 // _NIGHTS + 1
            accounts = _connect(cursor, people=people, seed=seed)
            rows = islice(_nights(accounts, seed=seed), count)
            while page := list(islice(rows, _PAGE)):
                _insert(cursor, page)
    finally:
        session.close()


def _connect(cursor: Any, *, people: int, seed: int) -> list[str]:
    accounts = [f"drain-{seed}-{number}" for number in range(people)]
    now = datetime.now(tz=UTC)
    subjects = [(uuid4(), account, now) for account in accounts]
    execute_values(
        cursor,
        "INSERT INTO biometrics_subject (id, label, created_at) VALUES %s",
        subjects,
    )
    execute_values(
        cursor,
        "INSERT INTO biometrics_vendorconnection (subject_id, vendor, account_id,"
        " reference, status, status_reason, scopes, backfill_left, created_at,"
        " updated_at) VALUES %s",
        [
            (subject, "oura", account, "", "active", "", "", Json([]), now, now)
            for subject, account, _ in subjects
        ],
    )
    return accounts


def _nights(accounts: list[str], *, seed: int) -> Iterator[tuple[str, str, bytes, Any]]:
    """Yield (vendor, account, body, document), people shuffled, nights in order."""
    randomness = random.Random(seed)
    terra = orjson.loads(
        (FIXTURES / "terra/assembled_webhook_sleep_full.json").read_bytes()
    )
    pages = FIXTURES / "oura/community_api_sleep_page1_mcp.json"
    oura = orjson.loads(pages.read_bytes())["data"][0]
    notice = orjson.loads((FIXTURES / "oura/webhook_sleep_update.json").read_bytes())
    today = datetime.now(tz=UTC).date()
    for ago in range(_NIGHTS, 0, -1):
        day = (today - timedelta(days=ago)).isoformat()
        randomness.shuffle(accounts)
        for account in accounts:
            rmssd = randomness.randint(40, 70)
            yield "terra", account, _terra(terra, account, day, rmssd), None
            id_ = str(UUID(int=randomness.getrandbits(128), version=4))
            document = {
                **oura,
                "id": id_,
                "day": day,
                "average_hrv": rmssd,
                "bedtime_start": f"{day}T00:14:02+01:00",
                "bedtime_end": f"{day}T07:04:02+01:00",
            }
            body = {**notice, "object_id": id_, "user_id": account}
            yield "oura", account, orjson.dumps(body), orjson.dumps(document)


def _terra(whole: dict[str, Any], account: str, day: str, rmssd: int) -> bytes:
    night = whole["data"][0]
    times = {
        "start_time": f"{day}T00:10:00.000000+01:00",
        "end_time": f"{day}T07:40:00.000000+01:00",
        "summary_id": f"{account}-{day}",
    }
    summary = {**night["heart_rate_data"]["summary"], "avg_hrv_rmssd": rmssd}
    night = {
        **night,
        "metadata": {**night["metadata"], **times},
        "heart_rate_data": {**night["heart_rate_data"], "summary": summary},
    }
    user = {"user_id": account, "provider": "GARMIN"}
    return orjson.dumps({**whole, "user": user, "data": [night]})


def _insert(cursor: Any, page: list[tuple[str, str, bytes, Any]]) -> None:
    now = datetime.now(tz=UTC)
    ids = execute_values(
        cursor,
        "INSERT INTO biometrics_webhookdelivery (public_id, vendor, account_id,"
        " reference, event_type, dedupe_key, shard, origin, body, headers, traceparent,"
        " secret_slot, received_at, status, attempts, error_code, error) VALUES %s"
        " RETURNING id",
        [
            (
                *(uuid4(), vendor, account, "", "sleep", str(uuid4())),
                *(shard_of(vendor, account), "webhook", body, Json({}), "", 0, now),
                *("pending", 0, "", ""),
            )
            for vendor, account, body, _ in page
        ],
        page_size=len(page),
        fetch=True,
    )
    execute_values(
        cursor,
        "INSERT INTO biometrics_deliverydocument (delivery_id, url, status, body,"
        " fetched_at) VALUES %s",
        [
            (id_, "/v2/usercollection/sleep", 200, document, now)
            for (id_,), (_, _, _, document) in zip(ids, page, strict=True)
            if document is not None
        ],
        page_size=len(page),
    )


def age(url: str, *, rows: int) -> None:
    """Put `rows` of history into each big table, copied from what is there."""
    session = psycopg2.connect(**parameters_of(url))
    session.autocommit = True
    try:
        with session.cursor() as cursor:
            cursor.execute(
                "INSERT INTO biometrics_webhookdelivery (public_id, vendor, account_id,"
                " reference, event_type, dedupe_key, shard, origin, body, headers,"
                " traceparent, secret_slot, received_at, status, attempts, error_code,"
                " error, processed_at) SELECT gen_random_uuid(), 'terra',"
                " 'old-' || n %% 5000, '', 'sleep', 'old-' || n, n %% 16, 'webhook', NULL,"
                " '{}', '', 0, now() - n * interval '3 s', 'processed', 1, '', '',"
                " now() - n * interval '3 s' FROM generate_series(1, %s) n",
                [rows],
            )
            cursor.execute(
                "INSERT INTO biometrics_biometricevent SELECT old.*"
                " FROM (SELECT * FROM biometrics_biometricevent LIMIT 1) one,"
                "  generate_series(1, %s) n,"
                "  jsonb_populate_record(NULL::biometrics_biometricevent,"
                "   to_jsonb(one) || jsonb_build_object("
                "   'id', gen_random_uuid(), 'record_id', 'old-' || n,"
                "   'created_at', now() - n * interval '3 s')) old",
                [rows],
            )
            cursor.execute(
                "INSERT INTO biometrics_outboxmessage (ce_id, shard, subject, topic,"
                " event_type, headers, value, priority, status, probe, attempts, error,"
                " created_at, published_at, kafka_partition, kafka_offset)"
                " SELECT gen_random_uuid(), n %% 16, gen_random_uuid(),"
                " 'terra-biometric-events', 'sleep.updated', '{}', '\\x7b7d', 0,"
                " 'published', false, 1, '', now() - n * interval '3 s',"
                " now() - n * interval '3 s', 0, n FROM generate_series(1, %s) n",
                [rows],
            )
            # As autovacuum would have left old rows, and their writing behind us.
            cursor.execute("VACUUM (ANALYZE)")
            cursor.execute("CHECKPOINT")
    finally:
        session.close()
