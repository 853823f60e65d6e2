"""What a replay would change: deliveries read with today's mapping, nothing written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import orjson

from biometrics import deliveries
from biometrics.connections import registry
from biometrics.items import Item, open_item
from biometrics.models import BiometricEvent, WebhookDelivery
from biometrics.normalise import revisions
from biometrics.normalise.revisions import Ruling
from biometrics.publishing.values import record_value
from biometrics.replay.differences import Difference, differences

# The HRV engine's signals are no part of what is published.
SIGNALS = "what the HRV engine is told"
NEW_RECORD = "a record that was not known"
_EXAMPLES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One record that would be stored and published anew.

    `before` is the event that stands now, None for a record that is not known yet.
    """

    delivery: WebhookDelivery
    subject: UUID
    vendor: str
    record_type: str
    record_id: str
    before: UUID | None
    fields: Sequence[Difference]


@dataclass(slots=True, kw_only=True)
class Preview:
    """What a replay would do, in counts; no health value is among them.

    `deliveries` counts by (vendor, fate), `records` by (vendor, type, outcome),
    `fields` how many records differ in a field, by (vendor, type, path). `examples` are
    deliveries that would change something.
    """

    deliveries: Counter[tuple[str, ...]] = field(default_factory=Counter)
    records: Counter[tuple[str, ...]] = field(default_factory=Counter)
    fields: Counter[tuple[str, ...]] = field(default_factory=Counter)
    examples: list[int] = field(default_factory=list)

    @property
    def changed(self) -> int:
        """How many records would be stored and published anew."""
        new = revisions.Outcome.NEW
        return sum(n for (_, _, outcome), n in self.records.items() if outcome == new)

    def add(self, rows: Sequence[WebhookDelivery]) -> list[Change]:
        """Compare these deliveries with what is stored now; return what would change.

        They are compared together: of several new revisions of one record among them
        each counts.
        """
        items = _opened(rows)
        for item in items:
            self.deliveries[item.delivery.vendor, _fate(item)] += 1
        linked = [item for item in items if item.connection is not None]
        claims = [claim for item in linked for claim in item.claims()]
        rulings = revisions.compare(claims).rulings
        for ruling in rulings:
            self.records[*_kind(ruling), ruling.outcome.value] += 1
        changes = list(_changes(rulings))
        for change in changes:
            kind = (change.vendor, change.record_type)
            self.fields.update((*kind, one.path) for one in change.fields)
            known = change.delivery.id in self.examples
            if not known and len(self.examples) < _EXAMPLES:
                self.examples.append(change.delivery.id)
        return changes

    def as_json(self) -> dict[str, Any]:
        """Return it to be kept."""
        return {
            "deliveries": _listed(self.deliveries),
            "records": _listed(self.records),
            "fields": _listed(self.fields),
            "examples": self.examples,
        }

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> Preview:
        """Return what was kept; an empty one from nothing."""
        return cls(
            deliveries=_counter(said.get("deliveries", ())),
            records=_counter(said.get("records", ())),
            fields=_counter(said.get("fields", ())),
            examples=list(said.get("examples", ())),
        )


def _listed(counter: Counter[tuple[str, ...]]) -> list[list[Any]]:
    return [[*key, n] for key, n in sorted(counter.items())]


def _counter(rows: Sequence[Sequence[Any]]) -> Counter[tuple[str, ...]]:
    return Counter({tuple(key): n for *key, n in rows})


def _opened(rows: Sequence[WebhookDelivery]) -> list[Item]:
    kept = deliveries.documents_of([row.id for row in rows])
    items = [open_item(row, documents=kept.get(row.id)) for row in rows]
    known = registry.lookup(item.account for item in items)
    for item in items:
        item.connection = known.get(item.account)
        if item.disposition is None and not item.is_to_fetch:
            item.understood = item.read()
    return items


def _fate(item: Item) -> str:
    if item.disposition is not None:
        return item.disposition.code
    if item.is_to_fetch:
        return "to_fetch"
    assert item.understood is not None
    said = item.understood
    if said.statements and item.connection is None:
        return "unlinked"
    return said.disposition.code or said.disposition.status


def _kind(ruling: Ruling) -> tuple[str, str]:
    claim = ruling.claim
    return claim.adapter.slug, claim.statement.record.record_type


def _changes(rulings: Sequence[Ruling]) -> Iterator[Change]:
    new = [one for one in rulings if one.outcome is revisions.Outcome.NEW]
    standing = [one.replaces for one in new if one.replaces is not None]
    stored = dict(
        BiometricEvent.objects.filter(id__in=standing).values_list("id", "data")
    )
    newest: dict[revisions.Key, Any] = {}
    for ruling in new:
        claim = ruling.claim
        before = newest.get(claim.key)
        if before is None and ruling.replaces is not None:
            before = stored.get(ruling.replaces)
        after = newest[claim.key] = _value(ruling)
        yield Change(
            delivery=claim.delivery,
            subject=claim.connection.subject_id,
            vendor=claim.adapter.slug,
            record_type=claim.statement.record.record_type,
            record_id=claim.statement.record.record_id,
            before=ruling.replaces,
            fields=_fields(before, after),
        )


def _fields(before: Any, after: Any) -> list[Difference]:
    if before is None:
        return [Difference(path=NEW_RECORD, before=None, after=None)]
    found = differences(before, after)
    return found or [Difference(path=SIGNALS, before=None, after=None)]


def _value(ruling: Ruling) -> Any:
    """Return the value as it would be published, in the form in which it is stored."""
    claim = ruling.claim
    value = record_value(
        subject=claim.connection.subject_id,
        vendor=claim.adapter.slug,
        record=claim.statement.record,
    )
    return orjson.loads(orjson.dumps(value))
