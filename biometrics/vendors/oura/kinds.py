"""What has to be said about a kind of Oura document to turn it into a record."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from biometrics.catalogue import Metric
from biometrics.vendors.fields import Fact, Field


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleSeries:
    """An object {interval, items, timestamp} at `path` and what its items measure.

    `padding` is the value with which Oura fills the items up to the end of the day.
    """

    path: str
    metric: Metric
    context: str | None = None
    padding: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One document type of the API.

    `collection` is the segment of its REST path. `start`, `end` and `day` name the
    fields that hold the times; where a document has no end, `length` gives it. The
    local date is `day`, and without it the date of the moment that `dated_by` names.
    `only_id` stands in for the record's id where one account has one such document.
    """

    record_type: str
    collection: str
    fields: tuple[Field, ...] = ()
    series: tuple[SampleSeries, ...] = ()
    facts: tuple[Fact, ...] = ()
    start: str | None = None
    end: str | None = None
    day: str | None = "day"
    length: timedelta | None = None
    dated_by: Literal["start", "end"] = "start"
    only_id: str | None = None
    notifies: bool = True
