"""The headers of every record: CloudEvents 1.0 in binary mode, plus our own.

A header never holds a vendor's id of a person, an e-mail or a token.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, TypeAlias
from uuid import UUID

from biometrics.messages import Priority
from biometrics.publishing.values import utc_text

Severity: TypeAlias = Literal["CRITICAL", "HIGH", "MEDIUM", "NORMAL"]

CONTENT_TYPE = "application/json"
# Health data about a person: the strictest class of the CloudEvents extension.
CLASSIFICATION = "restricted"


def schema_uri(name: str) -> str:
    """Return the name under which `schemas` describes a kind of value."""
    return f"urn:auren:schema:{name}:1"


def record_headers(
    *,
    ce_type: str,
    schema: str,
    event_type: str,
    vendor: str,
    subject: UUID,
    time: datetime,
    severity: Severity,
    priority: Priority,
    triggers: Sequence[str],
    traceparent: str,
) -> dict[str, str]:
    """Return the headers of one record, but for `ce_id` and `ce_sequence`."""
    person = str(subject)
    headers = {
        "ce_specversion": "1.0",
        "ce_source": f"/auren/{vendor}",
        "ce_type": ce_type,
        "ce_time": utc_text(time),
        "ce_subject": person,
        "ce_dataschema": schema_uri(schema),
        "ce_partitionkey": person,
        "ce_dataclassification": CLASSIFICATION,
        "content-type": CONTENT_TYPE,
        "source": vendor,
        "event_type": event_type,
        "user_id": person,
        "priority": priority,
        "severity": severity,
        "has_triggers": "true" if triggers else "false",
        "triggers": ",".join(triggers),
    }
    if traceparent:
        headers["traceparent"] = traceparent
    return headers
