"""`doctor --roundtrip`: a delivery of our own comes back, or it is said where it stays."""

from __future__ import annotations

import re

import pytest

from auren.safety.roundtrip import SUBJECT
from tests.e2e.stack import Stack, headers_of

pytestmark = [pytest.mark.kafka, pytest.mark.postgres, pytest.mark.redis]


def probe(stack: Stack, *more: str) -> tuple[int, str]:
    url = f"http://127.0.0.1:{stack.port}"
    return stack.run("doctor", "--roundtrip", "--url", url, *more)


def test_it_comes_back_each_time(stack: Stack) -> None:
    for _ in range(2):
        code, said = probe(stack)
        assert code == 0, said
        assert re.search(r"✓ round trip: accepted after \d+ ms, read back after", said)
    found = stack.records(
        "biometric-events",
        enough=lambda records: (
            sum(headers_of(r)["event_type"].startswith("samples") for r in records) >= 2
        ),
    )
    of_probe = {headers_of(record)["user_id"] for record in found}
    assert of_probe == {str(SUBJECT)}
    traced = [
        headers_of(r)["traceparent"] for r in found if "traceparent" in headers_of(r)
    ]
    assert len(set(traced)) >= 2
    rows = stack.sql(
        "SELECT d.traceparent, m.headers->>'traceparent'"
        " FROM biometrics_outboxmessage m JOIN biometrics_biometricevent e"
        " ON e.id = m.event_id JOIN biometrics_webhookdelivery d ON d.id = e.delivery_id"
    )
    # The same on the delivery, on the outbox row and in the record's headers.
    assert {row[0] for row in rows} == {row[1] for row in rows} == set(traced)
    people = stack.sql("SELECT count(*) FROM biometrics_subject")
    assert people == [(1,)]


def test_without_workers_it_says_where_it_stays(stack: Stack) -> None:
    stack.processes["worker"].kill9()
    code, said = probe(stack, "--patience", "2")
    assert code == 1
    assert "Accepted, but not on biometric-events after 2 s" in said


def test_without_a_web_process_it_says_so(stack: Stack) -> None:
    stack.processes["web"].kill9()
    code, said = probe(stack)
    assert code == 1
    assert "did not answer" in said
