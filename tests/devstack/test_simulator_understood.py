"""Every simulated delivery against the real adapters, documents over real HTTP."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime, timedelta

import aiohttp
import pytest

from auren.devstack.simulator import timeline
from auren.devstack.simulator.people import Person, cast
from auren.devstack.simulator.physiology import night_of
from auren.devstack.simulator.pulse import Pulse
from auren.devstack.simulator.sender import Phone, Secrets
from auren.devstack.simulator.terra import events as terra
from auren.devstack.simulator.wire import Delivery
from biometrics.vendors.healthkit.night import HealthKitNights
from biometrics.vendors.records import NightSignals, Record, Understanding
from biometrics.vendors.registry import get_adapter
from biometrics.vendors.wire import (
    ApiResponse,
    Credentials,
    InboundRequest,
    StoredDelivery,
)
from tests.devstack.servers import Fakes, fake_vendors

TODAY = date(2026, 11, 20)
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
PEOPLE = cast(seed=7, count=6, today=TODAY)
SECRETS = Secrets(
    signing={slug: f"{slug}-secret" for slug in ("oura", "whoop", "terra")},
    phones={p.account: Phone(token=f"token-of-{p.slug}") for p in PEOPLE},
)
Said = tuple[Person, Delivery, datetime]
Found = list[tuple[Person, Delivery, Understanding]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Api:
    """An adapter's view of the fake servers; anything but 200 and 404 fails the test."""

    session: aiohttp.ClientSession
    base: str
    token: str
    now: datetime

    async def get(
        self, path: str, *, params: Mapping[str, str] | None = None
    ) -> ApiResponse:
        headers = {"Authorization": f"Bearer {self.token}"}
        async with self.session.get(
            self.base + path, params=params, headers=headers
        ) as answer:
            assert answer.status in {200, 404}, f"{path} answered {answer.status}"
            body = await answer.read()
        return ApiResponse(
            url=path, status=answer.status, body=body, fetched_at=self.now
        )


def _history() -> list[Said]:
    since = NOON - timedelta(days=35)
    planned = timeline.between(PEOPLE, since=since, until=NOON)
    return [(person, item.delivery, item.at) for person, item in planned]


def _pulses() -> list[Said]:
    pulse = Pulse(people=PEOPLE, draw=random.Random(1))
    people = {person.account: person for person in PEOPLE}
    found = []
    for number in range(600):
        at = NOON + timedelta(seconds=number)
        delivery = pulse.next(at)
        assert delivery is not None
        found.append((people[delivery.account], delivery, at))
    return found


def _greetings() -> list[Said]:
    return [
        (person, terra.connected(person, at=NOON), NOON)
        for person in PEOPLE
        if person.sender == "terra"
    ]


def _understood(said: Sequence[Said]) -> Found:
    """Record, sign, verify, fetch and understand one delivery after another."""

    async def run() -> Found:
        async with fake_vendors(limit_factor=1000) as fakes:
            return await _understand(fakes, said)

    return asyncio.run(run())


async def _understand(fakes: Fakes, said: Sequence[Said]) -> Found:
    tokens = {
        person.account: (await fakes.grant(person.vendor, person.account))
        for person in PEOPLE
        if person.vendor in {"oura", "whoop"}
    }
    found = []
    for person, delivery, at in said:
        if delivery.documents or delivery.removed:
            await fakes.control(
                "documents",
                put=[asdict(document) for document in delivery.documents],
                delete=[asdict(ref) for ref in delivery.removed],
            )
        grant = tokens.get(person.account, {"access_token": ""})
        found.append(
            (
                person,
                delivery,
                await _one(fakes, person, delivery, at, token=grant["access_token"]),
            )
        )
    return found


def _request(delivery: Delivery, *, at: datetime) -> InboundRequest:
    """Return the delivery as it reaches the bridge."""
    headers = {**delivery.headers, **SECRETS.headers(delivery, at=at)}
    return InboundRequest(
        method="POST",
        path=delivery.path,
        headers=tuple((name.lower(), value) for name, value in headers.items()),
        query={},
        body=delivery.body,
        received_at=at,
    )


async def _one(
    fakes: Fakes, person: Person, delivery: Delivery, at: datetime, *, token: str
) -> Understanding:
    adapter = get_adapter(person.vendor)
    request = _request(delivery, at=at)
    if adapter.personal_tokens:
        presented = adapter.presented_token(request)
        assert presented == SECRETS.phones[person.account].token
        envelope = adapter.envelope(request, account_id=person.account)
    else:
        credentials = Credentials(
            secrets=("an older one", SECRETS.signing[person.vendor]), tolerance_s=300
        )
        assert adapter.verify(request, credentials=credentials) == 1
        envelope = adapter.envelope(request, account_id=None)
    assert envelope.account_id == person.account
    assert envelope.ignored is None, delivery.kind
    kept = {k: v for k, v in request.headers if k in adapter.kept_headers}
    stored = StoredDelivery(
        vendor=person.vendor,
        account_id=envelope.account_id,
        event_type=envelope.event_type,
        headers=kept,
        body=delivery.body,
        received_at=at,
    )
    if adapter.notifies_only:
        prefix = adapter.api.prefix if adapter.api else ""
        api = _Api(
            session=fakes.session,
            base=f"{fakes.url}/{person.vendor}{prefix}",
            token=token,
            now=at,
        )
        documents = tuple(await adapter.fetch(stored, api))
        stored = replace(stored, documents=documents)
    return adapter.understand(stored)


