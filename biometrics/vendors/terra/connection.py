"""What Terra says about the connection itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from biometrics.vendors.fields import text
from biometrics.vendors.records import ConnectionChange

_LONGEST_REASON = 200

Change = Literal["connected", "restored", "revoked", "needs_reconnect"]


def account_of(body: object) -> str | None:
    """Return the Terra user that a delivery is about.

    Terra gives a person who authenticates again a new id: the old one is the account
    that we know, the new one is only there when Terra no longer knows the old.
    """
    if text(body, "type") == "user_reauth":
        return text(body, "old_user.user_id") or text(body, "new_user.user_id")
    return text(body, "user.user_id")


def reference_of(body: object) -> str | None:
    """Return the id that we gave at connect; older payloads have it at the top."""
    return (
        text(body, "user.reference_id")
        or text(body, "new_user.reference_id")
        or text(body, "reference_id")
    )


def _auth(body: object) -> ConnectionChange:
    # On an error Terra has already deleted the user.
    if text(body, "status") == "success":
        return _change("connected", "auth", body)
    return _change("revoked", _with_detail("auth failed", body, "reason"), body)


def _ended(body: object) -> ConnectionChange:
    return _change("revoked", text(body, "type") or "deauth", body)


def _degraded(body: object) -> ConnectionChange:
    return _change("needs_reconnect", "the provider refused Terra's access", body)


def _user_reauth(body: object) -> ConnectionChange:
    old, new = text(body, "old_user.user_id"), text(body, "new_user.user_id")
    if old is None or new is None or old == new:
        return _change("connected", "user_reauth", body)
    return ConnectionChange(
        change="relinked",
        reason="user_reauth",
        new_account_id=new,
        reference=reference_of(body),
    )


def _permissions(body: object) -> ConnectionChange:
    if text(body, "scopes_removed"):
        reason = _with_detail("permission removed", body, "scopes_removed")
        return _change("needs_reconnect", reason, body)
    # Some permission more is no consent: it begins nothing that the person has ended.
    return _change("restored", _with_detail("permission", body, "scopes_added"), body)


CHANGES: dict[str, Callable[[object], ConnectionChange]] = {
    "auth": _auth,
    "deauth": _ended,
    "access_revoked": _ended,
    "user_reauth": _user_reauth,
    "connection_error": _degraded,
    "permission_change": _permissions,
}


def _change(change: Change, reason: str, body: object) -> ConnectionChange:
    return ConnectionChange(change=change, reason=reason, reference=reference_of(body))


def _with_detail(reason: str, body: object, path: str) -> str:
    detail = text(body, path)
    return f"{reason}: {detail}"[:_LONGEST_REASON] if detail else reason
