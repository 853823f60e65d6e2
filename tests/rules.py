"""What an alert rule asks for, read out of what the code really exposes."""

from __future__ import annotations

import re
from pathlib import Path

import yaml
from prometheus_client.parser import text_string_to_metric_families

RULES = Path(__file__).resolve().parents[1] / "ops" / "prometheus" / "alerts.yml"
_SELECTOR = re.compile(r"(biobridge_[a-z0-9_]+)(?:\{([^}]*)\})?")
_MATCHER = re.compile(r'(\w+)(=~|=)"([^"]*)"')


def selected(alert: str, exposition: str) -> float:
    """Sum the samples that the rule's selector finds in /metrics."""
    (group,) = yaml.safe_load(RULES.read_text())["groups"]
    (expr,) = [rule["expr"] for rule in group["rules"] if rule["alert"] == alert]
    ((name, matchers),) = _SELECTOR.findall(expr)
    wanted = _MATCHER.findall(matchers)
    return sum(
        sample.value
        for family in text_string_to_metric_families(exposition)
        for sample in family.samples
        if sample.name == name
        and all(
            re.fullmatch(
                value if how == "=~" else re.escape(value), sample.labels.get(label, "")
            )
            for label, how, value in wanted
        )
    )
