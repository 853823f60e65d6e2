"""Which person a vendor account belongs to: looking up, connecting, linking, revoking.

Whoever changes connections and people's queues together locks the connections first, in
the order of their ids, then the subjects in the order of theirs.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable
from datetime import datetime
from typing import TypeAlias
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef
from django.db.models.functions import Now

from biometrics.connections import tokens
from biometrics.errors import BiometricsError
from biometrics.models import (
    ErasedAccount,
    Subject,
    VendorConnection,
    WebhookDelivery,
)
from biometrics.models.intake import DeliveryStatus
from biometrics.models.keyed import row_in
from biometrics.models.people import ConnectionStatus
from biometrics.vendors.registry import all_adapters, get_adapter

Account: TypeAlias = tuple[str, str]

_TOKEN_BYTES = 32


class LinkError(BiometricsError):
    """A connection cannot be made or changed as asked; the message says why."""


def lookup(accounts: Iterable[Account]) -> dict[Account, VendorConnection]:
    """Return the connections of these (vendor, account) pairs, where there are any."""
    return _found(accounts, locked=False)


def lock(accounts: Iterable[Account]) -> dict[Account, VendorConnection]:
    """Return the connections as `lookup`, locked until the transaction ends."""
    return _found(accounts, locked=True)


def erased_among(accounts: Iterable[Account]) -> set[Account]:
    """Return the accounts whose person was erased: nothing may create them again."""
    digests = {account_digest(account): account for account in accounts}
    if not digests:
        return set()
    found = ErasedAccount.objects.filter(digest__in=digests)
    return {digests[digest] for digest in found.values_list("digest", flat=True)}


def account_digest(account: Account) -> str:
    """Return what stays of an erased account: it names nobody without the key."""
    message = "\0".join(account).encode()
    return hmac.new(settings.SECRET_KEY.encode(), message, hashlib.sha256).hexdigest()


def find_subject(name: str, *, create: bool = False) -> Subject:
    """Return the subject with this id or label; with `create`, a new one if none.

    Raises LinkError when there is none, or several have the label.
    """
    known = _by_id(name)
    if known is not None:
        return known
    found = list(Subject.objects.filter(label=name)[:2])
    if len(found) > 1:
        message = f"Several people are labelled {name!r}; give the id instead."
        raise LinkError(message)
    if found:
        return found[0]
    if not create:
        message = f"Nobody is labelled {name!r} or has this id."
        raise LinkError(message)
    return Subject.objects.create(label=name[:120])


def add_connection(
    *,
    vendor: str,
    account_id: str,
    label: str,
    access_token: str = "",
    refresh_token: str = "",
    expires_at: datetime | None = None,
) -> VendorConnection:
    """Connect a vendor account to the person with this label, who is made if need be.

    An account that is connected already keeps its person and gets the tokens. What
    waited for the account is released, and a grant makes the history due. Raises
    UnknownVendorError, ConfigurationError.
    """
    adapter = get_adapter(vendor)
    changes: dict[str, object] = {
        "status": ConnectionStatus.ACTIVE,
        "status_reason": "",
        "status_at": Now(),
    }
    if access_token:
        changes["access_token"] = tokens.encrypt(access_token)
        changes["token_expires_at"] = expires_at
        if adapter.listed_types:
            changes |= {"backfill_due_at": Now(), "backfill_left": []}
    if refresh_token:
        changes["refresh_token"] = tokens.encrypt(refresh_token)
        # What became of an older one says nothing of this.
        changes |= {"refresh_claim": None, "refresh_claimed_until": None}
    with transaction.atomic():
        connection = VendorConnection.objects.filter(
            vendor=vendor, account_id=account_id
        ).first()
        if connection is None:
            connection = VendorConnection.objects.create(
                vendor=vendor,
                account_id=account_id,
                subject=find_subject(label, create=True),
            )
        VendorConnection.objects.filter(id=connection.id).update(**changes)
        connection.refresh_from_db()
    release_linked(accounts=[(vendor, account_id)])
    return connection


def issue_personal_token(*, subject: Subject, vendor: str) -> str:
    """Return a new token that speaks for this person; an older one ends.

    So do the sessions of phones: a new token is asked for when one was lost. Only its
    digest is kept, so this is the one time that it can be read.
    """
    if not get_adapter(vendor).personal_tokens:
        message = f"{vendor} proves its senders by a signing secret, not by tokens."
        raise LinkError(message)
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    connection, _ = VendorConnection.objects.update_or_create(
        vendor=vendor,
        account_id=str(subject.id),
        defaults={
            "subject": subject,
            "status": ConnectionStatus.ACTIVE,
            "status_reason": "",
            "status_at": Now(),
            "personal_token_sha256": hashlib.sha256(token.encode()).hexdigest(),
        },
    )
    connection.sessions.all().delete()
    release_linked(accounts=[(vendor, str(subject.id))])
    return token


def issue_healthkit_token(subject: Subject) -> str:
    """Return a new token for the vendor whose senders present one for each person."""
    return issue_personal_token(subject=subject, vendor=token_vendor())


def token_vendor() -> str:
    """Return the vendor whose senders present a token for each person."""
    return next(a.slug for a in all_adapters() if a.personal_tokens)


def revoke(*, connection_id: int, reason: str) -> VendorConnection:
    """End a connection: its tokens are forgotten, nothing is fetched for it any more."""
    with transaction.atomic():
        row = VendorConnection.objects.select_for_update(no_key=True)
        connection = row.get(id=connection_id)
        connection.status = ConnectionStatus.REVOKED
        connection.status_reason = reason[:300]
        connection.status_at = Now()
        connection.access_token = connection.refresh_token = None
        connection.token_expires_at = connection.personal_token_sha256 = None
        connection.save()
        connection.sessions.all().delete()
    return connection


def release_linked(*, accounts: Iterable[Account] | None = None) -> set[int]:
    """Make due what waited for an account that is active now; return the shards.

    Call it after the commit that connected, and after the commit that let a delivery
    wait: whichever comes second releases. Without accounts everything is looked at.
    """
    active = VendorConnection.objects.filter(
        vendor=OuterRef("vendor"),
        account_id=OuterRef("account_id"),
        status=ConnectionStatus.ACTIVE,
    )
    waiting = WebhookDelivery.objects.filter(status=DeliveryStatus.UNLINKED)
    if accounts is not None:
        keys = set(accounts)
        if not keys:
            return set()
        waiting = waiting.filter(row_in(columns=("vendor", "account_id"), keys=keys))
    found = dict(waiting.filter(Exists(active)).values_list("id", "shard"))
    if found:
        WebhookDelivery.objects.filter(
            id__in=found, status=DeliveryStatus.UNLINKED
        ).update(status=DeliveryStatus.PENDING, next_attempt_at=None)
    return set(found.values())


def _found(
    accounts: Iterable[Account], *, locked: bool
) -> dict[Account, VendorConnection]:
    keys = set(accounts)
    if not keys:
        return {}
    rows = VendorConnection.objects.filter(
        row_in(columns=("vendor", "account_id"), keys=keys)
    ).order_by("id")
    if locked:
        rows = rows.select_for_update(no_key=True)
    return {(row.vendor, row.account_id): row for row in rows}


def _by_id(name: str) -> Subject | None:
    try:
        return Subject.objects.filter(id=UUID(name)).first()
    except ValueError:
        return None
