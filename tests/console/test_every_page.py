"""What holds for every page of the admin, whichever they are: harmless, cheap, honest."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import Group, User
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.test import Client
from django.urls import reverse

from tests.console.addresses import all_addresses

MOST_QUERIES = 20
ROLES = ("viewer", "operator", "clinician", "admin")
# What somebody could put into an address to have a form or an action done by a GET.
_TEMPTING = (
    "",
    "post=yes&confirm=1&reason=because&feedback=useful&threshold_offset=1&format=csv",
    "action=retry_parked&_selected_action=1&reason=because&index=0",
)


@pytest.fixture(autouse=True)
def _fresh() -> None:
    cache.clear()


def everything() -> dict[str, list[dict[str, Any]]]:
    """Return all rows of all tables but sessions, which remember who came last."""
    return {
        model._meta.label: list(model._default_manager.order_by("pk").values())
        for model in apps.get_models()
        if model is not Session
    }


def in_role(role: str) -> Client:
    """Return the browser of somebody in a role; "" is staff without any."""
    user = User.objects.create_user(f"one-{role}", password="x", is_staff=True)
    if role:
        user.groups.add(Group.objects.get(name=role))
    client = Client()
    client.force_login(user)
    return client


@pytest.mark.parametrize("query", _TEMPTING, ids=["plain", "a form's", "an action's"])
def test_nothing_changes_on_get(
    admin_client: Client, world: SimpleNamespace, query: str
) -> None:
    pages = [page for page in all_addresses() if page.name != "logout"]
    for page in pages:
        before = everything()
        url = (
            f"{page.url}{'&' if '?' in page.url else '?'}{query}" if query else page.url
        )
        answer = admin_client.get(url)
        assert answer.status_code < 500, page
        after = everything()
        changed = [label for label, rows in after.items() if rows != before[label]]
        assert changed == [], page


def test_signing_out_is_no_link(admin_client: Client) -> None:
    assert admin_client.get(reverse("admin:logout")).status_code == 405
    assert admin_client.get(reverse("admin:index")).status_code == 200


def test_no_page_asks_the_database_more_than_twenty_times(
    admin_client: Client,
    world: SimpleNamespace,
    django_assert_max_num_queries: Any,
) -> None:
    opened = 0
    for page in all_addresses():
        if page.name in {"logout", "biometrics_hrvalert_acknowledge"}:
            continue
        with django_assert_max_num_queries(MOST_QUERIES, info=page.url):
            opened += admin_client.get(page.url).status_code == 200
    assert opened > 60


@pytest.mark.parametrize("role", ["", *ROLES])
def test_no_link_leads_to_a_refusal(world: SimpleNamespace, role: str) -> None:
    client = in_role(role)
    shown: dict[str, str] = {}
    for page in all_addresses():
        if page.name == "logout":
            continue
        answer = client.get(page.url)
        if answer.status_code == 200:
            text = answer.content.decode(errors="replace")
            for link in re.findall(r'href="(/admin/[^"#]*)', text):
                shown.setdefault(link.replace("&amp;", "&"), page.url)
    refused = {
        link: where
        for link, where in shown.items()
        if client.get(link).status_code in {400, 403, 404}
    }
    assert refused == {}


@pytest.mark.parametrize("role", ["", *ROLES])
def test_what_somebody_may_not_open_is_neither_in_the_sidebar_nor_a_block(
    world: SimpleNamespace, role: str
) -> None:
    client = in_role(role)
    index = client.get(reverse("admin:index")).content.decode()
    for page in all_addresses():
        if page.name == "logout" or client.get(page.url).status_code != 403:
            continue
        assert f'href="{page.url}"' not in index, page
        assert f'action="{page.url}"' not in index, page
    names = {"view_hrvalert": "Open alerts", "view_webhookdelivery": "Imbalance"}
    user = User.objects.get(username=f"one-{role}")
    for codename, block in names.items():
        assert (block in index) == user.has_perm(f"biometrics.{codename}")


def test_staff_without_a_role_are_told_what_to_do(world: SimpleNamespace) -> None:
    text = in_role("").get(reverse("admin:index")).content.decode()
    assert "ask an admin for a role" in text
