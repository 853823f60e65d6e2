"""Whatever a vendor's sample is turned into: nothing fails, nothing false is stored.

The mutations are those of the adapters' contract; here they take the whole way from the
envelope to the outbox, through the real database.
"""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import aiohttp
import orjson
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from biometrics.catalogue import Metric, plausible
from biometrics.connections import downloads, registry
from biometrics.errors import MalformedPayloadError
from biometrics.models import (
    DeliveryDocument,
    HrvNight,
    OutboxMessage,
    Reading,
    WebhookDelivery,
)
from biometrics.models.intake import DeliveryOrigin
from biometrics.normalise import listed
from biometrics.vendors.listing import Listed
from biometrics.vendors.registry import get_adapter
from tests.pipeline.world import World
from tests.vendors import test_healthkit, test_oura, test_terra, test_whoop
from tests.vendors.contract import VendorContract, mutate
from tests.vendors.deliveries import NOW, Case, fixture
from tests.vendors.mutations import mutated

CONTRACTS: Mapping[str, VendorContract] = {
    "oura": test_oura.TestOura(),
    "whoop": test_whoop.TestWhoop(),
    "terra": test_terra.TestTerra(),
    "healthkit": test_healthkit.TestHealthKit(),
}
SETTINGS = settings(
    deadline=None,
    max_examples=150,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.differing_executors,
        HealthCheck.too_slow,
    ],
)
# Ends that a bad input may come to. None of them says that our own code failed.
ENDS = {
    ("processed", ""),
    ("processed", "partial"),
    ("ignored", "ignored"),
    ("parked", "malformed"),
    ("parked", "unreadable"),
    ("parked", "unusable"),
    ("parked", "no_account"),
    # A deletion that was turned into news wants a document, and nobody gave a token.
    ("unlinked", "needs_reconnect"),
    # The address of a payload, which nobody serves here.
    ("retrying", "vendor_unavailable"),
    ("parked", "payload_expired"),
}


class _Nowhere(AbstractResolver):
    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        raise OSError("No name is known here.")

    async def close(self) -> None:
        pass


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        downloads, "connector", lambda: aiohttp.TCPConnector(resolver=_Nowhere())
    )


def cases_of(slug: str) -> list[Case]:
    """Return the vendor's cases, and the one that holds no data."""
    found = list(CONTRACTS[slug].cases())
    if slug == "terra":
        name = "webhook_s3_upload.json"
        found.append(Case(name=name, body=fixture(slug, name), fixtures=(name,)))
    return found


