"""Every page of the console: shown, linked, read-only, and silent about secrets."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from biometrics.models import AuditEntry, HrvAlert, WebhookDelivery
from biometrics.replay import runs
from tests.console.revealing import reveal

MODELS = (
    "auditentry",
    "biometricevent",
    "hrvalert",
    "hrvnight",
    "outboxmessage",
    "parkedqueue",
    "publishbatch",
    "reading",
    "replayrun",
    "shardlease",
    "staffalarm",
    "subject",
    "vendorconnection",
    "webhookdelivery",
)
SECRETS = ("planted-access-token", "planted-refresh-token", "f" * 64)


def _between(field: str, first: str, last: str) -> dict[str, str]:
    return {f"{field}_from_0": first, f"{field}_to_0": last}


def list_url(model: str) -> str:
    return reverse(f"admin:biometrics_{model}_changelist")


def page_url(model: str, pk: object) -> str:
    return reverse(f"admin:biometrics_{model}_change", args=[pk])


@pytest.mark.parametrize("model", MODELS)
def test_lists_and_pages_open(
    admin_client: Client, world: SimpleNamespace, model: str
) -> None:
    row = getattr(world, model)
    listing = admin_client.get(list_url(model))
    assert listing.status_code == 200
    assert page_url(model, row.pk) in listing.content.decode()
    page = admin_client.get(page_url(model, row.pk))
    assert page.status_code == 200


@pytest.mark.parametrize("model", MODELS)
def test_pages_change_nothing(
    admin_client: Client, world: SimpleNamespace, model: str
) -> None:
    row = getattr(world, model)
    before = type(row).objects.values().get(pk=row.pk)
    url = page_url(model, row.pk)
    assert admin_client.post(url, {"label": "other"}).status_code == 403
    add = reverse(f"admin:biometrics_{model}_add")
    assert admin_client.get(add).status_code == 403
    delete = reverse(f"admin:biometrics_{model}_delete", args=[row.pk])
    assert admin_client.post(delete, {"post": "yes"}).status_code == 403
    assert type(row).objects.values().get(pk=row.pk) == before


@pytest.mark.parametrize("model", MODELS)
def test_without_permission_there_is_no_page(
    bare_client: Client, world: SimpleNamespace, model: str
) -> None:
    row = getattr(world, model)
    assert bare_client.get(list_url(model)).status_code == 403
    assert bare_client.get(page_url(model, row.pk)).status_code == 403


def test_without_permission_the_dashboard_shows_no_rows_and_no_links(
    bare_client: Client, world: SimpleNamespace
) -> None:
    text = bare_client.get(reverse("admin:index")).content.decode()
    assert "Robin" not in text
    assert "terra" not in text
    for model in MODELS:
        assert list_url(model) not in text


def test_the_dashboard_answers_the_first_question(
    admin_client: Client, world: SimpleNamespace
) -> None:
    text = admin_client.get(reverse("admin:index")).content.decode()
    assert "Imbalance" in text
    assert "CRITICAL" in text
    assert page_url("hrvalert", world.hrvalert.pk) in text
    assert 'data-live="outbox_waiting"' in text
    assert "Needs a person" in text
    assert page_url("staffalarm", world.staffalarm.pk) in text


@pytest.mark.parametrize("model", MODELS)
def test_no_page_shows_a_secret(
    admin_client: Client, world: SimpleNamespace, model: str
) -> None:
    row = getattr(world, model)
    for url in (list_url(model), page_url(model, row.pk)):
        text = admin_client.get(url).content.decode()
        for secret in SECRETS:
            assert secret not in text


def test_a_body_cannot_run_a_script(
    admin_client: Client, world: SimpleNamespace
) -> None:
    url = page_url("webhookdelivery", world.webhookdelivery.pk)
    reveal(admin_client, world.subject.pk)
    text = admin_client.get(url).content.decode()
    assert "<script>alert(1)</script>" not in text
    assert "&lt;script&gt;alert(1)" in text


@pytest.mark.parametrize(
    ("model", "term"),
    [
        ("webhookdelivery", "trace-1"),
        ("webhookdelivery", "terra-user-1"),
        ("biometricevent", "night-1"),
        ("subject", "rob"),
        ("vendorconnection", "terra-user-1"),
    ],
)
def test_search_finds(
    admin_client: Client, world: SimpleNamespace, model: str, term: str
) -> None:
    pk = getattr(world, model).pk
    found = admin_client.get(list_url(model), {"q": term}).content.decode()
    assert page_url(model, pk) in found
    nothing = admin_client.get(list_url(model), {"q": "nobody"}).content.decode()
    assert page_url(model, pk) not in nothing


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("term", ["f47ac10b-58cc-4372-a567-0e02b2c3d479", "robin"])
def test_a_search_compares_ids_as_ids(
    admin_client: Client, world: SimpleNamespace, model: str, term: str
) -> None:
    with CaptureQueriesContext(connection) as captured:
        assert admin_client.get(list_url(model), {"q": term}).status_code == 200
    told = " ".join(query["sql"] for query in captured.captured_queries)
    # An id that is turned into text is looked for in every row, not in an index.
    assert "::varchar" not in told
    assert "CAST(" not in told


@pytest.mark.parametrize(
    ("model", "term"),
    [
        ("hrvalert", "hrvalert"),
        ("hrvalert", "subject"),
        ("hrvnight", "subject"),
        ("biometricevent", "biometricevent"),
        ("biometricevent", "subject"),
        ("reading", "subject"),
        ("subject", "subject"),
        ("outboxmessage", "subject"),
        ("parkedqueue", "subject"),
        ("vendorconnection", "subject"),
    ],
)
def test_search_finds_by_whole_ids(
    admin_client: Client, world: SimpleNamespace, model: str, term: str
) -> None:
    pk = getattr(world, model).pk
    found = admin_client.get(list_url(model), {"q": str(getattr(world, term).pk)})
    assert page_url(model, pk) in found.content.decode()


@pytest.mark.parametrize(
    ("model", "query"),
    [
        ("webhookdelivery", {"vendor": "terra", "status__exact": "parked"}),
        ("webhookdelivery", {"error_code": "unreadable"}),
        ("biometricevent", {"vendor": "terra", "action__exact": "created"}),
        ("reading", {"metric": "resting_heart_rate"}),
        ("outboxmessage", _between("published_at", "2026-11-24", "2026-11-24")),
        ("webhookdelivery", _between("received_at", "2026-11-24", "2026-11-24")),
        ("outboxmessage", {"status__exact": "published"}),
        ("hrvalert", {"severity__exact": "CRITICAL"}),
        ("vendorconnection", {"status__exact": "active"}),
        ("staffalarm", {"state": "open"}),
    ],
)
def test_filters_keep_what_matches(
    admin_client: Client, world: SimpleNamespace, model: str, query: dict[str, str]
) -> None:
    pk = getattr(world, model).pk
    text = admin_client.get(list_url(model), query).content.decode()
    assert page_url(model, pk) in text
    last = list(query)[-1]
    other = {**query, last: "something_else"}
    if last.endswith("_0"):
        other = _between(last.removesuffix("_to_0"), "2026-11-20", "2026-11-23")
    if not last.endswith("__exact"):
        text = admin_client.get(list_url(model), other).content.decode()
        assert page_url(model, pk) not in text


def test_the_flow_is_linked_both_ways(
    admin_client: Client, world: SimpleNamespace
) -> None:
    ways = [
        ("webhookdelivery", "biometricevent"),
        ("webhookdelivery", "outboxmessage"),
        ("biometricevent", "webhookdelivery"),
        ("biometricevent", "outboxmessage"),
        ("biometricevent", "reading"),
        ("biometricevent", "subject"),
        ("biometricevent", "hrvnight"),
        ("reading", "biometricevent"),
        ("outboxmessage", "biometricevent"),
        ("outboxmessage", "hrvalert"),
        ("outboxmessage", "publishbatch"),
        ("outboxmessage", "subject"),
        ("hrvalert", "hrvnight"),
        ("hrvalert", "outboxmessage"),
        ("hrvalert", "subject"),
        ("hrvnight", "biometricevent"),
        ("hrvnight", "hrvalert"),
        ("subject", "vendorconnection"),
        ("subject", "hrvalert"),
        ("parkedqueue", "outboxmessage"),
        ("vendorconnection", "subject"),
    ]
    for source, target in ways:
        text = admin_client.get(
            page_url(source, getattr(world, source).pk)
        ).content.decode()
        assert page_url(target, getattr(world, target).pk) in text, (source, target)


def test_lists_never_count_a_table(
    admin_client: Client,
    world: SimpleNamespace,
    django_assert_max_num_queries: Any,
) -> None:
    for model in MODELS:
        with django_assert_max_num_queries(20) as captured:
            admin_client.get(list_url(model))
        table = f"biometrics_{model}"
        counting = re.compile(rf"COUNT\(.*{table}\b")
        assert not [q for q in captured.captured_queries if counting.search(q["sql"])]


def act(client: Client, model: str, action: str, pk: object, **data: str) -> Any:
    return client.post(
        list_url(model), {"action": action, "_selected_action": [str(pk)], **data}
    )


def test_a_parked_delivery_is_retried_after_a_reason(
    admin_client: Client, world: SimpleNamespace
) -> None:
    pk = world.webhookdelivery.pk
    asked = act(admin_client, "webhookdelivery", "retry_parked", pk)
    assert asked.status_code == 200
    assert "worked on again" in asked.content.decode()
    assert WebhookDelivery.objects.get(pk=pk).status == "parked"

    act(admin_client, "webhookdelivery", "retry_parked", pk, reason="mapping fixed")
    again = WebhookDelivery.objects.get(pk=pk)
    assert (again.status, again.attempts, again.error) == ("pending", 0, "")
    entry = AuditEntry.objects.get(verb="delivery.retry")
    assert (entry.actor, entry.reason) == ("ops", "mapping fixed")


def test_a_delivery_is_replayed_after_a_plan_and_a_reason(
    admin_client: Client, world: SimpleNamespace
) -> None:
    pk = world.webhookdelivery.pk
    asked = act(admin_client, "webhookdelivery", "replay_selected", pk)
    text = asked.content.decode()
    assert "terra: 1" in text
    assert WebhookDelivery.objects.get(pk=pk).status == "parked"

    act(admin_client, "webhookdelivery", "replay_selected", pk, reason="new mapping")
    runs.advance(now=timezone.now, budget_s=1)
    assert WebhookDelivery.objects.get(pk=pk).status == "pending"
    entry = AuditEntry.objects.get(verb="delivery.replay")
    assert (entry.actor, entry.reason) == ("ops", "new mapping")


def test_an_alert_is_acknowledged_with_what_was_found(
    admin_client: Client, world: SimpleNamespace
) -> None:
    pk = world.hrvalert.pk
    act(admin_client, "hrvalert", "acknowledge", pk, reason="has a cold")
    assert HrvAlert.objects.get(pk=pk).status == "open"
    said = {"reason": "has a cold", "feedback": "useful"}
    act(admin_client, "hrvalert", "acknowledge", pk, **said)
    alert = HrvAlert.objects.get(pk=pk)
    assert (alert.status, alert.acknowledged_by) == ("acknowledged", "ops")
    assert alert.feedback == "useful"
    assert alert.note == "has a cold"
    assert AuditEntry.objects.filter(verb="alert.acknowledge", actor="ops").exists()


def test_a_verb_needs_more_than_the_right_to_look(
    db: None, world: SimpleNamespace
) -> None:
    viewer = User.objects.create_user("viewer", password="x", is_staff=True)
    viewer.user_permissions.add(
        Permission.objects.get(codename="view_webhookdelivery"),
    )
    client = Client()
    client.force_login(viewer)
    pk = world.webhookdelivery.pk
    assert client.get(list_url("webhookdelivery")).status_code == 200
    act(client, "webhookdelivery", "retry_parked", pk, reason="let me")
    assert WebhookDelivery.objects.get(pk=pk).status == "parked"


def test_the_content_security_policy_allows_no_foreign_script(
    admin_client: Client,
) -> None:
    policy = admin_client.get(reverse("admin:index"))["Content-Security-Policy"]
    assert "script-src 'self' 'unsafe-eval'" in policy
    assert "frame-ancestors 'none'" in policy
