"""docker-compose.yml says what the settings and the processes expect."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.auren.test_env_example import documented
from tests.drills.installation import units

ROOT = Path(__file__).resolve().parents[2]
BRIDGE = ("migrate", "web", "worker", "beat")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    parsed: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return parsed


def test_the_services_are_the_processes_and_their_stores(
    compose: dict[str, Any],
) -> None:
    assert set(compose["services"]) == {"postgres", "redis", "kafka", *BRIDGE}


def test_nothing_but_the_web_port_is_published(compose: dict[str, Any]) -> None:
    published = {n: s["ports"] for n, s in compose["services"].items() if "ports" in s}
    assert published == {"web": ["8889:8889"]}


def test_every_service_that_stays_has_a_health_check(compose: dict[str, Any]) -> None:
    without = {n for n, s in compose["services"].items() if "healthcheck" not in s}
    assert without == {"migrate"}


def test_the_bridge_is_told_where_its_stores_are(compose: dict[str, Any]) -> None:
    source = (ROOT / "auren" / "settings.py").read_text()
    for name in BRIDGE:
        environment = compose["services"][name]["environment"]
        assert {"DATABASE_URL", "REDIS_URL", "KAFKA_BOOTSTRAP_SERVERS"} <= set(
            environment
        )
        for variable in environment:
            known = f'"{variable}"' in source or variable == "PROMETHEUS_MULTIPROC_DIR"
            assert known, variable


def test_hosts_in_the_addresses_are_services(compose: dict[str, Any]) -> None:
    environment = compose["services"]["web"]["environment"]
    assert "@postgres:5432/" in environment["DATABASE_URL"]
    assert environment["REDIS_URL"].startswith("redis://redis:")
    assert environment["KAFKA_BOOTSTRAP_SERVERS"] == "kafka:9092"


def test_kafka_creates_no_topic_by_itself_and_is_transactional_on_one_node(
    compose: dict[str, Any],
) -> None:
    environment = compose["services"]["kafka"]["environment"]
    assert environment["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"
    assert environment["KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR"] == "1"
    assert environment["KAFKA_TRANSACTION_STATE_LOG_MIN_ISR"] == "1"


def test_secrets_come_from_the_env_file(compose: dict[str, Any]) -> None:
    for name in BRIDGE:
        assert compose["services"][name]["env_file"] == ".env"
    for service in compose["services"].values():
        for variable, value in service.get("environment", {}).items():
            if re.search("PASSWORD|SECRET|TOKEN", variable):
                assert str(value).startswith("${"), variable


def test_the_web_command_is_the_image_s_own(compose: dict[str, Any]) -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    command = " ".join(compose["services"]["web"]["command"])
    assert f'CMD ["sh", "-c", "exec {command}"]' in dockerfile
    assert "USER auren" in dockerfile


def test_a_web_host_has_as_many_processes_as_its_setting_says(
    compose: dict[str, Any],
) -> None:
    """The share of database connections goes by the setting: both are one number."""
    default = documented()["WEB_PROCESSES"]
    command = compose["services"]["web"]["command"]
    at = command.index("--workers") + 1
    assert command[at] == f"${{WEB_PROCESSES:-{default}}}"
    unit = units()["web"]
    assert unit.command[unit.command.index("--workers") + 1] == "${WEB_PROCESSES}"
    assert unit.environment["WEB_PROCESSES"] == default


def test_what_a_unit_sets_is_not_undone_by_the_environment_s_file() -> None:
    """With systemd EnvironmentFile= wins over Environment=."""
    for name, unit in units().items():
        for variable, value in unit.environment.items():
            assert documented().get(variable, value) == value, (name, variable)


def test_a_worker_host_has_as_many_tasks_as_its_setting_says(
    compose: dict[str, Any],
) -> None:
    command = compose["services"]["worker"]["command"]
    for words in (command, units()["worker"].command):
        assert words[words.index("-c") + 1] == documented()["WORKERS"] == "4"
