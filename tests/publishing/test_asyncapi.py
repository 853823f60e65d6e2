"""The AsyncAPI document is held to the JSON Schema that AsyncAPI 3.0.0 has of itself.

`asyncapi-3.0.0.schema.json.gz` is `schemas/3.0.0.json` of the npm package
`@asyncapi/specs` 6.11.1 (https://github.com/asyncapi/spec-json-schemas), unchanged but
for gzip; copyright of the AsyncAPI Initiative, Apache License 2.0, like this project.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from jsonschema import Draft7Validator
from referencing import Registry

from biometrics.management.commands import contract as command
from biometrics.publishing.contract import ASYNCAPI

Document: TypeAlias = dict[str, Any]
_SCHEMA = Path(__file__).with_name("asyncapi-3.0.0.schema.json.gz")


@pytest.fixture(scope="module")
def specification() -> Draft7Validator:
    """Return what judges documents; every `$id` that it refers to lies in the file."""
    schema = json.loads(gzip.decompress(_SCHEMA.read_bytes()))
    return Draft7Validator(schema, registry=Registry())


@pytest.fixture
def document() -> Document:
    """Return the document as consumers get it."""
    found: Document = json.loads((command.FOLDER / ASYNCAPI).read_text("utf-8"))
    return found


def test_the_document_is_one(
    specification: Draft7Validator, document: Document
) -> None:
    wrong = [
        f"{error.json_path}: {error.message[:200]}"
        for error in specification.iter_errors(document)
    ]
    assert wrong == []


def _channel(document: Document) -> Document:
    found: Document = next(iter(document["channels"].values()))
    return found


def _operation(document: Document) -> Document:
    found: Document = next(iter(document["operations"].values()))
    return found


def _message(document: Document) -> Document:
    found: Document = document["components"]["messages"]["connection"]
    return found


def _headers(document: Document) -> Document:
    found: Document = document["components"]["schemas"]["connection.headers"]
    return found


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda it: it.update(asyncapi="2.6.0"), id="version"),
        pytest.param(lambda it: it["info"].pop("version"), id="info"),
        pytest.param(lambda it: _channel(it).update(adress="x"), id="channel"),
        pytest.param(
            lambda it: _channel(it)["messages"].update(connection={"name": 1}),
            id="message of a channel",
        ),
        pytest.param(lambda it: _operation(it).update(action="publish"), id="action"),
        pytest.param(lambda it: _operation(it).pop("channel"), id="operation"),
        pytest.param(
            lambda it: _message(it)["payload"].update(schemaFormat=7), id="payload"
        ),
        pytest.param(
            lambda it: _message(it)["bindings"]["kafka"].update(key="uuid"),
            id="Kafka's binding",
        ),
        pytest.param(
            lambda it: _message(it)["examples"][0].update(value={}), id="example"
        ),
        pytest.param(lambda it: _headers(it).update(type="record"), id="headers"),
        pytest.param(
            lambda it: _headers(it)["properties"].update(ce_id={"minLength": -1}),
            id="one header",
        ),
    ],
)
def test_a_spoilt_document_is_refused(
    specification: Draft7Validator,
    document: Document,
    spoil: Callable[[Document], object],
) -> None:
    spoil(document)
    assert not specification.is_valid(document)
