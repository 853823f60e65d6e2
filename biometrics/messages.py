"""What the steps hand to the outbox: one record to be, complete and immutable.

Pure, so that wire formats can be made and tested without a database.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias
from uuid import UUID

Priority: TypeAlias = Literal["HIGH", "MEDIUM", "NORMAL"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewMessage:
    """One message for the outbox.

    `ce_id` is its identity for consumers and unique in the outbox; `subject` is the
    record's key; `headers` are the record's headers but for `ce_sequence`, which the
    relay adds. `event_id` and `alert_id` name the row that it tells about, if any.
    """

    ce_id: UUID
    subject: UUID
    topic: str
    event_type: str
    headers: Mapping[str, str]
    value: bytes
    priority: Priority = "NORMAL"
    event_id: UUID | None = None
    alert_id: UUID | None = None
