"""What every vendor adapter must hold, whoever the vendor is.

A vendor's test module subclasses `VendorContract` and says what the vendor sends; the
tests come from here.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from biometrics.errors import MalformedPayloadError, UnreadableDeliveryError
from biometrics.vendors.records import Understanding
from biometrics.vendors.wire import StoredDelivery
from tests.vendors.deliveries import FIXTURES, NOW, Case, answer
from tests.vendors.mutations import mutated, reordered
from tests.vendors.proof_contract import ProofContract
from tests.vendors.soundness import assert_sound

NOT_JSON = (b"", b" ", b"not json", b"{", b"\xff\xfe", b'{"a": NaN}', b"[" * 100_000)


class VendorContract(ProofContract):
    """The obligations of an adapter; `slug` and these variables say which one's."""

    # A genuine body of a type that this vendor may send one day, None where it has none.
    unknown_type: ClassVar[bytes | None]
    # Fixture files that are no deliveries, with the reason.
    not_deliveries: ClassVar[Mapping[str, str]] = {}
    # The owner of the personal token, for vendors that prove a person by one.
    token_owner: ClassVar[str | None] = None

    def stored(self, case: Case) -> StoredDelivery:
        """Carry a case through the envelope to what normalising gets to see."""
        request = self.request(case)
        envelope = self.adapter.envelope(request, account_id=self.token_owner)
        kept = {k: v for k, v in request.headers if k in self.adapter.kept_headers}
        return StoredDelivery(
            vendor=self.slug,
            account_id=envelope.account_id,
            event_type=envelope.event_type,
            headers=kept,
            body=case.body,
            received_at=NOW,
            documents=case.documents,
        )

    @classmethod
    def inapplicable(cls) -> frozenset[str]:
        names = super().inapplicable()
        if cls.unknown_type is None:
            names |= {"test_an_unknown_type_is_ignored_with_a_reason"}
        return names

    # What it is

    @pytest.mark.parametrize("body", NOT_JSON, ids=lambda body: repr(body[:12]))
    def test_a_body_that_is_not_json_is_malformed(self, body: bytes) -> None:
        request = self.request(Case(name="not json", body=body))
        with pytest.raises(MalformedPayloadError):
            self.adapter.envelope(request, account_id=self.token_owner)

    def test_an_unknown_type_is_ignored_with_a_reason(self) -> None:
        assert self.unknown_type is not None
        case = Case(name="unknown", body=self.unknown_type)
        request = self.request(case)
        envelope = self.adapter.envelope(request, account_id=self.token_owner)
        assert envelope.ignored
        understanding = self.adapter.understand(self.stored(case))
        assert understanding.ignored
        assert not understanding.records

    def test_the_envelope_is_stable_and_fits_its_columns(
        self, subtests: pytest.Subtests
    ) -> None:
        for case in self.cases():
            with subtests.test(case.name):
                request = self.request(case)
                first = self.adapter.envelope(request, account_id=self.token_owner)
                second = self.adapter.envelope(request, account_id=self.token_owner)
                assert first == second
                assert first.account_id in first.dedupe_key
                assert 0 < len(first.dedupe_key) <= 400
                assert len(first.account_id) <= 200
                assert 0 < len(first.event_type) <= 80
                assert len(first.reference or "") <= 200

    def test_other_bytes_are_another_delivery(self) -> None:
        keys = {
            self.adapter.envelope(
                self.request(case), account_id=self.token_owner
            ).dedupe_key
            for case in self.cases()
        }
        assert len(keys) == len(self.cases())

    def test_the_declared_event_types_are_the_tested_ones(self) -> None:
        envelopes = [
            self.adapter.envelope(self.request(case), account_id=self.token_owner)
            for case in self.cases()
        ]
        tested = {e.event_type for e in envelopes if e.ignored is None}
        assert tested == self.adapter.event_types

    def test_the_sample_of_the_folder_is_a_delivery(self) -> None:
        folder = Path(inspect.getfile(type(self.adapter))).parent
        case = Case(name="sample", body=(folder / "sample.json").read_bytes())
        envelope = self.adapter.envelope(
            self.request(case), account_id=self.token_owner
        )
        assert envelope.ignored is None
        assert envelope.event_type in self.adapter.event_types

    # What it says

    def test_every_fixture_is_used(self) -> None:
        files = {path.name for path in (FIXTURES / self.slug).glob("*.json")}
        used = {name for case in self.cases() for name in case.fixtures}
        assert used | set(self.not_deliveries) == files
        assert not used & set(self.not_deliveries)

    def test_every_case_is_understood(self, subtests: pytest.Subtests) -> None:
        for case in self.cases():
            with subtests.test(case.name):
                understanding = self.adapter.understand(self.stored(case))
                assert understanding == self.adapter.understand(self.stored(case))
                assert_sound(understanding, now=NOW)

    def test_the_coverage_names_every_metric_that_is_said(self) -> None:
        said = set()
        for case in self.cases():
            for record in self._understand_or_park(self.stored(case)).records:
                said |= {(record.record_type, one.metric) for one in record.readings}
                said |= {(record.record_type, one.metric) for one in record.series}
        covered = {(row.record_type, row.metric) for row in self.adapter.coverage}
        assert said
        assert said <= covered

    @pytest.mark.parametrize("wrong", [True, "42", [42], {"value": 42}])
    def test_what_is_no_number_is_as_if_it_were_not_sent(
        self, wrong: object, subtests: pytest.Subtests
    ) -> None:
        """Each sample with all its numbers at once: true is not 1, nor "42" 42."""
        for case in self.cases():
            with subtests.test(case.name):
                said = self._numbers(with_numbers(case, wrong))
                assert said == self._numbers(with_numbers(case, None))

    def _numbers(self, case: Case) -> set[tuple[str, str, float | None]]:
        try:
            records = self._understand_or_park(self.stored(case)).records
        except MalformedPayloadError:
            return set()
        found: set[tuple[str, str, float | None]] = set()
        for record in records:
            for one in record.readings:
                found.add((record.record_id, f"{one.metric} {one.context}", one.value))
            for series in record.series:
                found |= {
                    (record.record_id, str(series.metric), v) for v in series.values
                }
        return found

    @settings(
        deadline=None,
        max_examples=300,
        suppress_health_check=[HealthCheck.differing_executors, HealthCheck.too_slow],
    )
    @given(data=st.data())
    def test_no_mutation_escapes_or_becomes_a_number(self, data: st.DataObject) -> None:
        case = data.draw(st.sampled_from(self.cases()), label="case")
        try:
            stored = self.stored(mutate(case, data))
        except MalformedPayloadError:
            return
        understanding = self._understand_or_park(stored)
        assert_sound(understanding, now=NOW)

    @settings(
        deadline=None,
        max_examples=150,
        suppress_health_check=[HealthCheck.differing_executors, HealthCheck.too_slow],
    )
    @given(data=st.data())
    def test_any_json_of_the_vendors_words_is_understood_or_refused(
        self, data: st.DataObject
    ) -> None:
        """Not a sample that was spoilt, but its words in any order and depth."""
        case = data.draw(st.sampled_from(self.cases()), label="case")
        body = data.draw(reordered(case.body), label="body")
        try:
            stored = self.stored(replace(case, body=body))
        except MalformedPayloadError:
            return
        assert len(stored.account_id) <= 200
        assert "\0" not in stored.account_id + stored.event_type
        assert_sound(self._understand_or_park(stored), now=NOW)

    def _understand_or_park(self, stored: StoredDelivery) -> Understanding:
        try:
            return self.adapter.understand(stored)
        except UnreadableDeliveryError as error:
            parked_at = error.field
        assert parked_at
        return Understanding()


