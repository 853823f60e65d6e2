"""This database's own id, and the number of shards that its work was cut into."""

from __future__ import annotations

from uuid import UUID, uuid4

from django.conf import settings
from django.db import transaction

from biometrics.errors import ConfigurationError
from biometrics.models import BridgeIdentity, OutboxMessage, ShardLease, WebhookDelivery
from biometrics.models.intake import DUE_DELIVERY
from biometrics.models.outbox import MessageStatus


def database_id() -> UUID:
    """Return the id that progress in Kafka carries, made at first use.

    Raises ConfigurationError when SHARDS was changed while work is under way: a person's
    messages would be split between an old and a new shard and lose their order.
    """
    identity, _ = BridgeIdentity.objects.get_or_create(
        id=1, defaults={"database_id": uuid4(), "shards": settings.SHARDS}
    )
    if identity.shards != settings.SHARDS:
        _change_shards(identity)
    return identity.database_id


def _change_shards(identity: BridgeIdentity) -> None:
    with transaction.atomic():
        if _has_unfinished_work():
            message = (
                f"SHARDS is {settings.SHARDS}, but unfinished work was cut into "
                f"{identity.shards}. Set SHARDS={identity.shards}, let manage.py drain "
                "finish with intake stopped, then change it."
            )
            raise ConfigurationError(message)
        BridgeIdentity.objects.filter(id=1).update(shards=settings.SHARDS)


def _has_unfinished_work() -> bool:
    unpublished = OutboxMessage.objects.filter(
        status__in=[MessageStatus.PENDING, MessageStatus.IN_BATCH, MessageStatus.PARKED]
    )
    return (
        unpublished.exists()
        or ShardLease.objects.filter(is_clean=False).exists()
        or WebhookDelivery.objects.filter(DUE_DELIVERY).exists()
    )
