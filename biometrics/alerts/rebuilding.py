"""Judging stored nights anew: by today's rules for good, or by others to compare.

Neither raises anything: alerts are what people were told, and stay so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from itertools import islice
from typing import cast
from uuid import UUID

from django.db import transaction

from biometrics.alerts import night_rows
from biometrics.alerts.emission import AlertEvent, LedgerEntry, apply_events, emit
from biometrics.alerts.judging import offset_of
from biometrics.alerts.night_rows import Family, FamilyKey
from biometrics.alerts.nights import primary_series
from biometrics.alerts.rules import Verdict, judge_many
from biometrics.alerts.ruleset import Kind, Ruleset
from biometrics.models import HrvNight, HrvTuning, Subject
from biometrics.models.people import lock_subjects

_BATCH = 100
_EARLIEST = date(2000, 1, 1)
_KINDS: tuple[Kind, ...] = ("RMSSD", "SDNN")


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """A stored night whose verdict is another one now."""

    subject: UUID
    series_id: str
    night: date
    was: str
    now: str


@dataclass(slots=True, kw_only=True)
class Rebuilt:
    """What a rebuild found; `changed` holds every verdict that differed."""

    people: int = 0
    nights: int = 0
    changed: list[Changed] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class Replayed:
    """What a ruleset would have raised: messages by kind and severity, and which."""

    user_nights: int = 0
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    raised: list[tuple[UUID, AlertEvent]] = field(default_factory=list)


def rebuild(
    *,
    ruleset: Ruleset,
    now: datetime,
    subjects: Sequence[UUID] | None = None,
    dry_run: bool = False,
) -> Rebuilt:
    """Judge every stored night anew and store the verdicts that differ.

    Each hundred people are one transaction under their locks, so it may run beside the
    workers and be ended at any moment; a second run finds nothing to change.
    """
    found = Rebuilt()
    for people in _batches(subjects):
        with transaction.atomic():
            lock_subjects(people)
            families = _judged(people, ruleset=ruleset)
            corrections = _compare(families, found)
            if not dry_run:
                night_rows.correct(corrections, now=now)
        found.people += len(people)
    return found


def replay(
    *, ruleset: Ruleset, since: date, subjects: Sequence[UUID] | None = None
) -> Replayed:
    """Tell what this ruleset would have raised from `since` on, night by night.

    Each night is looked at as on its own morning, with nothing sent before `since`.
    Person's offsets count; silence that staff asked for does not.
    """
    found = Replayed()
    for people in _batches(subjects):
        for family in _judged(people, ruleset=ruleset).values():
            _replay_family(family, ruleset=ruleset, since=since, found=found)
    return found


def _batches(subjects: Sequence[UUID] | None) -> Iterator[list[UUID]]:
    """Yield the people who have nights, a hundred at a time, in the order of ids."""
    wanted = Subject.objects.order_by("id").values_list("id", flat=True)
    if subjects is not None:
        wanted = wanted.filter(id__in=list(subjects))
    ids = iter(list(wanted))
    while batch := list(islice(ids, _BATCH)):
        yield batch


def _judged(people: Iterable[UUID], *, ruleset: Ruleset) -> dict[FamilyKey, Family]:
    keys = {(subject, kind): _EARLIEST for subject in people for kind in _KINDS}
    families = night_rows.load(keys, ruleset=ruleset)
    tuning = HrvTuning.objects.in_bulk([subject for subject, _ in keys])
    for family in families.values():
        offset = offset_of(tuning.get(family.subject), ruleset=ruleset)
        for series_id, rows in family.series.items():
            verdicts = judge_many(
                nights=family.nights(series_id),
                judged=sorted(rows),
                kind=family.kind,
                ruleset=ruleset,
                threshold_offset=offset,
            )
            for verdict in verdicts:
                rows[verdict.night].verdict = verdict
    return families


def _compare(
    families: dict[FamilyKey, Family], found: Rebuilt
) -> list[night_rows.Correction]:
    """Return the stored nights, by id, whose columns tell another verdict."""
    stored = HrvNight.objects.filter(
        subject_id__in={subject for subject, _ in families}, is_main=True
    ).values_list(
        *("id", "subject_id", "kind", "series_id", "night"),
        *("severity", "verdict", "z1", "ruleset"),
    )
    corrections: list[night_rows.Correction] = []
    for pk, subject, kind, series_id, night, severity, json, z1, ruleset in stored:
        verdict = families[subject, cast(Kind, kind)].series[series_id][night].verdict
        assert verdict is not None  # every stored night was judged
        found.nights += 1
        wanted = night_rows.judged_columns(verdict)
        if wanted == (severity, json, z1, ruleset):
            continue
        corrections.append((pk, *wanted))
        found.changed.append(
            Changed(
                subject=subject,
                series_id=series_id,
                night=night,
                was=severity,
                now=verdict.severity,
            )
        )
    return corrections


def _replay_family(
    family: Family, *, ruleset: Ruleset, since: date, found: Replayed
) -> None:
    days = sorted({day for rows in family.series.values() for day in rows})
    nights = {name: family.nights(name) for name in family.series}
    ledger: tuple[LedgerEntry, ...] = ()
    for day in days:
        if day < since:
            continue
        primary = primary_series(series=nights, newest_night=day, ruleset=ruleset)
        row = family.series[primary].get(day) if primary else None
        if row is None or row.verdict is None:
            continue
        found.user_nights += row.night.value_ms is not None
        events = emit(
            subject=family.subject,
            metric_family=family.kind,
            verdicts=[row.verdict],
            earlier=_before(family, primary or "", day, ruleset=ruleset),
            ledger=ledger,
            newest_night=day,
            today=day,
            ruleset=ruleset,
        )
        ledger = apply_events(ledger=ledger, events=events)
        found.counts.update((event.kind, event.severity) for event in events)
        found.raised += [(family.subject, event) for event in events]


def _before(
    family: Family, series_id: str, day: date, *, ruleset: Ruleset
) -> list[Verdict]:
    """Return as many nights as it takes to see that an alert is over."""
    rows = family.series[series_id]
    known = sorted(
        d for d, r in rows.items() if d < day and r.night.value_ms is not None
    )
    last = known[-ruleset.sending.resolve_nights :]
    return [v for d in last if (v := rows[d].verdict) is not None]
