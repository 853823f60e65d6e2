"""Every `ce_type` that the bridge writes, by the name of the schema of its value.

The lists of kinds are closed. A record type may come with any release, so consumers
skip those that they do not know.
"""

from __future__ import annotations

from typing import Final, get_args

from biometrics.publishing.envelope import AlertKind, ConnectionKind
from biometrics.vendors.records import Action

RECORD_TYPES: Final = (
    "body",
    "cycle",
    "daily_activity",
    "daily_cardiovascular_age",
    "daily_readiness",
    "daily_resilience",
    "daily_sleep",
    "daily_spo2",
    "daily_stress",
    "enhanced_tag",
    "heart_rate",
    "menstruation",
    "nutrition",
    "profile",
    "recovery",
    "rest_mode_period",
    "ring_configuration",
    "samples",
    "session",
    "sleep",
    "sleep_time",
    "tag",
    "vo2_max",
    "workout",
)
ACTIONS: Final[tuple[Action, ...]] = get_args(Action)
ALERT_KINDS: Final[tuple[AlertKind, ...]] = get_args(AlertKind)
CONNECTION_KINDS: Final[tuple[ConnectionKind, ...]] = get_args(ConnectionKind)

EVENT_TYPES: Final[dict[str, tuple[str, ...]]] = {
    "biometric-record": tuple(
        f"auren.biometric.{record_type}.{action}.v1"
        for record_type in RECORD_TYPES
        for action in ACTIONS
    ),
    "hrv-alert": tuple(f"auren.alert.hrv.{kind}.v1" for kind in ALERT_KINDS),
    "connection": tuple(f"auren.connection.{kind}.v1" for kind in CONNECTION_KINDS),
    "subject-erased": ("auren.subject.erased.v1",),
}
