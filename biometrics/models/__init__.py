"""The tables, in the order in which data passes through them."""

from __future__ import annotations

from biometrics.models.access import PhoneSession, UsedLink, VendorSubscription
from biometrics.models.alarms import StaffAlarm
from biometrics.models.audit import AuditEntry
from biometrics.models.events import BiometricEvent, Reading
from biometrics.models.hrv import HrvAlert, HrvNight, HrvTuning
from biometrics.models.intake import DeliveryDocument, IntakeCount, WebhookDelivery
from biometrics.models.notices import AlertNotice, AlertSubscription
from biometrics.models.outbox import (
    BridgeIdentity,
    OutboxMessage,
    ParkedQueue,
    PublishBatch,
    ShardLease,
)
from biometrics.models.people import (
    ErasedAccount,
    Subject,
    ToldChange,
    VendorConnection,
)
from biometrics.models.replay import ReplayRun
from biometrics.models.secrets import SecretUse

__all__ = [
    "AlertNotice",
    "AlertSubscription",
    "AuditEntry",
    "BiometricEvent",
    "BridgeIdentity",
    "DeliveryDocument",
    "ErasedAccount",
    "HrvAlert",
    "HrvNight",
    "HrvTuning",
    "IntakeCount",
    "OutboxMessage",
    "ParkedQueue",
    "PhoneSession",
    "PublishBatch",
    "Reading",
    "ReplayRun",
    "SecretUse",
    "ShardLease",
    "StaffAlarm",
    "Subject",
    "ToldChange",
    "UsedLink",
    "VendorConnection",
    "VendorSubscription",
    "WebhookDelivery",
]
