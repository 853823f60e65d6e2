"""Writing down where each record of a batch lies, many rows in one statement."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db import connection

from biometrics.models import OutboxMessage
from biometrics.models.outbox import MessageStatus
from biometrics.publishing.producers import Receipt

# The rows are locked in the order of their ids, as everywhere.
_POSTGRESQL = """
    WITH receipt AS (
        SELECT * FROM unnest(%s::bigint[], %s::int[], %s::bigint[]) AS r (id, part, pos)
    ), locked AS MATERIALIZED (
        SELECT id FROM {table} WHERE id = ANY(%s::bigint[]) ORDER BY id FOR UPDATE
    )
    UPDATE {table} AS message
    SET status = %s, published_at = %s, kafka_partition = receipt.part,
        kafka_offset = receipt.pos, probe = false
    FROM locked JOIN receipt ON receipt.id = locked.id
    WHERE message.id = locked.id
"""
_SQLITE = """
    UPDATE {table}
    SET status = %s, published_at = %s, kafka_partition = %s, kafka_offset = %s,
        probe = false
    WHERE id = %s
"""


def published(
    *, ids: Sequence[int], receipts: Sequence[Receipt], now: datetime
) -> None:
    """Mark messages as published where their receipts say."""
    # The table's name comes from the model, no value is put into the text.
    table = connection.ops.quote_name(OutboxMessage._meta.db_table)  # noqa: SLF001
    moment = connection.ops.adapt_datetimefield_value(now)
    partitions = [receipt.partition for receipt in receipts]
    offsets = [receipt.offset for receipt in receipts]
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(
                _POSTGRESQL.format(table=table),
                [
                    list(ids),
                    partitions,
                    offsets,
                    list(ids),
                    MessageStatus.PUBLISHED.value,
                    moment,
                ],
            )
            return
        cursor.executemany(
            _SQLITE.format(table=table),
            [
                (MessageStatus.PUBLISHED.value, moment, partition, offset, number)
                for number, partition, offset in zip(
                    ids, partitions, offsets, strict=True
                )
            ],
        )
