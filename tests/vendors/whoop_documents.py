"""WHOOP's sample documents, read by the adapter."""

from __future__ import annotations

import json
from typing import Any

from biometrics.vendors.records import Record
from biometrics.vendors.whoop.adapter import Whoop
from biometrics.vendors.whoop.documents import build_record
from biometrics.vendors.wire import StoredDelivery
from tests.vendors.deliveries import NOW, answer
from tests.vendors.whoop_bodies import notification


def read(data_type: str, document: object) -> Record:
    return build_record(
        data_type=data_type, document=document, fetched_at=NOW, action="updated"
    )


def notified(event_type: str, *documents: dict[str, Any]) -> Record:
    """Return what a webhook says when these documents were fetched for it."""
    stored = StoredDelivery(
        vendor="whoop",
        account_id="456",
        event_type=event_type,
        headers={},
        body=notification(event_type),
        received_at=NOW,
        documents=tuple(answer(json.dumps(d).encode()) for d in documents),
    )
    (record,) = Whoop().understand(stored).records
    return record
