"""What Terra says of a person, pushed or on request: `data[]`, or the athlete."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from biometrics.errors import UnreadableDeliveryError
from biometrics.vendors.fields import text
from biometrics.vendors.records import Problem, Record, Understanding
from biometrics.vendors.terra.facts import facts_of_athlete
from biometrics.vendors.terra.night import one_for_each_night
from biometrics.vendors.terra.records import KINDS, Context, record_of


def profile_of(body: dict[str, Any], *, stamp: datetime) -> Record:
    """Return what Terra says of the person; raises UnreadableDeliveryError."""
    athlete = body.get("athlete")
    if not isinstance(athlete, dict):
        raise UnreadableDeliveryError("not an object", field="athlete")
    return Record(
        record_type="profile",
        record_id="profile",
        action="updated",
        stamp=stamp,
        attributes={"provider": _provider(body), **facts_of_athlete(athlete)},
    )


def _provider(body: object) -> str:
    return (text(body, "user.provider", limit=40) or "unknown").lower()


def data_of(
    body: dict[str, Any], *, event_type: str, stamp: datetime, now: datetime
) -> Understanding:
    """Return the records in `data`, of which several may be one night's.

    `stamp` orders revisions; `now` bounds what is credible. Raises
    UnreadableDeliveryError when there is nothing that could be read.
    """
    items = body.get("data")
    if not isinstance(items, list):
        raise UnreadableDeliveryError("not a list", field="data")
    if not items:
        return Understanding(ignored="no data in it")
    context = Context(provider=_provider(body), stamp=stamp, now=now)
    found = [
        record_of(item, kind=KINDS[event_type], where=f"data[{index}]", context=context)
        for index, item in enumerate(items)
    ]
    problems = [one for one in found if isinstance(one, Problem)]
    records = {one.record_id: one for one in found if isinstance(one, Record)}
    if not records:
        first = problems[0]
        raise UnreadableDeliveryError(first.reason, field=first.field)
    if len(records) + len(problems) < len(found):
        reason = "a record came twice; its last version stands"
        problems.append(Problem(field="data", reason=reason))
    return Understanding(
        records=_with_one_night_each(tuple(records.values())),
        problems=tuple(problems),
    )


def _with_one_night_each(records: Sequence[Record]) -> tuple[Record, ...]:
    """Let the longest of several sleeps in one night speak for it."""
    speaking = one_for_each_night(records)
    return tuple(
        r if r.night is None or r.record_id in speaking else replace(r, night=None)
        for r in records
    )
