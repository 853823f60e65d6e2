"""No request is lost when web is restarted: what was sent is stored and answered."""

from __future__ import annotations

import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.intake.restarting import IDLE_S, Senders, Web, delivery, until

Start = Callable[..., Web]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    started: list[Web] = []

    def begin(*, processes: int) -> Web:
        started.append(Web(tmp_path, processes=processes))
        return started[-1]

    yield begin
    for web in started:
        web.kill()


def stored(home: Path) -> int:
    with closing(sqlite3.connect(home / "bridge.sqlite3")) as session:
        query = "SELECT count(*) FROM biometrics_webhookdelivery"
        (number,) = session.execute(query).fetchone()
    return int(number)


def test_an_idle_client_has_one_more_answer_and_is_told_that_it_is_the_last(
    start: Start, tmp_path: Path
) -> None:
    web = start(processes=1)
    with closing(web.connect()) as client:
        client.request("GET", "/health")
        assert client.getresponse().read()
        web.tell(signal.SIGTERM)
        until(web.refuses, "nothing new is accepted")
        body, proof = delivery()
        client.request("POST", "/webhooks/terra", body, proof)
        answer = client.getresponse()
        assert answer.status == 200
        assert answer.getheader("connection") == "close"
        assert stored(tmp_path) == 1
        # uvicorn ends by the signal that stopped it.
        assert web.wait_for_end() == -signal.SIGTERM


def test_a_request_that_is_under_way_is_stored_and_answered(
    start: Start, tmp_path: Path
) -> None:
    web = start(processes=1)
    body, proof = delivery()
    with closing(web.connect()) as client:
        # So that it is accepted for certain.
        client.request("GET", "/health")
        assert client.getresponse().read()
        client.putrequest("POST", "/webhooks/terra")
        for name, value in {**proof, "content-length": str(len(body))}.items():
            client.putheader(name, value)
        client.endheaders(body[:10])
        web.tell(signal.SIGTERM)
        until(web.refuses, "nothing new is accepted")
        client.send(body[10:])
        answer = client.getresponse()
        assert (answer.status, answer.getheader("connection")) == (200, "close")
    assert web.wait_for_end() == -signal.SIGTERM
    assert stored(tmp_path) == 1


def test_who_says_nothing_holds_up_no_restart(start: Start) -> None:
    web = start(processes=1)
    with closing(web.connect()), closing(web.connect()) as client:
        client.request("GET", "/health")
        assert client.getresponse().read()
        web.tell(signal.SIGTERM)
        assert web.wait_for_end(seconds=IDLE_S + 5) == -signal.SIGTERM


def test_a_rolling_restart_fails_no_request(start: Start, tmp_path: Path) -> None:
    web = start(processes=2)
    senders = Senders(web, keeping=6, new=2)
    senders.start()
    before = web.children
    try:
        until(lambda: senders.outcomes.total() > 50, "the load is there")
        web.tell(signal.SIGHUP)
        until(lambda: web.said("Finished server process") == 2, "both have ended")
        assert len(web.children - before) >= 2
        so_far = senders.outcomes.total()
        until(lambda: senders.outcomes.total() > so_far + 50, "the new ones serve")
    finally:
        senders.stop()
    assert set(senders.outcomes) == {"200"}, senders.outcomes
    assert senders.told_to_close >= 6
    assert stored(tmp_path) == senders.outcomes["200"]
