"""Policies as a project writes them down, and as its environment overrides them."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from itertools import product
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from hypothesis import given
from hypothesis import settings as effort
from hypothesis import strategies as st
from pytest_django.fixtures import Settings

from resilience import registry
from resilience.apps import ResilienceConfig
from resilience.conf import PolicyBook, check_name
from resilience.errors import PolicyError
from resilience.states import Mode
from tests.resilience.clockwork import BizError


def book(written: Mapping[str, Mapping[str, Any]], **environment: str) -> PolicyBook:
    return PolicyBook(written=written, environment=environment)


def test_the_more_particular_key_wins_field_by_field() -> None:
    policies = book(
        {
            "vendor:*": {"failure_threshold": 7, "recovery_timeout": 30},
            "vendor:oura": {"failure_threshold": 3},
        }
    )

    assert policies.policy_for("vendor:oura").failure_threshold == 3
    assert policies.policy_for("vendor:oura").recovery_timeout == 30
    assert policies.policy_for("vendor:whoop").failure_threshold == 7
    assert policies.policy_for("kafka").failure_threshold == 5


def test_a_plain_key_also_serves_the_names_below_it() -> None:
    assert (
        book({"vendor": {"failure_threshold": 7}})
        .policy_for("vendor:x")
        .failure_threshold
        == 7
    )


def test_only_circuits_with_a_name_of_their_own_are_listed() -> None:
    assert book({"vendor:*": {}, "kafka": {}, "database": {}}).names() == [
        "database",
        "kafka",
    ]


def test_the_environment_overrides_a_number_for_one_or_for_all() -> None:
    policies = book(
        {"vendor:*": {"failure_threshold": 7}, "kafka": {}},
        RESILIENCE_VENDOR_FAILURE_THRESHOLD="4",
        RESILIENCE_VENDOR_OURA_RECOVERY_TIMEOUT="2.5",
        RESILIENCE_KAFKA_INITIAL_MODE="observe",
    )
    policies.check()

    assert policies.policy_for("vendor:whoop").failure_threshold == 4
    assert policies.policy_for("vendor:oura").failure_threshold == 4
    assert policies.policy_for("vendor:oura").recovery_timeout == 2.5
    assert policies.policy_for("vendor:whoop").recovery_timeout == 60
    assert policies.policy_for("kafka").initial_mode is Mode.OBSERVE


def test_rules_may_be_named_by_their_path() -> None:
    policy = book(
        {"kafka": {"ignore": ["tests.resilience.clockwork.BizError", KeyError]}}
    ).policy_for("kafka")

    assert policy.ignore[1] is KeyError
    assert getattr(policy.ignore[0], "__name__", "") == BizError.__name__


@pytest.mark.parametrize(
    ("written", "environment", "said"),
    [
        ({"kafka": {"failure_threshold": 0}}, {}, "'kafka'.*failure_threshold"),
        ({"kafka": {"treshold": 3}}, {}, "'kafka'.*treshold"),
        ({"kafka": {"ignore": "builtins.KeyError"}}, {}, "'kafka'.*ignore"),
        ({"kafka": {"ignore": ["no.such.Thing"]}}, {}, "ignore.*no.such.Thing"),
        ({"kafka": {"initial_mode": "shut"}}, {}, "initial_mode.*shut"),
        ({"bad name": {}}, {}, "bad name"),
        ({1: {}}, {}, "1 is no name"),
        ({"kafka": {2: 3}}, {}, "'kafka'.*2 is no field"),
        ({"kafka": {"failure_rate": True}}, {}, "'kafka'.*failure_rate"),
        ({"kafka": {"recovery_cap": 1e307}}, {}, "'kafka'.*recovery_cap"),
        ({"kafka": {"ignore": [".no.such.Thing"]}}, {}, "ignore.*no.such.Thing"),
        ({"kafka": {"ignore": iter([KeyError])}}, {}, "'kafka'.*ignore"),
        ({"vendor:*": {"failure_threshold": 0}}, {}, "vendor.*failure_threshold"),
        (
            {"vendor": {"recovery_cap": 100}, "vendor:*": {"recovery_timeout": 300}},
            {},
            "vendor.*recovery_cap",
        ),
        (
            {"a": {"recovery_cap": 100}, "a:b:*": {"recovery_timeout": 300}},
            {},
            "a:b.*recovery_cap",
        ),
        (
            {"vendor:*": {"recovery_cap": 100}, "vendor:oura:*": {"recovery_cap": 600}},
            {"RESILIENCE_VENDOR_OURA_RECOVERY_TIMEOUT": "300"},
            "'vendor:oura'.*RESILIENCE_VENDOR_OURA_RECOVERY_TIMEOUT",
        ),
        (
            {"kafka:*": {"call_timeout": 1}},
            {"RESILIENCE_KAFKA_LEASE_SECONDS": "5"},
            "'kafka'.*RESILIENCE_KAFKA_LEASE_SECONDS",
        ),
        (
            {"vendor:*": {}},
            {
                "RESILIENCE_VENDOR_GOOGLE_RECOVERY_CAP": "900",
                "RESILIENCE_VENDOR_GOOGLE_FIT_RECOVERY_TIMEOUT": "700",
            },
            "'vendor:google_fit'.*RESILIENCE_VENDOR_GOOGLE_FIT_RECOVERY_TIMEOUT",
        ),
        (
            {"kafka": {}},
            {"RESILIENCE_KAFKA_FAILURE_THRESHOLD": "5.0"},
            "must be a whole number",
        ),
        ({"kafka": 5}, {}, "'kafka'.*must be a dict"),
        (
            {"kafka": {"recovery_cap": 100}},
            {"RESILIENCE_KAFKA_RECOVERY_TIMEOUT": "200"},
            "'kafka'.*with RESILIENCE_KAFKA_RECOVERY_TIMEOUT.*recovery_timeout",
        ),
        (
            {"vendor": {"recovery_cap": 100}, "vendor:oura": {"recovery_timeout": 200}},
            {},
            "'vendor:oura'.*recovery_timeout",
        ),
        (
            {"vendor": {}, "vendor:oura": {"recovery_timeout": 200}},
            {"RESILIENCE_VENDOR_RECOVERY_CAP": "100"},
            "'vendor:oura.*with RESILIENCE_VENDOR_RECOVERY_CAP".replace("'", "."),
        ),
        (
            {"vendor": {"recovery_cap": 100}, "vendor:oura": {}},
            {"RESILIENCE_VENDOR_OURA_RECOVERY_TIMEOUT": "200"},
            "RESILIENCE_VENDOR_OURA_RECOVERY_TIMEOUT",
        ),
        (
            {
                "vendor": {"recovery_timeout": 10, "recovery_cap": 30},
                "vendor:*": {},
            },
            {"RESILIENCE_VENDOR_OURA_RECOVERY_TIMEOUT": "40"},
            "RESILIENCE_VENDOR_OURA_RECOVERY_TIMEOUT",
        ),
        (
            {"vendor:*": {}},
            {
                "RESILIENCE_VENDOR_OURA_RECOVERY_CAP": "100",
                "RESILIENCE_VENDOR_OURA_EU_RECOVERY_TIMEOUT": "200",
            },
            "RESILIENCE_VENDOR_OURA_EU_RECOVERY_TIMEOUT",
        ),
        (
            {"kafka": {}},
            {"RESILIENCE_KAFKA_FAILURE_THRESHOLD": "many"},
            "RESILIENCE_KAFKA_FAILURE_THRESHOLD",
        ),
        (
            {"kafka": {}},
            {"RESILIENCE_KAFKA_FAILURE_THRESHOLD": "0"},
            "failure_threshold",
        ),
        (
            {"kafka": {}},
            {"RESILIENCE_KAFKA_TRESHOLD": "3"},
            "RESILIENCE_KAFKA_TRESHOLD",
        ),
        *(
            ({"vendor:*": {}}, {variable: value}, f"{variable}.*{said}")
            for variable, value, said in [
                ("RESILIENCE_VENDOR_OURA_FAILURE_THRESHOLD", "banana", "banana"),
                ("RESILIENCE_VENDOR_OURA_FAILURE_THRESHOLD", "-1", "failure_thr"),
                ("RESILIENCE_VENDOR_OURA_RECOVERY_TIMEOUT", "9999", "recovery_cap"),
                ("RESILIENCE_VENDOR_OURA_INITIAL_MODE", "nonsense", "nonsense"),
                ("RESILIENCE_VENDOR__OURA_FAILURE_THRESHOLD", "3", "no name for"),
                ("RESILIENCE_VENDOR_oura_FAILURE_THRESHOLD", "3", "known: vendor"),
                ("RESILIENCE_VENDR_FAILURE_THRESHOLD", "3", "known: vendor"),
                ("RESILIENCE_VENDORS_FAILURE_THRESHOLD", "3", "known: vendor"),
            ]
        ),
    ],
)
def test_what_cannot_be_meant_is_refused_by_its_name(
    written: dict[str, Any], environment: dict[str, str], said: str
) -> None:
    with pytest.raises(PolicyError, match=said):
        book(written, **environment).check()


# Names whose variables look alike, and the variables that mean some of them.
ALIKE = [":".join(p) for n in (1, 2, 3) for p in product(("a", "a_a", "A"), repeat=n)]
WRITTEN = st.dictionaries(
    st.builds("{}{}".format, st.sampled_from(ALIKE), st.sampled_from(["", ":*"])),
    st.sampled_from([{}, {"recovery_cap": 100}, {"recovery_cap": 600}]),
    min_size=1,
    max_size=4,
)
ENVIRONMENT = st.dictionaries(
    st.builds(
        "RESILIENCE{}_RECOVERY_{}".format,
        st.integers(1, 8).map("_A".__mul__),
        st.sampled_from(["TIMEOUT", "CAP"]),
    ),
    st.sampled_from(["300", "600"]),
    max_size=4,
)


@effort(max_examples=200, deadline=None)
@given(written=WRITTEN, environment=ENVIRONMENT)
def test_what_the_start_accepts_is_a_policy_for_every_name(
    written: dict[str, Any], environment: dict[str, str]
) -> None:
    policies = book(written, **environment)
    with suppress(PolicyError):
        policies.check()
        for name in (*ALIKE, *deep_names()):
            try:
                policies.policy_for(name)
            except PolicyError as error:
                pytest.fail(f"{name} was accepted at the start: {error}")


def deep_names() -> list[str]:
    marks = product(":_", repeat=7)
    return ["a" + "a".join(way) + "a" for way in marks]


def test_a_variable_speaks_for_no_circuit_of_another_key() -> None:
    """Else the start had to refuse what the operator plainly meant."""
    policies = book(
        {"vendor:*": {"recovery_cap": 100}, "vendor:google_fit": {"recovery_cap": 600}},
        RESILIENCE_VENDOR_GOOGLE_FIT_RECOVERY_TIMEOUT="300",
    )
    policies.check()

    assert policies.policy_for("vendor:google_fit").recovery_timeout == 300
    assert policies.policy_for("vendor:google:fit").recovery_timeout == 60
    assert policies.policy_for("vendor_google_fit").recovery_timeout == 60


def test_policies_that_are_no_dict_are_refused() -> None:
    with pytest.raises(PolicyError, match="RESILIENCE must be a dict"):
        book([]).check()  # type: ignore[arg-type]


def test_variables_of_a_circuit_nobody_named_yet_count_together() -> None:
    policies = book(
        {"vendor": {}},
        RESILIENCE_VENDOR_OURA_RECOVERY_TIMEOUT="700",
        RESILIENCE_VENDOR_OURA_RECOVERY_CAP="900",
    )
    policies.check()

    assert policies.policy_for("vendor:oura").recovery_cap == 900


def test_a_field_may_rest_on_what_a_key_above_says() -> None:
    policies = book(
        {"vendor": {"recovery_cap": 1000}, "vendor:oura": {"recovery_timeout": 700}}
    )
    policies.check()

    assert policies.policy_for("vendor:oura").recovery_timeout == 700


def test_the_packages_own_variables_are_no_policy() -> None:
    book({}, RESILIENCE_REDIS_URL="redis://x", RESILIENCE_KEY_PREFIX="cb").check()


@pytest.mark.parametrize("name", ["", "a b", "a::b", "{a}", "x" * 101, "a/b", ":a"])
def test_a_name_must_fit_keys_addresses_and_labels(name: str) -> None:
    with pytest.raises(PolicyError, match="no name for a circuit"):
        check_name(name)


def test_start_up_stops_at_a_bad_policy_and_names_the_field(
    settings: Settings,
) -> None:
    settings.RESILIENCE = {"kafka": {"recovery_timeout": -1}}

    with pytest.raises(ImproperlyConfigured, match=r"'kafka'.*recovery_timeout"):
        ResilienceConfig.create("resilience").ready()


@pytest.mark.parametrize("timeout", [2, "soon", None])
def test_start_up_stops_at_a_store_timeout_that_callers_would_feel(
    settings: Settings, timeout: object
) -> None:
    settings.RESILIENCE_STORE_TIMEOUT = timeout

    with pytest.raises(ImproperlyConfigured, match="RESILIENCE_STORE_TIMEOUT"):
        registry.check_settings()


def test_one_name_is_one_breaker_with_one_policy(settings: Settings) -> None:
    settings.RESILIENCE = {"kafka": {"failure_threshold": 2}, "vendor:*": {}}
    settings.RESILIENCE_REDIS_URL = ""
    breaker = registry.get_breaker("kafka")
    vendor = registry.get_breaker("vendor:oura")

    assert registry.get_breaker("kafka") is breaker
    assert registry.all_breakers() == [breaker, vendor]
    assert registry.get_breaker("kafka", policy=breaker.policy) is breaker
    with pytest.raises(PolicyError, match="another policy"):
        registry.get_breaker("kafka", policy=vendor.policy)
    with pytest.raises(PolicyError):
        registry.get_breaker("no name")
