"""Prometheus' own promtool reads alerts.yml, and each rule fires at its fault alone."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.auren.test_ops import RULES, rules

# Values of each minute: promtool's notation is start+step x times.
GROWS, STANDS = "0+60x2000", "0x2000"


@dataclass(frozen=True, slots=True)
class Case:
    """Series as they are while all is well, and as they are when it is not."""

    well: dict[str, str]
    fault: dict[str, str]


def deliveries(**outcomes: str) -> dict[str, str]:
    name = 'biobridge_deliveries_total{{vendor="oura",outcome="{}"}}'
    return {name.format(outcome): values for outcome, values in outcomes.items()}


def gauge(name: str, *, well: float, fault: float) -> Case:
    return Case({name: f"{well}x2000"}, {name: f"{fault}x2000"})


CASES = {
    "BridgeDown": gauge('up{job="auren-web",instance="a"}', well=1, fault=0),
    "BridgeLosing": gauge("biobridge_ledger_imbalance", well=0, fault=1),
    "BridgeShardStopped": gauge("biobridge_shards_stopped", well=0, fault=1),
    "BridgeRefusing": Case(
        deliveries(accepted=GROWS, busy=STANDS), deliveries(accepted=GROWS, busy=GROWS)
    ),
    "BridgeNotConfigured": Case(
        deliveries(not_configured=STANDS), deliveries(not_configured=GROWS)
    ),
    "BridgeDeliveriesLate": gauge(
        'biobridge_queue_oldest_seconds{queue="deliveries"}', well=60, fault=121
    ),
    "BridgeMessagesLate": gauge(
        'biobridge_queue_oldest_seconds{queue="messages"}', well=60, fault=121
    ),
    "BridgeUnauthenticated": Case(
        deliveries(accepted=GROWS, unauthenticated="0+10x2000"),
        deliveries(accepted=GROWS, unauthenticated="0+90x2000"),
    ),
    "BridgeQuiet": Case(deliveries(accepted=GROWS), deliveries(accepted=STANDS)),
    "BridgeIntakeSlow": Case(
        {
            'biobridge_intake_seconds_bucket{vendor="oura",le="0.1"}': GROWS,
            'biobridge_intake_seconds_bucket{vendor="oura",le="+Inf"}': GROWS,
        },
        {
            'biobridge_intake_seconds_bucket{vendor="oura",le="0.1"}': STANDS,
            'biobridge_intake_seconds_bucket{vendor="oura",le="5"}': GROWS,
            'biobridge_intake_seconds_bucket{vendor="oura",le="+Inf"}': GROWS,
        },
    ),
    "BridgeCircuitOpen": gauge(
        'biobridge_breaker_state{breaker="kafka"}', well=0, fault=1
    ),
    "BridgeCircuitHeld": gauge(
        'biobridge_breaker_mode{breaker="kafka"}', well=0, fault=2
    ),
    "BridgeRedisAway": gauge("biobridge_breaker_store_up", well=1, fault=0),
    "BridgePublishDoubts": Case(
        {"biobridge_publish_doubts_total": "0+0.5x2000"},
        {"biobridge_publish_doubts_total": "0+1x2000"},
    ),
    "BridgeParked": gauge(
        'biobridge_queue_depth{queue="messages",status="parked"}', well=0, fault=1
    ),
    "BridgeUnlinked": gauge(
        'biobridge_queue_depth{queue="deliveries",status="unlinked"}', well=0, fault=1
    ),
    "BridgeVendorFailing": Case(
        {
            'biobridge_vendor_requests_total{vendor="oura",outcome="ok"}': GROWS,
            'biobridge_vendor_requests_total{vendor="oura",outcome="not_found"}': GROWS,
        },
        {
            'biobridge_vendor_requests_total{vendor="oura",outcome="ok"}': GROWS,
            'biobridge_vendor_requests_total{vendor="oura",outcome="X"}': "0+90x2000",
        },
    ),
    "BridgeStaffAlarm": gauge(
        'biobridge_staff_alarms_open{kind="silence"}', well=0, fault=1
    ),
    "BridgeSecretUnused": gauge(
        'biobridge_secret_slot_idle_seconds{vendor="oura",slot="1"}',
        well=600_000,
        fault=604_801,
    ),
    "BridgeAlertsTooOften": gauge(
        "biobridge_hrv_often_alerted_ratio", well=0.1, fault=0.11
    ),
}


def promtool_says(promtool: str, *argv: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [promtool, *argv], capture_output=True, text=True, check=False
    )


def expecting(alert: str, series: dict[str, str], *, fires: bool) -> dict[str, Any]:
    """Return a test of promtool: does the rule fire once this has lasted long enough?"""
    lasting = "25h" if alert == "BridgeAlertsTooOften" else "3h"
    expression = f'count(ALERTS{{alertname="{alert}",alertstate="firing"}})'
    samples = [{"labels": "{}", "value": 1}] if fires else []
    return {
        "interval": "1m",
        "input_series": [{"series": s, "values": v} for s, v in series.items()],
        "promql_expr_test": [
            {"expr": expression, "eval_time": lasting, "exp_samples": samples}
        ],
    }


def test_the_rules_are_what_prometheus_reads(promtool: str) -> None:
    done = promtool_says(promtool, "check", "rules", "--lint-fatal", RULES)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(rules())} rules found" in done.stdout


@pytest.mark.parametrize("alert", [rule["alert"] for rule in rules()])
def test_a_rule_fires_at_its_fault_and_not_while_all_is_well(
    alert: str, promtool: str, tmp_path: Path
) -> None:
    case = CASES[alert]
    tests = [
        expecting(alert, case.well, fires=False),
        expecting(alert, case.fault, fires=True),
    ]
    page = tmp_path / "test.yml"
    asked = {"rule_files": [str(RULES)], "evaluation_interval": "5m", "tests": tests}
    page.write_text(yaml.safe_dump(asked))
    done = promtool_says(promtool, "test", "rules", page)
    assert done.returncode == 0, done.stdout + done.stderr
