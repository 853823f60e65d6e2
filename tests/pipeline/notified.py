"""What tests of the notifying vendor share: its account, its notices, its document."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from biometrics.connections.registry import add_connection
from biometrics.models import VendorConnection, WebhookDelivery
from tests.pipeline.world import World, record, says

DOCUMENT = says(record(readings={"steps": 7}))


def connect(world: World, **arguments: Any) -> VendorConnection:
    return add_connection(
        **{
            "vendor": "acme-notify",
            "account_id": "someone",
            "label": "Ada",
            "access_token": "access-0",
            "refresh_token": "refresh-0",
            "expires_at": world.now + timedelta(hours=1),
            **arguments,
        }
    )


def notify(world: World, path: str | None = "/doc/1") -> WebhookDelivery:
    said = {**record(), "fetch": path} if path else says(record())
    return world.store(said, vendor="acme-notify")


def run(world: World, delivery: WebhookDelivery) -> WebhookDelivery:
    world.run()
    delivery.refresh_from_db()
    return delivery
