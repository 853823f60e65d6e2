"""The contract's files are what the code says, hold together, and keep their word."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from jsonschema import Draft202012Validator

from biometrics.alerts.wording import LIMITS_OF_USE
from biometrics.management.commands import contract as command
from biometrics.publishing import contract
from biometrics.publishing.contract import files
from biometrics.publishing.event_types import EVENT_TYPES, RECORD_TYPES
from tests import wire


def documents() -> dict[str, Any]:
    made = files(
        event_topics=["events", "more-events"],
        alert_topic="alerts",
        limits_of_use=LIMITS_OF_USE,
    )
    return {name: json.loads(text) for name, text in made.items()}


def run(*arguments: str) -> str:
    told = StringIO()
    call_command("contract", *arguments, stdout=told)
    return told.getvalue()


def test_the_committed_files_are_as_the_code_says_and_keep_what_was_released() -> None:
    told = run("--check")
    assert "as the code says" in told
    assert "can read" in told or "replaces" in told


class TestCommand:
    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Work in a folder of this test's own."""
        monkeypatch.setattr(command, "FOLDER", tmp_path)

    @pytest.fixture
    def change(self, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
        """Return a way to let the code say something else, in a version."""
        make = contract.files

        def do(before: str, after: str, version: str) -> None:
            def changed(**given: Any) -> dict[str, str]:
                made = {
                    name: text.replace(before, after)
                    for name, text in make(**given).items()
                }
                assert made != make(**given)
                return made

            monkeypatch.setattr(contract, "VERSION", version)
            monkeypatch.setattr(contract, "files", changed)

        return do

    def released(self) -> None:
        run()
        run("--release")

    def test_a_difference_fails_by_name_and_writing_mends_it(
        self, tmp_path: Path
    ) -> None:
        with pytest.raises(CommandError, match=r"asyncapi\.json"):
            run("--check")
        self.released()
        run("--check")
        path = tmp_path / "connection.v1.schema.json"
        path.write_text(path.read_text().replace("relinked", "moved"))
        with pytest.raises(CommandError) as caught:
            run("--check")
        assert "(connection.v1.schema.json)" in str(caught.value)
        assert '"relinked"' in str(caught.value)

    def test_a_file_that_the_code_does_not_make_fails_and_goes(
        self, tmp_path: Path
    ) -> None:
        self.released()
        (tmp_path / "old.v1.schema.json").write_text("{}")
        with pytest.raises(CommandError, match=r"old\.v1"):
            run("--check")
        run()
        assert not (tmp_path / "old.v1.schema.json").exists()
        run("--check")

    def test_without_a_release_there_is_nothing_to_hold_it_against(self) -> None:
        run()
        with pytest.raises(CommandError, match="--release"):
            run("--check")

    def test_a_break_fails_although_the_files_are_written(
        self, change: Callable[..., None]
    ) -> None:
        self.released()
        change('"former_subject"', '"previous_subject"', "1.1.0")
        run()
        with pytest.raises(CommandError) as caught:
            run("--check")
        assert "connection $.former_subject: is gone" in str(caught.value)
        with pytest.raises(CommandError, match="former_subject"):
            run("--release")

    def test_a_break_passes_in_a_new_major_version(
        self, change: Callable[..., None]
    ) -> None:
        self.released()
        version = contract.VERSION
        change('"former_subject"', '"previous_subject"', "2.0.0")
        run()
        told = run("--check")
        assert "as the version says: connection $.former_subject: is gone" in told
        assert f"2.0.0 replaces {version}" in told
        assert "Released 2.0.0" in run("--release")
        assert "2.0.0 is what was released" in run("--release")

    def test_an_addition_passes_but_is_released_under_a_new_version_only(
        self, change: Callable[..., None]
    ) -> None:
        self.released()
        change('"title"', '"x-note": "more", "title"', contract.VERSION)
        run()
        run("--check")
        with pytest.raises(CommandError, match="raise VERSION"):
            run("--release")


def shown() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the examples of the AsyncAPI document with the names of their schemas."""
    messages = documents()["asyncapi.json"]["components"]["messages"]
    for name, message in messages.items():
        for example in message["examples"]:
            yield name, example


class TestExamples:
    @pytest.mark.parametrize(
        ("name", "example"),
        [
            pytest.param(name, one, id=f"{number}-{one['name']}")
            for number, (name, one) in enumerate(shown())
        ],
    )
    def test_each_is_a_record_that_consumers_may_get(
        self, name: str, example: dict[str, Any]
    ) -> None:
        known = documents()
        headers, value = example["headers"], example["payload"]
        schema = known[f"{name}.v1.schema.json"]
        Draft202012Validator(schema).validate(value)
        assert headers["ce_dataschema"] == schema["$id"]
        assert example["name"] == headers["ce_type"]
        wrong = wire.objections(
            key=headers["ce_subject"].encode(),
            headers={name: text.encode() for name, text in headers.items()},
            value=json.dumps(value).encode(),
        )
        assert wrong == []

    def test_each_event_type_has_one(self) -> None:
        have = {example["name"] for _, example in shown()}
        records = {f"auren.biometric.{name}.created.v1" for name in RECORD_TYPES}
        actions = {f"auren.biometric.sleep.{one}.v1" for one in ("updated", "deleted")}
        others = {
            ce_type
            for name, ce_types in EVENT_TYPES.items()
            for ce_type in ce_types
            if name != "biometric-record"
        }
        assert records | actions | others <= have

    def test_every_property_of_every_schema_is_in_one(self) -> None:
        for name, schema in documents().items():
            if name == "asyncapi.json":
                continue
            unseen = {
                path
                for path in _paths_of_schema(schema)
                if not any(path in _paths_of_value(one) for one in schema["examples"])
            }
            # A context is said where one metric has several.
            assert unseen <= {".readings.context", ".series.context"}, name


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


def _paths_of_schema(schema: Any, path: str = "") -> Iterator[str]:
    for branch in [schema, *schema.get("anyOf", ())]:
        for name, item in branch.get("properties", {}).items():
            yield f"{path}.{name}"
            yield from _paths_of_schema(item, f"{path}.{name}")
        if "items" in branch:
            yield from _paths_of_schema(branch["items"], path)


def _paths_of_value(value: Any, path: str = "") -> set[str]:
    if isinstance(value, list):
        return {found for item in value for found in _paths_of_value(item, path)}
    if not isinstance(value, dict):
        return set()
    return {f"{path}.{name}" for name in value} | {
        found
        for name, item in value.items()
        for found in _paths_of_value(item, f"{path}.{name}")
    }
