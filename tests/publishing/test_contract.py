"""The contract's files are what the code says, and hold together."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from biometrics.alerts.wording import LIMITS_OF_USE
from biometrics.management.commands import contract as command
from biometrics.publishing.contract import files


def documents() -> dict[str, Any]:
    made = files(
        event_topics=["events", "more-events"],
        alert_topic="alerts",
        limits_of_use=LIMITS_OF_USE,
    )
    return {name: json.loads(text) for name, text in made.items()}


def test_the_committed_files_are_as_the_code_says() -> None:
    told = StringIO()
    call_command("contract", "--check", stdout=told)
    assert "as the code says" in told.getvalue()


def test_a_difference_fails_and_writing_mends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "FOLDER", tmp_path)
    with pytest.raises(CommandError, match=r"asyncapi\.json"):
        call_command("contract", "--check")
    call_command("contract", stdout=StringIO())
    call_command("contract", "--check", stdout=StringIO())


def test_every_reference_of_the_asyncapi_document_leads_somewhere() -> None:
    known = documents()
    document = known["asyncapi.json"]

    def check(node: Any) -> None:
        if isinstance(node, dict):
            reference = node.get("$ref")
            if isinstance(reference, str):
                assert _target(document, known, reference) is not None, reference
            for item in node.values():
                check(item)

    check(document)


def test_each_topic_says_what_is_on_it() -> None:
    channels = documents()["asyncapi.json"]["channels"]
    assert set(channels) == {"events", "more-events", "alerts"}
    assert "biometric-record" in channels["events"]["messages"]
    assert "hrv-alert" in channels["alerts"]["messages"]


def _target(document: Any, known: dict[str, Any], reference: str) -> Any:
    if reference.startswith("./"):
        return known.get(reference.removeprefix("./"))
    for name in reference.removeprefix("#/").split("/"):
        document = document.get(name) if isinstance(document, dict) else None
    return document
