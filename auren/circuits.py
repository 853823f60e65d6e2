"""The circuits of the bridge; docs/breaker.md explains the fields.

The environment may override each number (`resilience.conf`).
"""

from __future__ import annotations

from typing import Any

_KAFKA: dict[str, Any] = {
    "failure_threshold": 5,
    "recovery_timeout": 10,
    "recovery_cap": 120,
    "success_threshold": 2,
    "call_timeout": 20,
    # The broker answered, however it judged the record.
    "success": ["biometrics.errors.PermanentPublishError"],
    # Nothing was sent, so nothing was learnt about the broker.
    "ignore": ["biometrics.errors.NothingSentError"],
}
_VENDOR: dict[str, Any] = {
    "failure_threshold": 5,
    "recovery_timeout": 60,
    "recovery_cap": 600,
    "success_threshold": 2,
    "success": ["biometrics.errors.VendorRefusedError"],
    # One person's limit says nothing about the vendor's health.
    "ignore": ["biometrics.errors.VendorLimitedError"],
}
# Where staff have alerts sent to: one circuit for each, and one for the mail server.
_ALERT_WEBHOOK: dict[str, Any] = {
    "failure_threshold": 3,
    "recovery_timeout": 60,
    "recovery_cap": 3600,
    "success_threshold": 1,
    "call_timeout": 10,
    # The receiver answered.
    "success": ["biometrics.notifying.posting.GoneError"],
    # Nothing was sent.
    "ignore": ["biometrics.public_addresses.ForbiddenAddressError"],
}
_MAIL: dict[str, Any] = {
    "failure_threshold": 3,
    "recovery_timeout": 60,
    "recovery_cap": 3600,
    "success_threshold": 1,
    "call_timeout": 10,
}
_DATABASE: dict[str, Any] = {
    "failure_threshold": 3,
    "recovery_timeout": 1,
    "recovery_cap": 5,
    "success_threshold": 1,
    # The database answered: this row is at fault.
    "success": ["biometrics.intake.rows.RowRefusedError"],
    # Its history lies in the same database: the sweep writes it once that answers.
    "record_at_once": False,
}


def circuits(
    *, vendor_timeout_s: float, commit_timeout_s: float
) -> dict[str, dict[str, Any]]:
    """Return what `settings.RESILIENCE` holds."""
    return {
        "kafka": _KAFKA,
        "vendor:*": {**_VENDOR, "call_timeout": vendor_timeout_s},
        "alert-webhook:*": _ALERT_WEBHOOK,
        "mail": _MAIL,
        "database": {**_DATABASE, "call_timeout": commit_timeout_s},
    }
