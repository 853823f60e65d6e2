"""A stored webhook as a command that sends it again, whole."""

from __future__ import annotations

import shlex
from uuid import UUID

from django.conf import settings
from django.http import HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from biometrics.models import WebhookDelivery
from biometrics.models.intake import DeliveryOrigin
from biometrics.payload_rows import shown_body

BODY_PAGE = "biometrics_webhookdelivery_body"
# Linux takes 128 KiB in one argument of a command.
_MOST_BYTES = 100_000
_NO_WEBHOOK = "No webhook brought it: we fetched it, and nobody can send it again."
_ANNOUNCED = (
    "A webhook named its address and we fetched it: retry it here, for nobody can send it"
    " again as a webhook."
)
_GONE = "Its bytes are not kept any more (retention)."


def curl(delivery: WebhookDelivery) -> str:
    """Return the delivery as a command; the signature is the sender's to make.

    A body that no command line takes, too long or not text, is read from a file.
    """
    url = f"{settings.PUBLIC_URL}/webhooks/{delivery.vendor}"
    headers = {**delivery.headers, "content-type": "application/json"}
    words = ["curl", "-X", "POST", url]
    for name, value in sorted(headers.items()):
        words += ["-H", f"{name}: {value}"]
    body = _as_text(delivery)
    data = f"@{file_name(delivery.public_id)}" if body is None else body
    # curl takes what begins with @ for a file's name.
    option = "--data-raw" if body is not None else "--data-binary"
    return shlex.join([*words, option, data])


def shown(delivery: WebhookDelivery) -> SafeString | str:
    """Return the command with a button that copies it, or why there is none."""
    if delivery.origin == DeliveryOrigin.ANNOUNCED:
        return _ANNOUNCED
    if delivery.origin != DeliveryOrigin.WEBHOOK:
        return _NO_WEBHOOK
    if delivery.body is None:
        return _GONE
    file = "" if _as_text(delivery) is not None else _file(delivery)
    return format_html(
        '<button type="button" class="text-link" data-copy="as-curl"'
        ' aria-live="polite">Copy as curl</button>'
        " (without a signature){}"
        '<div id="as-curl"><pre class="console-pre">{}</pre></div>',
        file,
        curl(delivery),
    )


def body_file(delivery: WebhookDelivery) -> HttpResponse:
    """Return the stored bytes as a file to save."""
    answer = HttpResponse(
        bytes(shown_body(delivery) or b""), content_type="application/octet-stream"
    )
    name = file_name(delivery.public_id)
    answer["Content-Disposition"] = f'attachment; filename="{name}"'
    answer["Cache-Control"] = "no-store"
    return answer


def file_name(public_id: UUID) -> str:
    """Return the name of the file that the command reads."""
    return f"delivery-{public_id}.body"


def _file(delivery: WebhookDelivery) -> SafeString:
    return format_html(
        '. Too long for a command line, or not text: <a class="text-link" href="{}">save'
        " the body</a> beside it first.",
        reverse(f"admin:{BODY_PAGE}", args=[delivery.pk]),
    )


def _as_text(delivery: WebhookDelivery) -> str | None:
    body = bytes(shown_body(delivery) or b"")
    # A page shows CR LF as LF, and no argument holds a NUL.
    if len(body) > _MOST_BYTES or b"\0" in body or b"\r" in body:
        return None
    try:
        return body.decode()
    except UnicodeDecodeError:
        return None
