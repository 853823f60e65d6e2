"""In which colour a status is shown, as the theme names its colours."""

from __future__ import annotations

from biometrics.models.events import EventStatus
from biometrics.models.hrv import AlertStatus, Severity
from biometrics.models.intake import DeliveryStatus
from biometrics.models.outbox import MessageStatus
from biometrics.models.people import ConnectionStatus
from biometrics.models.replay import ReplayState

SEVERITIES = {
    Severity.CRITICAL: "danger",
    Severity.HIGH: "warning",
    Severity.MEDIUM: "info",
    Severity.NORMAL: "success",
}
ALERTS = {
    AlertStatus.OPEN: "danger",
    AlertStatus.ACKNOWLEDGED: "info",
    AlertStatus.RETRACTED: "warning",
    AlertStatus.RESOLVED: "success",
}
CONNECTIONS = {
    ConnectionStatus.ACTIVE: "success",
    ConnectionStatus.NEEDS_RECONNECT: "danger",
    ConnectionStatus.REVOKED: "warning",
}
DELIVERIES = {
    DeliveryStatus.PENDING: "info",
    DeliveryStatus.RETRYING: "warning",
    DeliveryStatus.UNLINKED: "warning",
    DeliveryStatus.PROCESSED: "success",
    DeliveryStatus.PARKED: "danger",
}
EVENTS = {
    EventStatus.CURRENT: "success",
    EventStatus.SUPERSEDED: "info",
    EventStatus.STALE: "warning",
}
MESSAGES = {
    MessageStatus.PENDING: "info",
    MessageStatus.IN_BATCH: "info",
    MessageStatus.PUBLISHED: "success",
    MessageStatus.PARKED: "danger",
    MessageStatus.DEAD: "warning",
}
REPLAYS = {
    ReplayState.PLANNING: "info",
    ReplayState.PLANNED: "warning",
    ReplayState.RUNNING: "info",
    ReplayState.DONE: "success",
    ReplayState.CANCELLED: "warning",
}
