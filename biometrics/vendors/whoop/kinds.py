"""What has to be said about a kind of WHOOP document to turn it into a record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from biometrics.vendors.fields import Fact, Field


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One document type of the API.

    `path` is its list, below which documents with an id are found. `id_field` holds the
    record's id; `only_id` stands in where one account has one such document. `scored`
    documents have numbers only while their `score_state` is SCORED. `dated_by` names
    the moment whose local date is the record's; None for documents without times.
    """

    record_type: str
    path: str
    fields: tuple[Field, ...] = ()
    facts: tuple[Fact, ...] = ()
    id_field: str = "id"
    only_id: str | None = None
    scored: bool = True
    dated_by: Literal["start", "end"] | None = None
