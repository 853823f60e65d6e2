"""A vendor's API that answers from a table and remembers what it was asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from biometrics.vendors.wire import ApiResponse
from tests.vendors.deliveries import answer


@dataclass(slots=True, kw_only=True)
class CannedApi:
    """`answers` gives the body of each path, None for 404; other paths fail the test."""

    answers: Mapping[str, bytes | None]
    asked: list[str] = field(default_factory=list)

    async def get(
        self, path: str, *, params: Mapping[str, str] | None = None
    ) -> ApiResponse:
        assert not params
        assert path in self.answers, f"unexpected call of {path}"
        self.asked.append(path)
        body = self.answers[path]
        if body is None:
            return answer(b"<h1>Not Found</h1>", url=path, status=404)
        return answer(body, url=path)
