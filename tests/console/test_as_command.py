"""A webhook copied as a command sends the very same bytes, or is not offered."""

from __future__ import annotations

import html
import re
import shlex
from types import SimpleNamespace

import pytest
from django.test import Client
from django.urls import reverse

from biometrics.models import WebhookDelivery
from biometrics.models.intake import DeliveryOrigin
from tests.console.revealing import reveal
from tests.console.test_pages import page_url


def with_body(world: SimpleNamespace, body: bytes, **columns: str) -> str:
    """Give the world's delivery another body; returns its page."""
    rows = WebhookDelivery.objects.filter(pk=world.webhookdelivery.pk)
    rows.update(body=body, **columns)
    return page_url("webhookdelivery", world.webhookdelivery.pk)


def command(page: str) -> list[str]:
    found = re.search(r'id="as-curl"><pre[^>]*>(.*?)</pre>', page, re.DOTALL)
    assert found is not None
    return shlex.split(html.unescape(found[1]))


def file_url(world: SimpleNamespace) -> str:
    return reverse(
        "admin:biometrics_webhookdelivery_body", args=[world.webhookdelivery.pk]
    )


def test_it_is_there_only_after_a_reveal(
    admin_client: Client, world: SimpleNamespace
) -> None:
    url = page_url("webhookdelivery", world.webhookdelivery.pk)
    assert "as-curl" not in admin_client.get(url).content.decode()
    reveal(admin_client, world.subject.pk)
    words = command(admin_client.get(url).content.decode())
    assert words[:3] == ["curl", "-X", "POST"]
    assert words[3].endswith("/webhooks/terra")
    assert words[4:6] == ["-H", "content-type: application/json"]
    assert not any("signature" in word for word in words)


@pytest.mark.parametrize(
    "body",
    [
        b'{"note": "' + "it's <b>über</b> & 5 \u2028 \\n\n".encode() * 2500 + b'"}',
        b"@/etc/hostname",
        b"",
    ],
    ids=["longer than a page shows", "looks like a file's name", "empty"],
)
def test_the_body_is_whole(
    admin_client: Client, world: SimpleNamespace, body: bytes
) -> None:
    url = with_body(world, body)
    reveal(admin_client, world.subject.pk)
    words = command(admin_client.get(url).content.decode())
    assert words[-2] == "--data-raw"
    assert words[-1].encode() == body


@pytest.mark.parametrize(
    "body",
    [b"[" + b"1," * 60_000 + b"1]", b"\xff\x01", b"a\x00b", b'{\r\n"a": 1}'],
    ids=["long", "not text", "NUL", "CR LF"],
)
def test_what_no_command_line_takes_is_saved_as_a_file(
    admin_client: Client, world: SimpleNamespace, body: bytes
) -> None:
    url = with_body(world, body)
    reveal(admin_client, world.subject.pk)
    page = admin_client.get(url).content.decode()
    name = f"delivery-{world.webhookdelivery.public_id}.body"
    assert command(page)[-2:] == ["--data-binary", f"@{name}"]
    assert f'href="{file_url(world)}"' in page
    saved = admin_client.get(file_url(world))
    assert saved.content == body
    assert saved["Content-Disposition"] == f'attachment; filename="{name}"'
    assert saved["Content-Type"] == "application/octet-stream"


def test_the_file_is_refused_before_a_reveal_and_to_others(
    admin_client: Client, bare_client: Client, world: SimpleNamespace
) -> None:
    assert admin_client.get(file_url(world)).status_code == 403
    reveal(admin_client, world.subject.pk)
    assert admin_client.get(file_url(world)).status_code == 200
    assert bare_client.get(file_url(world)).status_code == 403


@pytest.mark.parametrize(
    "origin",
    [one for one in DeliveryOrigin.values if one != DeliveryOrigin.WEBHOOK],
)
def test_what_no_webhook_brought_is_not_offered(
    admin_client: Client, world: SimpleNamespace, origin: str
) -> None:
    told = {
        DeliveryOrigin.ANNOUNCED: "A webhook named its address and we fetched it",
        DeliveryOrigin.BACKFILL: "No webhook brought it",
        DeliveryOrigin.RECOVERED: "No webhook brought it",
    }
    url = with_body(world, b"{}", origin=origin)
    reveal(admin_client, world.subject.pk)
    page = admin_client.get(url).content.decode()
    assert told[DeliveryOrigin(origin)] in page
    assert [text in page for text in set(told.values())].count(True) == 1
    assert "data-copy" not in page
