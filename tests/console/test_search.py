"""One box over all ids: what is found, by whom, and at what cost."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.urls import reverse

from biometrics import search
from biometrics.models import (
    BiometricEvent,
    HrvAlert,
    OutboxMessage,
    Subject,
    VendorConnection,
    WebhookDelivery,
)

ALL = (
    Subject,
    VendorConnection,
    WebhookDelivery,
    BiometricEvent,
    HrvAlert,
    OutboxMessage,
)
BOX = reverse("admin:search")
W3C = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.fixture
def traced(world: SimpleNamespace) -> SimpleNamespace:
    WebhookDelivery.objects.filter(pk=world.webhookdelivery.pk).update(
        trace="Terra-Trace-77", traceparent=f"00-{W3C}-00f067aa0ba902b7-01"
    )
    return world


def found(term: str) -> set[Any]:
    return {type(row) for row in search.find(term, models=ALL)}


@pytest.mark.parametrize(
    ("term", "kinds"),
    [
        ("Terra-Trace-77", {WebhookDelivery}),
        ("trace-1", {WebhookDelivery}),
        (W3C, {WebhookDelivery}),
        (W3C.upper(), {WebhookDelivery}),
        ("terra-user-1", {WebhookDelivery, VendorConnection}),
        ("night-1", {BiometricEvent}),
        ("robin", {Subject}),
        ("  night-1 ", {BiometricEvent}),
    ],
)
def test_a_vendors_id_or_a_label_is_found(
    traced: SimpleNamespace, term: str, kinds: set[Any]
) -> None:
    assert found(term) == kinds


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("webhookdelivery", "public_id"),
        ("subject", "pk"),
        ("hrvalert", "pk"),
    ],
)
def test_an_id_of_ours_is_found_whole_and_by_its_beginning(
    world: SimpleNamespace, name: str, field: str
) -> None:
    row = getattr(world, name)
    whole = str(getattr(row, field))
    for term in (whole, whole.upper(), whole.replace("-", ""), whole[:8], whole[:13]):
        assert search.find(term, models=(type(row),)) == [row], term
    other = f"{'0' if whole[7] != '0' else '1'}".rjust(8, "0")
    assert search.find(f"{whole[:7]}{other[-1]}", models=(type(row),)) == []


def test_an_event_is_found_with_its_message(world: SimpleNamespace) -> None:
    assert found(str(world.biometricevent.pk)) == {BiometricEvent, OutboxMessage}


@pytest.mark.parametrize(
    "term",
    ["", "   ", "rob", "nobody", "%", "____", "3f2b8e0c-5c1d-4a55-9a41-6f0f6c2f7a10"],
)
def test_nothing_is_found_by_what_names_nothing(
    traced: SimpleNamespace, term: str
) -> None:
    assert search.find(term, models=ALL) == []


def test_letters_of_a_vendors_id_count_as_they_were_typed(
    admin_client: Client, traced: SimpleNamespace
) -> None:
    page = reverse(
        "admin:biometrics_webhookdelivery_change", args=[traced.webhookdelivery.pk]
    )
    query = {"extended": "1", "s": "Terra-Trace-77"}
    assert page in admin_client.get(BOX, query).content.decode()
    query["s"] = "terra-trace-78"
    assert "Nothing has this id" in admin_client.get(BOX, query).content.decode()


def test_the_box_shows_only_what_its_user_may_see(
    db: None, bare_client: Client, world: SimpleNamespace
) -> None:
    query = {"extended": "1", "s": "terra-user-1"}
    assert "terra-user-1" not in bare_client.get(BOX, query).content.decode()
    user = User.objects.create_user("half", password="x", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_vendorconnection"))
    client = Client()
    client.force_login(user)
    text = client.get(BOX, query).content.decode()
    assert (
        reverse(
            "admin:biometrics_vendorconnection_change", args=[world.vendorconnection.pk]
        )
        in text
    )
    assert "webhookdelivery" not in text


def test_the_box_shows_no_health_value(
    admin_client: Client, world: SimpleNamespace
) -> None:
    HrvAlert.objects.update(message="HRV was 31415 ms.", evidence={"value": 31415})
    BiometricEvent.objects.update(data={"value": 31415})
    OutboxMessage.objects.update(value=b"31415")
    for row in (world.hrvalert, world.biometricevent):
        text = admin_client.get(BOX, {"extended": "1", "s": str(row.pk)})
        assert str(row.pk) in text.content.decode()
        assert "31415" not in text.content.decode()


def test_the_box_asks_each_kind_once_and_loads_no_body(
    admin_client: Client, world: SimpleNamespace, django_assert_max_num_queries: Any
) -> None:
    with django_assert_max_num_queries(20) as captured:
        admin_client.get(BOX, {"extended": "1", "s": "terra-user-1"})
    asked = [q["sql"] for q in captured.captured_queries]
    ours = [sql for sql in asked if 'FROM "biometrics_webhookdelivery"' in sql]
    assert len(ours) == 1
    assert '"biometrics_webhookdelivery"."body"' not in ours[0]


@pytest.mark.skipif(connection.vendor != "postgresql", reason="plans of PostgreSQL")
@pytest.mark.parametrize(
    "term",
    [
        "trace-77",
        W3C,
        "3f2b8e0c-5c1d-4a55-9a41-6f0f6c2f7a10",
        "terra-user-1",
        "0a1b2c3d",
    ],
)
def test_no_lookup_reads_a_table_or_a_whole_vendor(db: None, term: str) -> None:
    with connection.cursor() as cursor:
        # An empty table is always read whole, unless that is dear.
        cursor.execute("SET LOCAL enable_seqscan = off")
    for model, condition in (
        (WebhookDelivery, search.deliveries_named(term)),
        (BiometricEvent, search.events_named(term)),
        (OutboxMessage, search.messages_named(term)),
    ):
        plan = model._default_manager.filter(condition).explain()
        assert "Seq Scan" not in plan, plan
        for line in plan.splitlines():
            if "Index Cond" in line and "vendor" in line:
                assert "account_id" in line or "dedupe_key" in line, plan
