"""More than one process may hold is answered `busy`, and the alert's rule sees it."""

from __future__ import annotations

import http.client
import re
from contextlib import closing

import pytest
from pytest_django.fixtures import Settings

from biometrics.models import WebhookDelivery
from tests.bridge import RunningBridge
from tests.intake.test_http import terra
from tests.rules import selected


def exposed(bridge: RunningBridge) -> tuple[float, float]:
    """Return what the rule selects, and how much of it was busy.

    Tests before this one may have been told that the database was away.
    """
    text = bridge.request("GET", "/metrics").body.decode()
    busy = re.findall(r'biobridge_deliveries_total\{outcome="busy",.*\} (.*)', text)
    return selected("BridgeRefusing", text), sum(map(float, busy))


@pytest.fixture
def small(settings: Settings) -> None:
    settings.INTAKE_BUFFER_MB = 1


@pytest.mark.usefixtures("small")
def test_bodies_beyond_the_budget_are_busy_and_the_rule_sees_them(
    bridge: RunningBridge,
) -> None:
    all_before, busy_before = exposed(bridge)
    answer = bridge.deliver("terra", terra(padding="x" * 2**20))
    assert (answer.status, answer.json["error"]) == (503, "busy")
    assert answer.headers["retry-after"] == "1"
    assert WebhookDelivery.objects.count() == 0
    assert exposed(bridge) == (all_before + 1, busy_before + 1)
    assert bridge.deliver("terra", terra()).status == 200
    assert exposed(bridge) == (all_before + 1, busy_before + 1)


def announced(bridge: RunningBridge, path: str, *, size: int) -> int:
    """Return the answer to a body that is announced: whoever sends it may be cut off."""
    with closing(
        http.client.HTTPConnection("127.0.0.1", bridge.port, timeout=10)
    ) as connection:
        connection.putrequest("POST", path)
        connection.putheader("Content-Length", str(size))
        connection.endheaders()
        return connection.getresponse().status


def test_what_is_refused_before_any_view_is_counted_under_no_invented_name(
    bridge: RunningBridge,
) -> None:
    for path in ("/webhooks/whoop", "/webhooks/nobody"):
        assert announced(bridge, path, size=2**20 + 1) == 413
    text = bridge.request("GET", "/metrics").body.decode()
    for vendor in ("whoop", "unknown"):
        assert f'{{outcome="too_large",vendor="{vendor}"}}' in text
    assert 'outcome="too_large",vendor="nobody"' not in text
