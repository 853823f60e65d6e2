"""Counts what a run has lost, doubled or disordered, with a reader of its own."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import orjson
from kafka.consumer.fetcher import ConsumerRecord

from tests.chaos.traffic import Sending
from tests.e2e.stack import Stack, headers_of

TOPICS = ("biometric-events", "terra-biometric-events", "biometric-alerts")
_REST_S = 240
_STORED = "SELECT ce_id::text FROM biometrics_outboxmessage"
_SAID = (
    "SELECT d.public_id::text, m.ce_id::text FROM biometrics_webhookdelivery d"
    " JOIN biometrics_biometricevent e ON e.delivery_id = d.id"
    " LEFT JOIN biometrics_outboxmessage m ON m.event_id = e.id"
    " WHERE e.status <> 'stale' AND d.status = 'processed'"
)
_LEDGER = (
    "from django.utils import timezone; from biometrics import ledger;"
    "print(ledger.balance(now=timezone.now(), hours=2).imbalance)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """All but `records` and `acknowledged` must be 0."""

    acknowledged: int
    records: int
    lost: int
    doubled: int
    disordered: int
    imbalance: int

    @property
    def is_clean(self) -> bool:
        return not (self.lost or self.doubled or self.disordered or self.imbalance)


def wait_for_rest(stack: Stack) -> None:
    """Wait until nothing is due any more."""
    queries = (
        "SELECT 1 FROM biometrics_webhookdelivery"
        " WHERE status IN ('pending', 'retrying') LIMIT 1",
        "SELECT 1 FROM biometrics_outboxmessage"
        " WHERE status IN ('pending', 'in_batch') LIMIT 1",
    )
    stack.until(
        lambda: not any(stack.sql(query) for query in queries),
        "all work is done",
        seconds=_REST_S,
    )


def judge(stack: Stack, *, acknowledged: Mapping[str, Sending]) -> Verdict:
    """Read every topic from the beginning and hold it against what was promised."""
    records = _read_to_end(stack)
    ledger = stack.manage("shell", "--no-imports", "-c", _LEDGER)
    return Verdict(
        acknowledged=len(acknowledged),
        records=len(records),
        lost=count_lost(stack, acknowledged=acknowledged, records=records),
        doubled=count_doubled(records),
        disordered=count_disordered(records),
        imbalance=int(ledger.splitlines()[-1]),
    )


def _read_to_end(stack: Stack) -> list[ConsumerRecord]:
    found: list[ConsumerRecord] = []
    with stack.reader(*TOPICS) as consumer:
        ends = consumer.end_offsets(list(consumer.assignment()))

        def at_end() -> bool:
            for batch in consumer.poll(timeout_ms=200).values():
                found.extend(batch)
            return all(consumer.position(tp) >= end for tp, end in ends.items())

        stack.until(at_end, "the ends of the topics are read", seconds=_REST_S)
    return found


def count_lost(
    stack: Stack,
    *,
    acknowledged: Mapping[str, Sending],
    records: list[ConsumerRecord],
) -> int:
    """Count acknowledged deliveries and stored messages that the topics do not hold."""
    on_topics = {headers_of(record)["ce_id"] for record in records}
    named = {
        orjson.loads(record.value).get("record", {}).get("id") for record in records
    }
    wanted: dict[str, list[str | None]] = defaultdict(list)
    for public_id, ce_id in stack.sql(_SAID):
        wanted[public_id].append(ce_id)
    stored = {ce_id for (ce_id,) in stack.sql(_STORED)}
    return len(stored - on_topics) + sum(
        not wanted[public_id]
        or not on_topics.issuperset(wanted[public_id])
        or bool(sending.record_id and sending.record_id not in named)
        for public_id, sending in acknowledged.items()
    )


def count_doubled(records: list[ConsumerRecord]) -> int:
    """Count records whose event was there already."""
    return len(records) - len({headers_of(record)["ce_id"] for record in records})


def count_disordered(records: list[ConsumerRecord]) -> int:
    """Count records of a person whose number is below that of one before it."""
    newest: dict[tuple[str, bytes], int] = {}
    wrong = 0
    for record in sorted(records, key=lambda r: (r.topic, r.partition, r.offset)):
        person = (record.topic, record.key)
        number = int(headers_of(record)["ce_sequence"])
        wrong += number <= newest.get(person, -1)
        newest[person] = max(number, newest.get(person, -1))
    return wrong
