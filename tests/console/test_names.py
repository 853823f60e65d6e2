"""What pages and their links are called, and which link is marked."""

from __future__ import annotations

import re
from types import SimpleNamespace

import pytest
from django.test import Client

from tests.console.test_pages import MODELS, list_url


@pytest.mark.parametrize("model", MODELS)
def test_pages_have_a_name_in_good_english(
    admin_client: Client, world: SimpleNamespace, model: str
) -> None:
    text = admin_client.get(list_url(model)).content.decode()
    assert not re.search(r"\w(rys|chs)\b|\bHrv ", text)


@pytest.mark.parametrize(
    ("address", "marked"),
    [
        (list_url("webhookdelivery"), "Deliveries"),
        (list_url("parkedqueue"), "Parked work"),
        (list_url("parkedqueue") + "work/", "Parked work"),
        (list_url("replayrun"), "Replay"),
    ],
)
def test_the_sidebar_marks_one_list(
    admin_client: Client, world: SimpleNamespace, address: str, marked: str
) -> None:
    answer = admin_client.get(address)
    items = [
        item
        for group in answer.context["sidebar_navigation"]
        for item in group["items"]
        if item["active"]
    ]
    assert [item["title"] for item in items] == [marked]