def with_numbers(case: Case, value: object) -> Case:
    """Return a case whose data has this in place of every number.

    What only names documents is left as it is, so that they are found.
    """
    if not case.documents:
        return replace(case, body=_with_numbers(case.body, value))
    documents = tuple(
        replace(one, body=_with_numbers(one.body, value)) for one in case.documents
    )
    return replace(case, documents=documents)


def _with_numbers(body: bytes, value: object) -> bytes:
    def put(node: object) -> object:
        if isinstance(node, dict):
            return {key: put(child) for key, child in node.items()}
        if isinstance(node, list):
            return [put(child) for child in node]
        is_number = isinstance(node, int | float) and not isinstance(node, bool)
        return value if is_number else node

    return json.dumps(put(json.loads(body))).encode() if body else body


def mutate(case: Case, data: st.DataObject) -> Case:
    target = data.draw(st.integers(-1, len(case.documents) - 1), label="document")
    if target == -1:
        body = data.draw(mutated(case.body), label="body")
        return Case(
            name=case.name, body=body, headers=case.headers, documents=case.documents
        )
    documents = list(case.documents)
    old = documents[target]
    if not _is_json(old.body):
        return case
    body = data.draw(mutated(old.body), label="answer")
    documents[target] = answer(body, url=old.url, status=old.status)
    return Case(
        name=case.name, body=case.body, headers=case.headers, documents=tuple(documents)
    )


def _is_json(body: bytes) -> bool:
    try:
        json.loads(body)
    except ValueError:
        return False
    return True
