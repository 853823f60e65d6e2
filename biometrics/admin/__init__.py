"""The staff console: read-only lists linked along the flow, and a few verbs."""

from __future__ import annotations

from biometrics.admin import (
    alarms,
    alerts,
    audit,
    connections,
    deliveries,
    events,
    hrv_nights,
    messages,
    parked,
    people,
    replays,
    secrets,
    staff,
    subscriptions,
    vendor_subscriptions,
)

__all__ = [
    "alarms",
    "alerts",
    "audit",
    "connections",
    "deliveries",
    "events",
    "hrv_nights",
    "messages",
    "parked",
    "people",
    "replays",
    "secrets",
    "staff",
    "subscriptions",
    "vendor_subscriptions",
]