@contextmanager
def undone() -> Iterator[None]:
    """Take back what an example stored."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def carried(world: World, case: Case, *, contract: VendorContract) -> WebhookDelivery:
    """Carry a case as far as it goes; one that intake refuses is not stored here."""
    request = contract.request(case)
    envelope = contract.adapter.envelope(request, account_id=contract.token_owner)
    delivery = world.store(
        case.body,
        vendor=contract.slug,
        account=envelope.account_id,
        headers={
            k: v for k, v in request.headers if k in contract.adapter.kept_headers
        },
    )
    delivery.event_type = envelope.event_type[:80]
    delivery.save()
    for document in case.documents:
        DeliveryDocument.objects.create(
            delivery=delivery,
            url=document.url,
            status=document.status,
            body=document.body,
            fetched_at=document.fetched_at,
        )
    return settle(world, delivery)


def settle(world: World, delivery: WebhookDelivery) -> WebhookDelivery:
    if delivery.account_id:
        registry.add_connection(
            vendor=delivery.vendor, account_id=delivery.account_id, label="Robin"
        )
    world.run()
    delivery.refresh_from_db()
    return delivery


def assert_sound(delivery: WebhookDelivery, *, keys: set[str]) -> None:
    """Assert that it ended well, and that nothing false became of it."""
    assert (delivery.status, delivery.error_code) in ENDS, delivery.error
    if delivery.status == "parked":
        assert names_a_field(delivery.error, keys=keys), delivery.error
    for metric, value in Reading.objects.values_list("metric", "value"):
        assert plausible(Metric(metric), value) == value
    for night in HrvNight.objects.exclude(value_ms=None):
        metric = Metric.HRV_RMSSD if night.kind == "RMSSD" else Metric.HRV_SDNN
        assert plausible(metric, night.value_ms) is not None
    for message in OutboxMessage.objects.exclude(value=None):
        for metric, value in numbers(orjson.loads(bytes(message.value or b""))):
            assert plausible(Metric(metric), value) == value


def names_a_field(error: str, *, keys: set[str]) -> bool:
    """Say whether a message names the body, a document, or a field that is sent."""
    words = set(re.findall(r"[A-Za-z_0-9]+", error))
    return bool(words & (keys | {"account", "body", "data", "documents", "JSON"}))


def numbers(value: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    for reading in value.get("readings") or ():
        yield reading["metric"], reading["value"]
    for series in value.get("series") or ():
        for one in series["values"]:
            if one is not None:
                yield series["metric"], one


def keys_of(*bodies: bytes) -> set[str]:
    """Return the names of all fields in these bodies."""
    found: set[str] = set()
    level: list[object] = [json.loads(body) for body in bodies]
    while level:
        node = level.pop()
        if isinstance(node, dict):
            found |= node.keys()
            level += node.values()
        elif isinstance(node, list):
            level += node
    return found


@pytest.mark.parametrize("slug", CONTRACTS)
class TestDeliveries:
    @SETTINGS
    @given(data=st.data())
    def test_no_mutation_escapes_or_is_stored_as_a_number(
        self, world: World, slug: str, data: st.DataObject
    ) -> None:
        contract = CONTRACTS[slug]
        world.now = NOW
        genuine = data.draw(st.sampled_from(cases_of(slug)), label="case")
        case = mutate(genuine, data)
        keys = keys_of(genuine.body) | keys_of(
            *(d.body for d in genuine.documents if d.status == 200)
        )
        with undone():
            try:
                delivery = carried(world, case, contract=contract)
            except MalformedPayloadError as error:
                # Intake parks it with these words.
                said = error.detail
            else:
                assert_sound(delivery, keys=keys)
                said = ""
        assert not said or names_a_field(said, keys=keys), said

    def test_every_sample_as_it_is_ends_well(self, world: World, slug: str) -> None:
        world.now = NOW
        for case in cases_of(slug):
            with undone():
                delivery = carried(world, case, contract=CONTRACTS[slug])
                assert_sound(delivery, keys=keys_of(case.body))


def listings() -> Sequence[tuple[str, Listed]]:
    """Return listed documents of every data type of every vendor that can be listed."""

    def rows(slug: str, name: str, key: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(fixture(slug, name))[key]
        return found

    def one(
        data_type: str, *documents: object, related: Sequence[object] = ()
    ) -> Listed:
        return Listed(
            data_type=data_type, documents=documents, related=related, fetched_at=NOW
        )

    oura = [
        one(kind, *rows("oura", f"api_{kind}.json", "data"))
        for kind in get_adapter("oura").listed_types
        if kind != "personal_info"
    ]
    oura.append(
        one("personal_info", json.loads(fixture("oura", "api_personal_info.json")))
    )
    sleeps = rows("whoop", "api_sleep_collection.json", "records")
    whoop = [
        one(
            kind,
            *rows("whoop", f"api_{kind}_collection.json", "records"),
            related=about,
        )
        for kind, about in (
            ("sleep", ()),
            ("recovery", sleeps),
            ("cycle", ()),
            ("workout", ()),
        )
    ]
    body = json.loads(fixture("whoop", "api_body_measurement.json"))
    whoop.append(one("body_measurement", body))
    terra = []
    for kind in get_adapter("terra").listed_types:
        said = json.loads(fixture("terra", f"webhook_{kind}.json"))
        documents = [said["athlete"]] if kind == "athlete" else said["data"]
        terra.append(one(kind, *documents, related=(said["user"],)))
    return [
        (slug, one)
        for slug, found in (("oura", oura), ("whoop", whoop), ("terra", terra))
        for one in found
    ]


LISTINGS = listings()


@pytest.mark.parametrize("slug", ["oura", "whoop", "terra"])
def test_every_list_as_it_is_ends_well(world: World, slug: str) -> None:
    world.now = NOW
    mine = [one for its, one in LISTINGS if its == slug]
    assert {one.data_type for one in mine} == get_adapter(slug).listed_types.keys()
    for one in mine:
        with undone():
            delivery = listed_delivery(world, slug, one, body=listed.pack(one))
            assert delivery.status == "processed", (one.data_type, delivery.error)
            assert_sound(delivery, keys=keys_of(listed.pack(one)))


def listed_delivery(
    world: World, slug: str, one: Listed, *, body: bytes
) -> WebhookDelivery:
    delivery = world.store(
        body, vendor=slug, account="someone", origin=DeliveryOrigin.RECOVERED
    )
    delivery.event_type = listed.event_type(one)
    delivery.save()
    return settle(world, delivery)


@pytest.mark.parametrize("slug", ["oura", "whoop", "terra"])
@SETTINGS
@given(data=st.data())
def test_no_mutation_of_a_list_escapes_or_is_stored_as_a_number(
    world: World, slug: str, data: st.DataObject
) -> None:
    world.now = NOW
    mine = [one for its, one in LISTINGS if its == slug]
    genuine = data.draw(st.sampled_from(mine), label="list")
    body = listed.pack(genuine)
    with undone():
        delivery = listed_delivery(
            world, slug, genuine, body=data.draw(mutated(body), label="body")
        )
        # A list is named by its data type where the vendor has a field of that name.
        assert_sound(delivery, keys=keys_of(body) | {genuine.data_type})


@pytest.mark.parametrize("vendor", ["healthkit", "terra"])
@pytest.mark.parametrize("body", [b"no JSON", b"[]"], ids=["text", "list"])
def test_what_intake_parked_as_no_json_stays_so_when_it_is_retried(
    world: World, vendor: str, body: bytes
) -> None:
    delivery = world.store(body, vendor=vendor, account="")
    world.run()
    delivery.refresh_from_db()
    assert (delivery.status, delivery.error_code) == ("parked", "malformed")