# Oura itself fills the day up to its end; the adapter cuts that off and says so.
_PADDED = "met.items padded to the end of the day"


def _problems(found: Found) -> Counter[str]:
    """Count what was sent and not understood, by kind and field."""
    seen: Counter[str] = Counter()
    for person, delivery, understanding in found:
        where = f"{person.sender} {delivery.kind}"
        if understanding.ignored is not None:
            seen[f"{where}: ignored {understanding.ignored}"] += 1
        if not understanding.records and not understanding.connection_changes:
            seen[f"{where}: nothing said"] += 1
        for problem in understanding.problems:
            seen[f"{where}: {problem.field} {problem.reason}"] += 1
        for record in understanding.records:
            for problem in record.problems:
                if f"{problem.field} {problem.reason}" != _PADDED:
                    seen[f"{where}: {problem.field} {problem.reason}"] += 1
    return seen


@pytest.fixture(scope="module")
def five_weeks() -> Found:
    return _understood(_greetings() + _history())


def test_everything_that_is_sent_in_five_weeks_is_understood(five_weeks: Found) -> None:
    found = five_weeks
    assert _problems(found) == Counter()
    assert {person.sender for person, _, _ in found} == {p.sender for p in PEOPLE}
    records = Counter(
        (person.vendor, record.record_type)
        for person, _, understanding in found
        for record in understanding.records
    )
    for vendor, kind in (
        ("oura", "sleep"),
        ("oura", "daily_readiness"),
        ("oura", "daily_activity"),
        ("whoop", "sleep"),
        ("whoop", "recovery"),
        ("whoop", "workout"),
        ("terra", "sleep"),
        ("terra", "daily_activity"),
        ("healthkit", "sleep"),
    ):
        assert records[vendor, kind] > 0, f"no {kind} of {vendor} in {records}"


def test_the_small_updates_of_a_day_are_understood() -> None:
    found = _understood(_pulses())
    assert _problems(found) == Counter()
    actions = Counter(record.action for _, _, said in found for record in said.records)
    assert actions["deleted"] > 0
    assert actions["updated"] + actions["created"] > 500


def _heard(found: Found) -> dict[tuple[str, date], NightSignals]:
    """Return what the HRV engine hears of each person's nights."""
    heard: dict[tuple[str, date], NightSignals] = {}
    pieces: dict[str, list[Record]] = {}
    for person, _, said in found:
        if person.vendor == "healthkit":
            pieces.setdefault(person.slug, []).extend(said.records)
        for record in said.records:
            if record.night is not None and record.night.value_ms is not None:
                heard[person.slug, record.night.night] = record.night
    for slug, records in pieces.items():
        for gathered in HealthKitNights().nights(records):
            heard[slug, gathered.signals.night] = gathered.signals
    return heard


def test_each_night_reaches_the_hrv_engine_as_it_was(five_weeks: Found) -> None:
    heard = _heard(five_weeks)
    for person in PEOPLE:
        for back in range(30):
            on = TODAY - timedelta(days=back)
            night = night_of(person, on)
            if night is None or night.end > NOON - timedelta(hours=1):
                continue
            signals = heard.get((person.slug, on))
            assert signals is not None, f"{person.label} {on} is missing"
            assert signals.value_ms is not None
            if person.vendor == "healthkit":
                # A handful of spot readings around the night's level.
                assert signals.kind == "SDNN"
                assert signals.value_ms == pytest.approx(night.sdnn_ms, rel=0.25)
            else:
                assert signals.kind == "RMSSD"
                assert signals.value_ms == pytest.approx(night.rmssd_ms, abs=0.51)
                assert signals.rhr_bpm == night.resting_bpm


def test_the_ill_persons_last_nights_are_very_low(five_weeks: Found) -> None:
    values = [
        record.night.value_ms
        for person, _, said in five_weeks
        for record in said.records
        if person.sender == "terra" and record.night is not None
    ]
    assert [value is not None and value < 25 for value in values[-3:]] == [
        False,
        True,
        True,
    ]


def test_deliveries_have_keys_of_their_own() -> None:
    keys: Counter[str] = Counter()
    for person, delivery, at in _history():
        adapter = get_adapter(person.vendor)
        request = _request(delivery, at=at)
        owner = person.account if adapter.personal_tokens else None
        envelope = adapter.envelope(request, account_id=owner)
        keys[f"{person.vendor} {envelope.dedupe_key}"] += 1
    assert [key for key, count in keys.items() if count > 1] == []
