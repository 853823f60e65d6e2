"""Which deliveries are meant, and how to say so again."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Count, Q, QuerySet

from biometrics.models import VendorConnection, WebhookDelivery
from biometrics.models.intake import DeliveryStatus
from biometrics.models.keyed import row_in

# What waits or is due comes by itself; what was erased must not.
REPLAYABLE = (
    DeliveryStatus.PROCESSED,
    DeliveryStatus.PARKED,
    DeliveryStatus.IGNORED,
)
_PLAIN = ("vendor", "account_id", "status", "error_code")


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which deliveries: everything that is given must hold. Times are of receipt.

    `subject` means the deliveries of the accounts that are linked to this person now.
    """

    vendor: str = ""
    account_id: str = ""
    subject: UUID | None = None
    status: str = ""
    error_code: str = ""
    since: datetime | None = None
    until: datetime | None = None
    ids: Sequence[UUID] = ()

    def rows(self) -> QuerySet[WebhookDelivery]:
        """Return the deliveries meant that can be replayed."""
        wanted = Q(status__in=REPLAYABLE, body__isnull=False)
        for name in _PLAIN:
            if getattr(self, name):
                wanted &= Q(**{name: getattr(self, name)})
        if self.since is not None:
            wanted &= Q(received_at__gte=self.since)
        if self.until is not None:
            wanted &= Q(received_at__lt=self.until)
        if self.ids:
            wanted &= Q(public_id__in=list(self.ids))
        rows = WebhookDelivery.objects.filter(wanted)
        return rows if self.subject is None else rows.filter(_accounts(self.subject))

    def as_json(self) -> dict[str, Any]:
        """Return what was given, to be kept."""
        said: dict[str, Any] = {name: getattr(self, name) for name in _PLAIN}
        said["subject"] = None if self.subject is None else str(self.subject)
        for name in ("since", "until"):
            moment = getattr(self, name)
            said[name] = None if moment is None else moment.isoformat()
        said["ids"] = [str(one) for one in self.ids]
        return {name: value for name, value in said.items() if value}

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> Selection:
        """Return the selection that was kept."""
        moments: dict[str, Any] = {
            name: datetime.fromisoformat(said[name])
            for name in ("since", "until")
            if name in said
        }
        return cls(
            **{name: said[name] for name in _PLAIN if name in said},
            **moments,
            subject=UUID(said["subject"]) if "subject" in said else None,
            ids=tuple(UUID(one) for one in said.get("ids", ())),
        )

    def as_command(self) -> str:
        """Return the command that means the same deliveries."""
        words = ["manage.py", "replay"]
        for name, value in self.as_json().items():
            option = {"account_id": "account", "ids": "id"}.get(name, name)
            for one in value if isinstance(value, list) else [value]:
                words += [f"--{option.replace('_', '-')}", str(one)]
        return shlex.join(words if len(words) > 2 else [*words, "--all"])


def _accounts(subject: UUID) -> Q:
    accounts = VendorConnection.objects.filter(subject_id=subject)
    keys = list(accounts.values_list("vendor", "account_id"))
    if not keys:
        return Q(pk__in=())
    return Q(row_in(columns=("vendor", "account_id"), keys=keys))


def count(
    selection: Selection, *, through_id: int | None = None
) -> dict[tuple[str, str], int]:
    """Return how many deliveries are meant, by vendor and status."""
    rows = selection.rows()
    if through_id is not None:
        rows = rows.filter(id__lte=through_id)
    found = rows.values_list("vendor", "status").annotate(n=Count("id"))
    return {(vendor, status): n for vendor, status, n in found.order_by()}


def portion(
    selection: Selection, *, after: int, through: int, limit: int
) -> QuerySet[WebhookDelivery]:
    """Return the next deliveries meant, in the order of their ids."""
    rows = selection.rows().filter(id__gt=after, id__lte=through)
    return rows.order_by("id")[:limit]
