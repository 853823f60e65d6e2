"""The audit says how much it knows, above all when that is nothing."""

from __future__ import annotations

import json

import pytest

from auren.devstack.audit import report

HARMLESS = {"name": "good", "version": "1.0", "vulns": []}
UNKNOWN = {"name": "private", "skip_reason": "not found"}
CONCERNED = {
    "name": "bad",
    "version": "0.9",
    "vulns": [
        {"id": "PYSEC-1", "aliases": ["CVE-1"], "fix_versions": ["1.0", "0.9.1"]},
        {"id": "PYSEC-2", "aliases": [], "fix_versions": []},
    ],
}


def said(*packages: object) -> str:
    return "\n".join(report(json.dumps({"dependencies": packages})))


@pytest.mark.parametrize("answer", ["", "no JSON", "[]", '{"fixes": []}'])
def test_without_an_answer_nothing_was_examined(answer: str) -> None:
    assert list(report(answer)) == [
        "Nothing was examined: the advisories could not be reached."
    ]


def test_packages_that_nobody_knows_are_not_called_safe() -> None:
    assert said(UNKNOWN, UNKNOWN).startswith("Nothing was examined")


def test_what_is_known_is_told_with_its_mend() -> None:
    told = said(HARMLESS, CONCERNED, UNKNOWN)
    assert "bad 0.9: PYSEC-1, CVE-1; mended in 1.0, 0.9.1." in told
    assert "bad 0.9: PYSEC-2; mended in no version yet." in told
    assert "2 packages were examined, 1 have known vulnerabilities." in told
    assert "Not examined: private." in told
