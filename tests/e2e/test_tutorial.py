"""docs/tutorial.md, block after block, in the order of the page."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from tests.e2e.admin import StaffSession
from tests.e2e.stack import Stack
from tests.e2e.typed import Terminal, blocks

pytestmark = [pytest.mark.kafka, pytest.mark.postgres, pytest.mark.redis]
STARTED_ELSEWHERE = "make run\n"


def test_everything_happens_as_the_page_says(stack: Stack, tmp_path: Path) -> None:
    terminal = Terminal(stack, tmp_path / "clone")
    page = iter(blocks("docs/tutorial.md"))
    assert next(page) == STARTED_ELSEWHERE
    staff = StaffSession(stack)

    night = next(page)
    accepted = orjson.loads(terminal.type(night))
    assert accepted["status"] == "accepted"
    assert orjson.loads(terminal.type(night)) == {**accepted, "status": "duplicate"}
    assert '"unauthenticated"' in terminal.type(next(page))

    delivery = (
        f"/admin/biometrics/webhookdelivery/{pk_of(stack, accepted['id'])}/change/"
    )
    stack.until(
        lambda: "terra-biometric-events" in staff.page(delivery),
        "the delivery's page tells the whole way",
    )
    assert "the imbalance is 0" in terminal.type(next(page))

    alerts = next(page)
    until(stack, terminal, alerts, lambda said: "CRITICAL" in said)
    acknowledge(stack, staff)

    assert "kafka" in terminal.type(next(page))
    assert '"accepted"' in terminal.type(next(page))
    waiting = next(page)
    until(stack, terminal, waiting, lambda said: "pending" in said)
    assert '"weight"' not in terminal.type(EVENTS)
    terminal.type(next(page))
    events = next(page)
    assert events == EVENTS
    until(stack, terminal, events, lambda said: "body.updated" in said)

    sent = published(stack)
    assert "2  deliveries in all" in terminal.type(next(page))
    assert "deliveries in all" in terminal.type(next(page))
    assert published(stack) == sent
    assert not list(page), "a block that nobody tries"


EVENTS = (
    ".venv/bin/python manage.py consume --topic terra-biometric-events"
    " --from-beginning\n"
)


def until(
    stack: Stack, terminal: Terminal, block: str, true: Callable[[str], bool]
) -> None:
    said = ""

    def asked() -> bool:
        nonlocal said
        said = terminal.type(block)
        return true(said)

    try:
        stack.until(asked, f"it is so: {block}", seconds=60)
    except AssertionError as error:
        error.add_note(said)
        raise


def pk_of(stack: Stack, public_id: str) -> int:
    query = "SELECT id FROM biometrics_webhookdelivery WHERE public_id = %s"
    ((pk,),) = stack.sql(query, public_id)
    return int(pk)


def published(stack: Stack) -> int:
    query = "SELECT count(*) FROM biometrics_outboxmessage"
    ((count,),) = stack.sql(query)
    return int(count)


def acknowledge(stack: Stack, staff: StaffSession) -> None:
    """Click on *Useful* beside the alert."""
    inbox = "/admin/biometrics/hrvalert/?status__exact=open"
    _, text = staff.get(inbox)
    found = re.search(r'formaction="([^"]+acknowledge[^"]+)"', text)
    assert found is not None
    staff.click(found[1].replace("&amp;", "&"), on=inbox, feedback="useful")
    assert stack.sql("SELECT status FROM biometrics_hrvalert") == [("acknowledged",)]
