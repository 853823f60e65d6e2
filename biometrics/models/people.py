"""Who the data is about, and through which vendor account it comes."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID, uuid4

from django.db import models

from biometrics.models.checks import one_of


class ConnectionStatus(models.TextChoices):
    """Only an active connection is fetched for; all still receive pushes."""

    ACTIVE = "active"
    NEEDS_RECONNECT = "needs_reconnect"
    REVOKED = "revoked"


class Subject(models.Model):
    """A person, known to everybody outside by this opaque id only.

    The row is also the person's lock: whoever appends to their queue holds it, so that
    message ids are handed out in the order of commits.
    """

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    label = models.CharField(max_length=120, help_text="For staff; never published.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        permissions = [("reveal_subject", "Can reveal health values")]

    def __str__(self) -> str:
        return self.label


def lock_subjects(ids: Iterable[UUID]) -> None:
    """Lock the people's rows, and so their queues, until the transaction ends.

    SQLite has one writer, whose transaction has the whole database.
    """
    wanted = sorted(set(ids))
    if wanted:
        rows = Subject.objects.filter(id__in=wanted).order_by("id")
        list(rows.select_for_update(no_key=True).values_list("id", flat=True))


class VendorConnection(models.Model):
    """A vendor account and the person whom it belongs to."""

    subject = models.ForeignKey(
        Subject, on_delete=models.CASCADE, related_name="connections"
    )
    vendor = models.CharField(max_length=32)
    account_id = models.CharField(max_length=200)
    reference = models.CharField(
        max_length=200, blank=True, help_text="Our own id as the vendor echoes it."
    )
    status = models.CharField(
        max_length=20,
        choices=ConnectionStatus.choices,
        default=ConnectionStatus.ACTIVE,
    )
    status_reason = models.CharField(max_length=300, blank=True)
    status_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text="Receipt of what decided the status; older news changes nothing.",
    )
    access_token = models.BinaryField(null=True, editable=False)
    refresh_token = models.BinaryField(null=True, editable=False)
    token_expires_at = models.DateTimeField(null=True, blank=True)
    scopes = models.CharField(max_length=500, blank=True)
    # Who may spend the single-use refresh token now, and until when.
    refresh_claim = models.UUIDField(null=True, editable=False)
    refresh_claimed_until = models.DateTimeField(null=True, editable=False)
    # NULL, not "": several connections without a token must not collide.
    personal_token_sha256 = models.CharField(  # noqa: DJ001
        max_length=64, null=True, unique=True, editable=False
    )
    backfill_due_at = models.DateTimeField(
        null=True,
        blank=True,
        editable=False,
        help_text="When the history is to be fetched; empty once it has been.",
    )
    backfill_left = models.JSONField(
        default=list,
        blank=True,
        editable=False,
        help_text="The data types that are still missing; empty: all are meant.",
    )
    reconcile_due_at = models.DateTimeField(
        null=True,
        blank=True,
        editable=False,
        help_text="When to compare with the vendor next; empty: by the schedule.",
    )
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        indexes = [
            models.Index(
                fields=["reconcile_due_at"],
                name="connection_reconcile",
                condition=models.Q(reconcile_due_at__isnull=False),
            ),
            models.Index(
                fields=["backfill_due_at"],
                name="connection_backfill",
                condition=models.Q(backfill_due_at__isnull=False),
            ),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["vendor", "account_id"], name="connection_once"
            ),
            one_of("status", ConnectionStatus, name="connection_status_known"),
        ]

    def __str__(self) -> str:
        return f"{self.vendor} of {self.subject}"


class ToldChange(models.Model):
    """A change of a connection that consumers are told of by the message `ce_id`.

    Noted for the ledger, which misses the message if it is lost. The person is no
    foreign key: code that does not know this table must be able to erase them.
    """

    ce_id = models.UUIDField(primary_key=True, editable=False)
    subject = models.UUIDField(db_index=True)
    vendor = models.CharField(max_length=32)
    change = models.CharField(max_length=12)
    at = models.DateTimeField(db_index=True)

    class Meta:
        # No page of the console shows it.
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.vendor} {self.change} of {self.subject}"


class ErasedAccount(models.Model):
    """A vendor account whose person was erased: nothing may create it again.

    Only a keyed digest of vendor and account remains, which names nobody.
    """

    digest = models.CharField(max_length=64, unique=True)
    erased_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.digest[:8]
