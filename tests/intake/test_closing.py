"""A process that stops says so, and starts nothing new."""

from __future__ import annotations

import asyncio

import orjson
import pytest
from django.test import RequestFactory

from auren.health import ready
from biometrics.errors import StoreUnavailableError
from biometrics.intake import runtime as intake
from tests.intake.test_stores import row


@pytest.mark.django_db
def test_a_process_that_stops_takes_nothing_more_and_says_so() -> None:
    async def scenario() -> None:
        current = intake.current()
        closing = asyncio.create_task(intake.close())
        await asyncio.sleep(0)
        assert intake.is_closing()
        assert intake.current() is current
        answer = ready(RequestFactory().get("/ready"))
        assert answer.status_code == 503
        assert orjson.loads(answer.content)["reasons"] == ["shutting_down"]
        with pytest.raises(StoreUnavailableError):
            await current.writer.write(row("late"))
        await closing
        assert not intake.is_closing()

    asyncio.run(scenario())
