"""A low night reaches staff and consumers at once."""

from __future__ import annotations

from uuid import uuid4

import orjson
import pytest

from tests.e2e.bodies import terra_sleep
from tests.e2e.stack import Stack, headers_of

pytestmark = [pytest.mark.kafka, pytest.mark.postgres]


@pytest.mark.parametrize(
    ("rmssd", "severity", "priority"),
    [(20, "CRITICAL", "HIGH"), (35, "HIGH", "HIGH"), (55, "NORMAL", "NORMAL")],
)
def test_a_terra_sleep_of_a_new_person(
    stack: Stack, rmssd: float, severity: str, priority: str
) -> None:
    user = str(uuid4())
    body = terra_sleep(user_id=user, rmssd=rmssd)
    assert stack.deliver("terra", body).json["status"] == "accepted"
    query = "SELECT subject_id FROM biometrics_vendorconnection WHERE account_id = %s"
    stack.until(lambda: stack.sql(query, user), "the person is known")
    ((subject,),) = stack.sql(query, user)

    found = [
        record
        for record in stack.records(
            "terra-biometric-events",
            enough=lambda rs: any(r.key.decode() == str(subject) for r in rs),
        )
        if record.key.decode() == str(subject)
        and headers_of(record)["event_type"].startswith("sleep.")
    ]
    (record,) = found
    headers = headers_of(record)
    assert headers["priority"] == priority
    assert headers["severity"] == severity
    assert headers["has_triggers"] == ("false" if severity == "NORMAL" else "true")
    readings = orjson.loads(record.value)["readings"]
    assert {"metric": "heart_rate_variability_rmssd", "value": rmssd, "unit": "ms"} in [
        {key: reading[key] for key in ("metric", "value", "unit")}
        for reading in readings
    ]

    alerts = stack.sql(
        "SELECT severity, status FROM biometrics_hrvalert WHERE subject_id = %s",
        subject,
    )
    assert alerts == ([] if severity == "NORMAL" else [(severity, "open")])
    if alerts:
        (alert,) = [
            r
            for r in stack.records(
                "biometric-alerts",
                enough=lambda rs: any(r.key.decode() == str(subject) for r in rs),
            )
            if r.key.decode() == str(subject)
        ]
        said = headers_of(alert)
        assert said["ce_type"] == "auren.alert.hrv.raised.v1"
        assert said["severity"] == severity
        assert said["priority"] == "HIGH"
        assert {"alert-id", "revision", "ruleset"} <= said.keys()
