"""The pages: everybody permitted looks, the permitted act by POST with a reason."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from resilience import force_open, get_breaker
from resilience.models import BreakerMode, BreakerTransition
from resilience.pages import PAGES
from resilience.snapshot import at_utc
from resilience.timeline import COLOURS, timeline
from tests.resilience.clockwork import fail

pytestmark = [
    pytest.mark.redis,
    pytest.mark.django_db,
    pytest.mark.usefixtures("circuits"),
]

LIST = "/admin/resilience/breakermode/"
HISTORY = "/admin/resilience/breakertransition/"


def staff(name: str, *permissions: str) -> Client:
    user = User.objects.create_user(name, is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def viewer() -> Client:
    return staff("vera", "view_breakermode", "view_breakertransition")


@pytest.fixture
def operator() -> Client:
    return staff("ann", "view_breakermode", "view_breakertransition", "operate_breaker")


def page(client: Client, path: str) -> str:
    response = client.get(path)
    assert response.status_code == 200
    return html.unescape(response.content.decode())


def test_the_way_to_the_list_names_nothing_twice(viewer: Client) -> None:
    text = page(viewer, LIST)
    way = re.findall(r"tracking-tight\">\s*([^<]+?)\s*<", text)
    assert way[-3:] == ["Resilience", "Breakers", "All circuits"]


def test_the_list_shows_state_mode_since_and_next_probe(viewer: Client) -> None:
    assert "All 2 circuits are closed" in page(viewer, LIST)
    fail(get_breaker("vendor:oura"))
    fail(get_breaker("vendor:oura"))
    force_open("kafka", actor="ann", reason="broker is moved")

    shown = page(viewer, LIST)

    assert "2 of 3 need a look: kafka, vendor:oura." in shown
    assert "Forced open for" in shown
    assert "broker is moved" in shown
    assert "too many failures" in shown
    assert "next probe in" in shown
    assert f'href="{LIST}vendor:oura/"' in shown


def test_a_circuits_page_tells_its_history_with_who_and_why(viewer: Client) -> None:
    force_open("kafka", actor="ann", reason="<b>broker</b> is moved")

    shown = viewer.get(f"{LIST}kafka/").content.decode()

    assert "ann: “&lt;b&gt;broker&lt;/b&gt; is moved”" in shown
    assert "an operator forced it open" in shown
    assert "Never opened" in page(viewer, f"{LIST}database/")


def test_who_may_not_see_the_history_sees_neither_block_nor_link() -> None:
    force_open("kafka", actor="ann", reason="broker is moved")
    client = staff("will", "view_breakermode")
    assert client.get(HISTORY).status_code == 403

    for path in (LIST, f"{LIST}kafka/"):
        shown = page(client, path)
        assert HISTORY not in shown
        assert "an operator forced it open" not in shown
        assert "Never opened" not in shown


@pytest.mark.parametrize("slug", PAGES)
def test_an_action_needs_a_post_with_a_reason(operator: Client, slug: str) -> None:
    path = f"{LIST}vendor:oura/{slug}/"
    get_breaker("vendor:oura").snapshot()

    shown = page(operator, path)
    assert PAGES[slug].effect.split(".")[0] in shown
    assert (
        "This field is required"
        in operator.post(path, {"reason": " "}).content.decode()
    )
    assert not BreakerMode.objects.exists()

    answer = operator.post(path, {"reason": "they asked"}, follow=True)

    assert answer.redirect_chain == [(f"{LIST}vendor:oura/", 302)]
    assert "they asked" in answer.content.decode()
    row = BreakerMode.objects.get()
    assert (row.breaker, row.actor, row.reason) == ("vendor:oura", "ann", "they asked")
    entry = LogEntry.objects.get()
    assert entry.user.get_username() == "ann"
    assert entry.change_message == f"{PAGES[slug].verb}: they asked"
    assert operator.get(str(entry.get_admin_url())).headers["Location"] == (
        f"{LIST}vendor:oura/"
    )


def test_looking_is_not_acting(viewer: Client) -> None:
    path = f"{LIST}kafka/open/"

    assert viewer.get(path).status_code == 403
    assert viewer.post(path, {"reason": "x"}).status_code == 403
    assert f'href="{path}"' not in page(viewer, f"{LIST}kafka/")
    assert not BreakerMode.objects.exists()


@pytest.mark.parametrize("path", [LIST, f"{LIST}kafka/", f"{LIST}kafka/open/", HISTORY])
def test_nobody_sees_anything_without_permission(path: str) -> None:
    assert staff("nobody").get(path).status_code == 403
    assert Client().get(path).status_code == 302


def test_a_post_without_the_token_is_refused(operator: Client) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(User.objects.get(username="ann"))

    assert strict.post(f"{LIST}kafka/open/", {"reason": "x"}).status_code == 403
    assert not BreakerMode.objects.exists()


def test_unknown_circuits_and_actions_are_not_found(operator: Client) -> None:
    assert operator.get(f"{LIST}kafak/").status_code == 404
    assert operator.get(f"{LIST}kafak/open/").status_code == 404
    assert operator.post(f"{LIST}kafak/open/", {"reason": "x"}).status_code == 404
    assert operator.get(f"{LIST}kafka/explode/").status_code == 404


def test_without_the_store_the_pages_say_so_and_nothing_is_done(
    operator: Client, lose_redis: Callable[[], None]
) -> None:
    lose_redis()

    assert "does not answer" in page(operator, LIST)
    shown = page(operator, f"{LIST}kafka/")
    assert "Nothing can be operated now" in shown
    assert f'href="{LIST}kafka/open/"' not in shown
    answer = operator.post(f"{LIST}kafka/open/", {"reason": "x"})
    assert answer.status_code == 503
    assert "Nothing was changed" in answer.content.decode()
    assert not BreakerMode.objects.exists()
    assert not LogEntry.objects.exists()


def test_the_history_is_read_only_and_counts_nothing(
    viewer: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    force_open("kafka", actor="ann", reason="broker is moved")

    with django_assert_max_num_queries(20) as captured:
        shown = page(viewer, HISTORY)

    assert "mode auto → forced open" in shown
    assert "broker is moved" in shown
    assert not any("COUNT(" in query["sql"] for query in captured.captured_queries)
    row = BreakerTransition.objects.get()
    change = reverse("admin:resilience_breakertransition_change", args=[row.pk])
    assert viewer.post(change, {"reason": "other"}).status_code == 403
    assert viewer.get(f"{HISTORY}add/").status_code == 403


def test_the_pages_cost_few_queries(
    operator: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for path in (LIST, f"{LIST}kafka/", f"{LIST}kafka/open/"):
        with django_assert_max_num_queries(20):
            page(operator, path)


def test_the_timeline_shows_the_worst_of_each_half_hour() -> None:
    now = timezone.now().replace(minute=0, second=0, microsecond=0)

    def change(hours: float, new_state: str, new_mode: str = "auto") -> None:
        at = now - timedelta(hours=hours)
        BreakerTransition.objects.create(
            breaker="kafka",
            epoch=int(at.timestamp() * 1_000_000),
            at=at,
            old_state="closed",
            new_state=new_state,
            old_mode="auto",
            new_mode=new_mode,
            cause="failures",
            failures=2,
            wait_ms=1,
        )

    change(30, "open")
    change(23, "half_open")
    change(22.9, "closed")
    change(2, "open")
    change(1.99, "closed", "observe")

    slots = [slot["color"] for slot in timeline("kafka", now=now)]

    assert len(slots) == 48
    assert slots[:2] == [COLOURS["open"]] * 2
    assert slots[2] == COLOURS["half open"]
    assert set(slots[3:44]) == {COLOURS["closed"]}
    assert slots[44] == COLOURS["open"]
    assert set(slots[45:]) == {COLOURS["observe"]}
    assert at_utc(0).tzinfo is not None
