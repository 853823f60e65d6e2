"""Lists ask as few questions of the database with a page full of rows as with one."""

from __future__ import annotations

import re
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.db.models import Model
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from biometrics.models import (
    AlertNotice,
    AlertSubscription,
    AuditEntry,
    ParkedQueue,
    ReplayRun,
    StaffAlarm,
    Subject,
)
from tests.browser.seed import seed
from tests.console.addresses import all_addresses

MANY = 30
MOST_QUERIES = 20


def copies(row: Model, **changes: Any) -> None:
    """Store thirty rows like one; `changes` are functions of the number."""
    model = type(row)
    fields = {f.attname: getattr(row, f.attname) for f in model._meta.concrete_fields}
    fields.pop("id")
    model._default_manager.bulk_create(
        model(**{**fields, **{name: make(n) for name, make in changes.items()}})
        for n in range(MANY)
    )


@pytest.fixture
def crowd(world: SimpleNamespace) -> None:
    """Fill a page of every list."""
    seed()
    people = [Subject.objects.create(label=f"Person {n}") for n in range(MANY)]
    copies(ParkedQueue.objects.all()[0], subject=lambda n: people[n].pk)
    copies(world.vendorconnection, account_id=str, personal_token_sha256=lambda n: None)
    copies(AuditEntry.objects.all()[0])
    copies(StaffAlarm.objects.all()[0], key=str)
    copies(ReplayRun.objects.all()[0])
    copies(world.publishbatch, seq=lambda n: n + 100)
    subscription = AlertSubscription.objects.create(
        owner=User.objects.create_user("told"),
        channel="email",
        address="told@example.org",
        created_at=timezone.now(),
    )
    copies(subscription, address=lambda n: f"{n}@example.org")
    copies(
        AlertNotice(
            alert=world.hrvalert, due_at=timezone.now(), created_at=timezone.now()
        ),
        id=lambda n: uuid4(),
        subscription_id=lambda n: subscription.pk + n,
    )
    copies(
        world.hrvalert,
        id=lambda n: uuid4(),
        night=lambda n: world.hrvalert.night - timedelta(days=n + 1),
    )


def test_every_list_keeps_to_its_queries(
    crowd: None, admin_client: Client, django_assert_max_num_queries: Any
) -> None:
    cache.clear()
    lists = [page.url for page in all_addresses() if page.name.endswith("_changelist")]
    for url in [*lists, *_others()]:
        with django_assert_max_num_queries(MOST_QUERIES, info=url):
            assert admin_client.get(url).status_code == 200
    rows = admin_client.get(reverse("admin:biometrics_parkedqueue_changelist"))
    assert rows.content.decode().count("Person ") >= MANY - 5


def _others() -> list[str]:
    names = (
        "index",
        "biometrics_parked",
        "biometrics_ledger",
        "biometrics_replay_choose",
    )
    return [reverse(f"admin:{name}") for name in names]


@pytest.mark.parametrize(
    ("model", "columns"),
    [
        ("webhookdelivery", {"received"}),
        ("outboxmessage", {"created"}),
        ("biometricevent", {"created"}),
        ("auditentry", {"when"}),
        ("reading", set()),
        ("hrvnight", set()),
        ("hrvalert", set()),
    ],
)
def test_a_big_list_offers_only_orders_that_an_index_has(
    world: SimpleNamespace, admin_client: Client, model: str, columns: set[str]
) -> None:
    page = admin_client.get(reverse(f"admin:biometrics_{model}_changelist"))
    shown = page.context["cl"].list_display
    offered = re.findall(r"[?&;]o=-?(\d+)", page.content.decode())
    assert {shown[int(number)] for number in offered} == columns
