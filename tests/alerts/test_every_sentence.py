"""Whatever a verdict holds, what is said of it keeps the rules of wording."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations, product

import pytest

from biometrics.alerts.alert_rows import evidence_of
from biometrics.alerts.hrv_1 import HRV_1
from biometrics.alerts.rules import Verdict
from biometrics.alerts.ruleset import AlertSeverity, Severity
from biometrics.alerts.wording import DISCLAIMER, announce, label
from tests.alerts.builders import verdict_of
from tests.alerts.forbidden import claims_in, forbidden_in
from tests.alerts.test_wording import KINDS, RISES, event_of

SEVERITIES: tuple[Severity, ...] = ("NORMAL", "MEDIUM", "HIGH", "CRITICAL")
STATES = ("CALIBRATING", "PROVISIONAL", "ACTIVE")
CODES = (
    *(rule.code for rule in HRV_1.rules),
    *(rule.code for rule in HRV_1.absolute),
    *(rule.code for rule in HRV_1.drops),
    *(rule.code for rule in HRV_1.levels),
)


def verdicts(severity: Severity) -> Iterator[Verdict]:
    """Return a verdict for everything that can change a sentence."""
    rises = [c for size in range(4) for c in combinations(RISES, size)]
    for limit, low, week, state, risen, value in product(
        (None, 25.0, 40.0), range(9), (False, True), STATES, rises, (None, 19.6)
    ):
        plain = verdict_of(1) if severity == "NORMAL" else verdict_of(1, severity)
        yield replace(
            plain,
            limit_ms=limit,
            low_nights=low,
            low_week=week,
            state=state,  # type: ignore[arg-type]
            corroborators=risen,
            value_ms=value,
            range_ms=None if state == "CALIBRATING" else (48.2, 66.4),
        )


@pytest.mark.parametrize("severity", SEVERITIES)
def test_every_sentence_keeps_the_rules(severity: Severity) -> None:
    said = {
        (announce(event=event_of(kind, verdict)), label(verdict=verdict))
        for verdict in verdicts(severity)
        for kind in KINDS
    }
    assert len(said) > 500
    for text, short in said:
        assert forbidden_in(text) == []
        assert forbidden_in(short) == []
        assert text.endswith(DISCLAIMER)
        assert len(text) <= 500


@pytest.mark.parametrize("kind", KINDS)
def test_what_goes_to_kafka_carries_the_disclaimer_and_the_words(kind: str) -> None:
    severity: AlertSeverity = "CRITICAL"
    event = event_of(kind, verdict_of(1, severity))  # type: ignore[arg-type]
    value = evidence_of(event, series_id="RMSSD:oura:ring")
    assert value["disclaimer"] == DISCLAIMER
    for field in ("message", "label"):
        assert forbidden_in(str(value[field])) == []


@pytest.mark.parametrize("code", CODES)
def test_reason_codes_keep_the_rules(code: str) -> None:
    assert forbidden_in(code.replace("_", " ")) == []


@pytest.mark.parametrize(
    "text",
    [
        "Urgent intervention required.",
        "The patient shows symptoms.",
        "Seek medical help",
        "may be an infection",
    ],
)
def test_the_scan_sees_what_it_must(text: str) -> None:
    assert forbidden_in(text) != []
    assert claims_in(text) != []


def test_the_scan_lets_a_denial_and_code_pass() -> None:
    assert forbidden_in("Not a medical device: no diagnosis.") == []
    assert claims_in("run `manage.py doctor --emergency`") == []
