"""What every adapter owes on the question who sent a delivery."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from biometrics.errors import SignatureError
from biometrics.vendors.base import VendorAdapter
from biometrics.vendors.registry import get_adapter
from biometrics.vendors.wire import Credentials, InboundRequest
from tests import signer
from tests.vendors.deliveries import NOW, SECRET, Case, make_request
from tests.vendors.vectors import Vector, load_vectors

# Every vendor's class inherits the same tests.
_ONE_INSTANCE = (HealthCheck.differing_executors,)
_OF_SIGNATURES = frozenset(
    {
        "test_every_vector_gets_its_verdict",
        "test_any_active_secret_proves_the_sender_and_is_named",
        "test_the_window_is_closed_on_both_sides",
        "test_tampering_is_refused",
        "test_an_empty_body_is_refused_even_when_signed",
    }
)


class ProofContract:
    """The half of `VendorContract` that is about signatures and tokens."""

    slug: ClassVar[str]

    def cases(self) -> Sequence[Case]:
        """Return at least one delivery of every event type that the adapter declares."""
        raise NotImplementedError

    @classmethod
    def adapter_of(cls) -> VendorAdapter:
        """Return what is tested: the adapter that is registered under the slug."""
        return get_adapter(cls.slug)

    @property
    def adapter(self) -> VendorAdapter:
        return self.adapter_of()

    def proof(self, body: bytes, *, at: datetime) -> Mapping[str, str]:
        """Return the headers with which a genuine sender proves a body."""
        return signer.headers(self.slug, secret=SECRET, body=body, at=at)

    def vectors(self) -> Sequence[Vector]:
        """Return bodies and headers with the verdict that somebody else's code gave."""
        return load_vectors(self.slug)

    def request(self, case: Case, *, at: datetime = NOW) -> InboundRequest:
        """Return the case as a genuine sender posts it."""
        proof = self.proof(case.body, at=at)
        sent = [*case.headers.items(), *proof.items()]
        return make_request(self.slug, body=case.body, headers=sent)

    def _refused(self, request: InboundRequest, *, secrets: Sequence[str]) -> str:
        credentials = Credentials(secrets=secrets, tolerance_s=300)
        with pytest.raises(SignatureError) as caught:
            self.adapter.verify(request, credentials=credentials)
        return caught.value.reason

    @classmethod
    def inapplicable(cls) -> frozenset[str]:
        """Name the tests that this vendor's way of proving a sender cannot have."""
        if cls.adapter_of().personal_tokens:
            return _OF_SIGNATURES
        return frozenset({"test_a_personal_token_is_read_once_and_as_sent"})

    def _signed_case(self) -> Case:
        return self.cases()[0]

    def test_the_headers_of_a_proof_are_declared(self) -> None:
        """So docs/openapi.json describes them."""
        declared = set(self.adapter.proof_headers)
        assert {name.lower() for name, _ in self._proof()} <= declared

    def test_every_vector_gets_its_verdict(self, subtests: pytest.Subtests) -> None:
        self._signed_case()
        vectors = self.vectors()
        assert vectors
        for vector in vectors:
            headers = [(k.lower(), v) for k, v in vector.headers.items()]
            request = make_request(
                self.slug, body=vector.body, headers=headers, at=vector.now
            )
            with subtests.test(vector.name):
                if vector.valid:
                    slot = self.adapter.verify(
                        request,
                        credentials=Credentials(
                            secrets=[vector.secret], tolerance_s=300
                        ),
                    )
                    assert slot == 0
                else:
                    self._refused(request, secrets=[vector.secret])

    def test_any_active_secret_proves_the_sender_and_is_named(self) -> None:
        request = self.request(self._signed_case())
        for secrets, slot in [([SECRET, "new"], 0), (["old", SECRET], 1)]:
            credentials = Credentials(secrets=secrets, tolerance_s=300)
            assert self.adapter.verify(request, credentials=credentials) == slot
        self._refused(request, secrets=["old", "new"])
        self._refused(request, secrets=[])

    def test_the_window_is_closed_on_both_sides(self) -> None:
        case = self._signed_case()
        for seconds, welcome in [(299, True), (301, False)]:
            for at in (
                NOW - timedelta(seconds=seconds),
                NOW + timedelta(seconds=seconds),
            ):
                request = self.request(case, at=at)
                if welcome:
                    credentials = Credentials(secrets=[SECRET], tolerance_s=300)
                    assert self.adapter.verify(request, credentials=credentials) == 0
                else:
                    self._refused(request, secrets=[SECRET])

    def test_tampering_is_refused(self) -> None:
        request = self.request(self._signed_case())
        for body in (b"", request.body + b" ", request.body[:-1], request.body[::-1]):
            changed = make_request(self.slug, body=body, headers=request.headers)
            self._refused(changed, secrets=[SECRET])
        for headers in _spoilt_headers(self._proof()):
            changed = make_request(self.slug, body=request.body, headers=headers)
            self._refused(changed, secrets=[SECRET])

    def test_an_empty_body_is_refused_even_when_signed(self) -> None:
        self._signed_case()
        request = self.request(Case(name="empty", body=b""))
        self._refused(request, secrets=[SECRET])

    def test_a_personal_token_is_read_once_and_as_sent(self) -> None:
        request = self.request(self.cases()[0])
        assert self.adapter.presented_token(request) == SECRET
        bare = make_request(self.slug, body=request.body, headers=[])
        assert self.adapter.presented_token(bare) is None
        doubled = make_request(
            self.slug, body=request.body, headers=[*request.headers, *request.headers]
        )
        with pytest.raises(SignatureError):
            self.adapter.presented_token(doubled)

    @settings(deadline=None, max_examples=200, suppress_health_check=_ONE_INSTANCE)
    @given(data=st.data())
    def test_no_header_does_more_than_prove_or_be_refused(
        self, data: st.DataObject
    ) -> None:
        """Any text in the headers that a proof may be in, each once, twice or never."""
        names = st.sampled_from(self.adapter.proof_headers)
        headers = data.draw(
            st.lists(st.tuples(names, header_texts(self._proof())), max_size=4)
        )
        request = make_request(self.slug, body=b"{}", headers=headers)
        if self.adapter.personal_tokens:
            with contextlib.suppress(SignatureError):
                token = self.adapter.presented_token(request)
                assert token is None or token.isascii()
            return
        assert self._refused(request, secrets=[SECRET])

    @settings(deadline=None, max_examples=100, suppress_health_check=_ONE_INSTANCE)
    @given(
        query=st.dictionaries(
            st.sampled_from(["verification_token", "challenge", "x"]), st.text()
        )
    )
    def test_no_handshake_is_answered_without_the_token(
        self, query: dict[str, str]
    ) -> None:
        asked = make_request(self.slug, body=b"", headers=[])
        asked = replace(asked, method="GET", query=query)
        answer = self.adapter.handshake(asked, verification_token="the-token")
        assert answer is None or answer.status in {400, 401}

    def _proof(self) -> list[tuple[str, str]]:
        return list(self.proof(self.cases()[0].body, at=NOW).items())


def header_texts(proof: Sequence[tuple[str, str]]) -> st.SearchStrategy[str]:
    """Return texts of headers: any, a proof of something else, and nearly one."""
    genuine = st.sampled_from([value for _name, value in proof])
    return st.one_of(
        st.text(),
        genuine,
        st.tuples(genuine, st.text(max_size=3)).map("".join),
        genuine.map(lambda text: text[: len(text) // 2]),
        st.text(alphabet="tv1=,0123456789abcdef", max_size=80),
        st.integers().map(str),
    )


def _spoilt_headers(
    proof: Sequence[tuple[str, str]],
) -> Iterator[list[tuple[str, str]]]:
    """Yield the proof with each header gone, doubled, and holding something else."""
    for index, (name, value) in enumerate(proof):
        others = [pair for at, pair in enumerate(proof) if at != index]
        yield others
        yield [*proof, (name, value)]
        for text in (
            "",
            " ",
            "\u00e4\u20ac",
            "\ud800",
            "\x00",
            "t=1,v1=00",
            "x" * 10_000,
        ):
            yield [*others, (name, text)]
        yield [*others, (name, value[:-1])]
        yield [*others, (name, value + "\u0661")]
