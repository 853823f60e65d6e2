"""A low night reaches staff and consumers at once; so does the end of a false alert."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from math import exp
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest
from kafka.consumer.fetcher import ConsumerRecord

from auren.devstack.simulator import timeline
from auren.devstack.simulator.people import Person, cast
from auren.devstack.simulator.physiology import night_of
from tests.alerts import reference
from tests.e2e.admin import StaffSession
from tests.e2e.bodies import terra_sleep
from tests.e2e.stack import Stack, headers_of

pytestmark = [pytest.mark.kafka, pytest.mark.postgres]
SEED = 7


@pytest.fixture(scope="module")
def staff(stack: Stack) -> StaffSession:
    """Return somebody who has signed in to the console."""
    return StaffSession(stack)


def subject_of(stack: Stack, account: str) -> UUID:
    query = "SELECT subject_id FROM biometrics_vendorconnection WHERE account_id = %s"
    stack.until(lambda: stack.sql(query, account), "the person is known")
    ((subject,),) = stack.sql(query, account)
    return UUID(str(subject))


def alerts_about(
    stack: Stack, subject: UUID, *, at_least: int
) -> list[tuple[dict[str, str], dict[str, Any]]]:
    """Read from the topic what consumers were told of this person, in order."""

    def theirs(records: list[ConsumerRecord]) -> list[ConsumerRecord]:
        return [record for record in records if record.key.decode() == str(subject)]

    records = stack.records(
        "biometric-alerts", enough=lambda found: len(theirs(found)) >= at_least
    )
    return [(headers_of(r), orjson.loads(r.value)) for r in theirs(records)]


def live_through(stack: Stack, person: Person, *, until: datetime) -> None:
    """Deliver the person's nights of a month, each of the last only after the others.

    As in life, where a day lies between: only the newest nights raise an alert.
    """
    planned = timeline.between((person,), since=until - timedelta(days=30), until=until)
    for _, item in planned:
        if item.delivery.kind != "sleep":
            continue
        if item.at > until - timedelta(days=4):
            stack.until(lambda: settled(stack), "earlier nights are judged")
        headers = {k.lower(): v for k, v in item.delivery.headers.items()}
        stack.deliver("terra", item.delivery.body, headers=headers)


def settled(stack: Stack) -> bool:
    """Say whether everything that was delivered has been worked on."""
    query = "SELECT count(*) FROM biometrics_webhookdelivery WHERE status = 'pending'"
    return stack.sql(query) == [(0,)]


def lived(person: Person, *, until: date, nights: int) -> reference.Person:
    """Return the nights as the person lived them, for the slow second opinion."""
    hrv: dict[int, float] = {}
    others: dict[str, dict[int, float]] = {"RHR": {}}
    for number in range(nights):
        night = night_of(person, until - timedelta(days=nights - 1 - number))
        if night is not None:
            hrv[number] = night.rmssd_ms
            others["RHR"][number] = float(night.resting_bpm)
    return reference.Person(hrv=hrv, others=others)


def test_an_illness_goes_from_the_own_range_over_medium_to_critical(
    stack: Stack, staff: StaffSession
) -> None:
    now = datetime.now(tz=UTC)
    # The person's own day, an hour ahead of UTC: late at night it has begun already.
    today = (now + timedelta(hours=1)).date()
    onset = today - timedelta(days=2)
    person = cast(seed=SEED, count=1, today=today, senders=("terra",))[0]
    assert person.traits.offset_min == 60
    live_through(stack, person, until=now)
    subject = subject_of(stack, person.account)
    (medium, low), (critical, very_low) = alerts_about(stack, subject, at_least=2)

    assert low["night"] == onset.isoformat()
    assert medium["ce_type"] == critical["ce_type"] == "auren.alert.hrv.raised.v1"
    assert (medium["severity"], medium["priority"]) == ("MEDIUM", "MEDIUM")
    assert (critical["severity"], critical["priority"]) == ("CRITICAL", "HIGH")
    assert very_low["night"] == (onset + timedelta(days=1)).isoformat()
    for told in (low, very_low):
        evidence, night = told["evidence"], date.fromisoformat(told["night"])
        slept = night_of(person, night)
        assert slept is not None
        assert evidence["value_ms"] == pytest.approx(slept.rmssd_ms, abs=1e-6)
        held = evidence["nights"]
        second = lived(person, until=night, nights=held + 1)
        found = second.baseline(held)
        assert found is not None
        n, mean, sd = found
        assert evidence["nights"] == n
        assert evidence["baseline_ms"] == pytest.approx(exp(mean), abs=1e-5)
        assert evidence["range_ms"] == pytest.approx(
            [exp(mean - sd), exp(mean + sd)], abs=1e-5
        )
        assert evidence["z1"] == pytest.approx(second.z1(held), abs=1e-5)
        assert held >= 25
    assert "M1_z<=-1.5" in medium["triggers"]
    assert "K2_z<=-3.0_two_corroborators" in critical["triggers"]
    said = re.match(r"HRV was (\d+) ms, own usual ", very_low["evidence"]["message"])
    assert said is not None
    # What was lived that night differs a little from day to day.
    assert int(said[1]) == pytest.approx(very_low["evidence"]["value_ms"], abs=0.5)
    assert "Check in with the person." in very_low["evidence"]["message"]

    staff.reveal(subject)
    listed = staff.page("/admin/biometrics/hrvalert/")
    assert "MEDIUM" in listed
    assert "CRITICAL" in listed
    page = staff.page(f"/admin/biometrics/hrvalert/{critical['alert-id']}/change/")
    assert very_low["evidence"]["message"] in page
    assert f"z1: this night, in own SD {very_low['evidence']['z1']:.2f}" in page


def test_a_night_that_is_scored_again_takes_its_alert_back(
    stack: Stack, staff: StaffSession
) -> None:
    user = str(uuid4())
    for ago in range(20, 0, -1):
        stack.deliver(
            "terra", terra_sleep(user_id=user, ago=ago, rmssd=50 + 10 * (ago % 2))
        )
    stack.deliver("terra", terra_sleep(user_id=user, rmssd=30))
    subject = subject_of(stack, user)
    ((first, _),) = alerts_about(stack, subject, at_least=1)
    assert (first["ce_type"], first["severity"]) == (
        "auren.alert.hrv.raised.v1",
        "HIGH",
    )
    stack.deliver("terra", terra_sleep(user_id=user, rmssd=55))
    told = alerts_about(stack, subject, at_least=2)
    (headers, value) = told[1]
    assert len(told) == 2
    assert headers["ce_type"] == "auren.alert.hrv.retracted.v1"
    assert (headers["severity"], headers["priority"]) == ("NORMAL", "NORMAL")
    assert (headers["alert-id"], headers["revision"]) == (first["alert-id"], "2")
    assert value["evidence"]["value_ms"] == 55
    # (ln 55 - mean of ten ln 50 and ten ln 60) / s, by hand in docs/hrv.md's way.
    assert value["evidence"]["z1"] == pytest.approx(0.032, abs=0.005)

    staff.reveal(subject)
    page = staff.page(f"/admin/biometrics/hrvalert/{first['alert-id']}/change/")
    assert "Judged again: the earlier alert does not hold." in page
    assert "retracted" in page


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
    subject = subject_of(stack, user)

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
        str(subject),
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
