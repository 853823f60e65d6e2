"""Bringing people's stored nights to where new events leave them, and judging them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from uuid import UUID

from biometrics.alerts import night_rows
from biometrics.alerts.emission import affected_nights
from biometrics.alerts.night_rows import Family, FamilyKey, NightRow
from biometrics.alerts.nights import (
    Night,
    compare,
    is_future,
    primary_series,
)
from biometrics.alerts.rules import Verdict, judge_many
from biometrics.alerts.ruleset import Kind, Ruleset
from biometrics.alerts.said import Gathered, Said
from biometrics.models import HrvTuning
from biometrics.vendors.records import NightSignals

_KINDS: tuple[Kind, ...] = ("RMSSD", "SDNN")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where an event's night stands among the nights of its family."""

    key: FamilyKey
    series_id: str
    night: date


class Nights:
    """The nights that a batch of events touches, with their verdicts once judged."""

    def __init__(self, *, ruleset: Ruleset, now: datetime) -> None:
        self._ruleset = ruleset
        self._now = now
        self.families: dict[FamilyKey, Family] = {}
        # The last event that changed a family is the cause of what is told of it.
        self.causes: dict[FamilyKey, Said] = {}
        # Nights that something else than a backfill changed, and those that a backfill did.
        self._live: dict[FamilyKey, set[date]] = {}
        self._filled: dict[FamilyKey, set[date]] = {}
        self.places: dict[UUID, Place] = {}
        self._tuning: dict[UUID, HrvTuning] = {}
        self._pointers: dict[UUID, list[night_rows.Pointer]] = {}
        self._primary: dict[FamilyKey, str] = {}

    def load(self, said: Sequence[Said]) -> None:
        """Read the nights that the events can touch."""
        replaced = [one.replaces for one in said if one.replaces is not None]
        if replaced:
            for pointer in night_rows.pointing_at(replaced):
                self._pointers.setdefault(pointer.event_id, []).append(pointer)
        first: dict[FamilyKey, date] = {}
        for one in said:
            night = one.record.night
            touched = [(p.kind, p.night) for p in self._pointed(one)]
            if night is not None:
                touched.append((night.kind, night.night))
            # What was gathered as one kind of HRV may turn out to be another.
            touched += [(kind, g.night) for g in one.gathered for kind in _KINDS]
            for kind, day in touched:
                key = (one.subject, kind)
                first[key] = min(day, first.get(key, day))
        self.families = night_rows.load(first, ruleset=self._ruleset)
        if first:
            people = {subject for subject, _ in first}
            self._tuning = HrvTuning.objects.in_bulk(people)

    def take(self, one: Said) -> None:
        """Bring the nights to where this event leaves them."""
        for gathered in one.gathered:
            self._gather(gathered, one)
        night = one.record.night
        said = None if night is None else (night.series_id, night.night)
        for pointer in self._pointed(one):
            if said != (pointer.series_id, pointer.night):
                self._blank(pointer, one)
        if night is None:
            return
        if not is_future(
            night=night.night,
            ended=one.record.end,
            zone_offset=one.record.zone_offset,
            now=self._now,
        ):
            incoming = one.cleaned(night, ruleset=self._ruleset)
            self._put(night, incoming, one=one)

    def judge(self) -> None:
        """Give every touched night, and every night that it can alter, its verdict."""
        for family in self.families.values():
            for series_id in {name for name, _ in family.touched}:
                days = {day for name, day in family.touched if name == series_id}
                days |= self.altered(family, series_id)
                for verdict in self.verdicts(family, series_id, sorted(days)):
                    family.series[series_id][verdict.night].verdict = verdict
                family.touched |= {(series_id, day) for day in days}

    def verdicts(
        self, family: Family, series_id: str, days: Sequence[date]
    ) -> tuple[Verdict, ...]:
        """Judge some nights of a series as they stand."""
        tuning = self._tuning.get(family.subject)
        return judge_many(
            nights=family.nights(series_id),
            judged=days,
            kind=family.kind,
            ruleset=self._ruleset,
            threshold_offset=offset_of(tuning, ruleset=self._ruleset),
        )

    def is_backfill(self, key: FamilyKey) -> bool:
        """Say whether nothing but a backfill changed this family."""
        return key not in self._live

    def filled(self, key: FamilyKey) -> set[date]:
        """Return the nights that only a backfill changed: they never page."""
        return self._filled.get(key, set()) - self._live.get(key, set())

    def is_muted(self, one: Said) -> bool:
        """Say whether staff want to hear nothing new of this event's person today."""
        tuning = self._tuning.get(one.subject)
        if tuning is None or tuning.muted_until is None:
            return False
        return one.today(self._now) <= tuning.muted_until

    def altered(self, family: Family, series_id: str) -> set[date]:
        """Return the stored nights whose verdict the changed ones can alter."""
        revised = family.revised.get(series_id)
        if not revised:
            return set()
        rows = family.series[series_id]
        alterable = affected_nights(
            changed=min(revised), newest_night=max(rows), ruleset=self._ruleset
        )
        return {day for day in alterable if day in rows}

    def primary(self, family: Family) -> str:
        """Return the series of a family that may page, empty when it has none."""
        key = (family.subject, family.kind)
        if key not in self._primary:
            newest = max((max(r) for r in family.series.values() if r), default=None)
            nights = {name: family.nights(name) for name in family.series}
            chosen = newest and primary_series(
                series=nights, newest_night=newest, ruleset=self._ruleset
            )
            self._primary[key] = chosen or ""
        return self._primary[key]

    def _pointed(self, one: Said) -> list[night_rows.Pointer]:
        """Return the nights of this person that rest on the superseded event."""
        if one.replaces is None or one.is_piece:
            return []
        pointers = self._pointers.get(one.replaces, [])
        # An account that was linked to another person leaves the old nights behind.
        return [pointer for pointer in pointers if pointer.subject == one.subject]

    def _blank(self, pointer: night_rows.Pointer, one: Said) -> None:
        """Make a sleep's values missing: its record is gone or speaks of another."""
        family = self.families[pointer.subject, pointer.kind]
        night = Night(night=pointer.night, record_id=pointer.record_id)
        self._empty(family, pointer.series_id, night, one=one)

    def _empty(
        self, family: Family, series_id: str, night: Night, *, one: Said
    ) -> None:
        empty = Night(
            night=night.night,
            record_id=night.record_id,
            updated_at=one.record.stamp,
        )
        blank = NightRow(event_id=one.event_id, night=empty)
        if family.put(series_id, blank):
            self._note(family, one, night.night)

    def _gather(self, gathered: Gathered, one: Said) -> None:
        """Bring one gathered night to what its pieces make of it now."""
        signals = {night.signals.series_id: night for night in gathered.found}
        for kind in _KINDS:
            family = self.families[one.subject, kind]
            for series_id in family.series.keys() - signals.keys():
                known = family.known(
                    series_id, day=gathered.night, record_id=gathered.record_id
                )
                if known is not None and known.night.says_something:
                    self._empty(family, series_id, known.night, one=one)
        for night in gathered.found:
            # By the sleep's own wall: what completed it may have told another, or none.
            if not is_future(
                night=gathered.night,
                ended=night.ended,
                zone_offset=night.zone_offset,
                now=self._now,
            ):
                incoming = gathered.cleaned(night, ruleset=self._ruleset)
                self._put(
                    night.signals, incoming, one=one, is_repeated=gathered.by_sleep
                )

    def _put(
        self,
        signals: NightSignals,
        incoming: Night,
        *,
        one: Said,
        is_repeated: bool = True,
    ) -> None:
        """Take a night in, and the event as its place unless it only repeats it."""
        family = self.families[one.subject, signals.kind]
        known = family.known(
            signals.series_id, day=signals.night, record_id=incoming.record_id
        )
        change = "revised"
        if known is not None:
            change = compare(
                stored=known.night,
                incoming=incoming,
                kind=signals.kind,
                ruleset=self._ruleset,
            )
        if change == "stale":
            return
        if change == "unchanged" and known is not None and not is_repeated:
            slept = replace(known.night, sleep_s=incoming.sleep_s)
            family.put(signals.series_id, replace(known, night=slept), is_revised=False)
            return
        if change == "unchanged" and known is not None:
            # The values stay; the event that stands for them is the new one.
            incoming = replace(
                known.night, updated_at=incoming.updated_at, sleep_s=incoming.sleep_s
            )
        # Which of two sleeps speaks must not depend on when they came.
        row = NightRow(event_id=one.event_id, night=replace(incoming, received_at=None))
        if family.put(signals.series_id, row, is_revised=change == "revised"):
            self._note(family, one, signals.night)
        # Of several nights that one piece changed, that of its own date is its place.
        if one.event_id not in self.places or signals.night == one.record.local_date:
            self.places[one.event_id] = Place(
                key=(family.subject, family.kind),
                series_id=signals.series_id,
                night=signals.night,
            )

    def _note(self, family: Family, one: Said, night: date) -> None:
        key = (family.subject, family.kind)
        self.causes[key] = one
        changed = self._filled if one.is_backfill else self._live
        changed.setdefault(key, set()).add(night)


def offset_of(tuning: HrvTuning | None, *, ruleset: Ruleset) -> float:
    """Return a person's threshold offset, as far as this ruleset allows one."""
    if tuning is None:
        return 0.0
    return min(tuning.threshold_offset, ruleset.maximum_offset)
