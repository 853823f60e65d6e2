"""People who come by themselves: accounts of pushing vendors that nobody connected."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID, uuid4

from django.db.models.functions import Now

from biometrics.connections.registry import Account
from biometrics.models import Subject, VendorConnection
from biometrics.models.keyed import row_in
from biometrics.vendors.registry import get_adapter


@dataclass(frozen=True, slots=True, kw_only=True)
class Stranger:
    """An account that sends data and is not connected; `reference` as the vendor echoes."""

    vendor: str
    account_id: str
    reference: str

    @property
    def account(self) -> Account:
        return (self.vendor, self.account_id)


def provision(strangers: Sequence[Stranger]) -> dict[Account, VendorConnection]:
    """Connect accounts to the people whom they belong to, new ones where need be.

    A reference that is a known person's id means that person; else accounts with the
    same reference at the same vendor are one person; else each account is its own.
    Call it in the transaction that stores what the accounts sent.
    """
    unique = {stranger.account: stranger for stranger in strangers}
    if not unique:
        return {}
    known = _known_subjects(unique.values())
    shared = _shared_references(unique.values())
    created: list[Subject] = []
    connections = [
        VendorConnection(
            subject_id=_person(stranger, known=known, shared=shared, created=created),
            vendor=stranger.vendor,
            account_id=stranger.account_id,
            reference=stranger.reference,
        )
        for stranger in unique.values()
    ]
    for connection in connections:
        make_history_due(connection)
    Subject.objects.bulk_create(created)
    VendorConnection.objects.bulk_create(connections)
    return {(row.vendor, row.account_id): row for row in connections}


def make_history_due(connection: VendorConnection) -> None:
    """Have the history of an account that the application may call for fetched soon.

    Where grants open an API, the history is due once there is a grant.
    """
    adapter = get_adapter(connection.vendor)
    if adapter.listed_types and adapter.api is not None and adapter.api.keys:
        connection.backfill_due_at, connection.backfill_left = Now(), []


def _person(
    stranger: Stranger,
    *,
    known: Mapping[str, UUID],
    shared: dict[Account, UUID],
    created: list[Subject],
) -> UUID:
    by_id = known.get(stranger.reference) or known.get(stranger.account_id)
    if by_id is not None:
        return by_id
    reference = (stranger.vendor, stranger.reference)
    if stranger.reference and reference in shared:
        return shared[reference]
    subject = Subject(id=uuid4())
    subject.label = f"{get_adapter(stranger.vendor).title} {subject.id.hex[:8]}"
    created.append(subject)
    if stranger.reference:
        shared[reference] = subject.id
    return subject.id


def _known_subjects(strangers: Iterable[Stranger]) -> dict[str, UUID]:
    """Return the people whose id came as a reference, by the text of it.

    The account itself names a person only where we gave the vendor that account.
    """
    texts = set()
    for stranger in strangers:
        texts.add(stranger.reference)
        if get_adapter(stranger.vendor).personal_tokens:
            texts.add(stranger.account_id)
    ids = {text: known for text in texts if (known := _uuid(text)) is not None}
    found = set(
        Subject.objects.filter(id__in=ids.values()).values_list("id", flat=True)
    )
    return {text: known for text, known in ids.items() if known in found}


def _shared_references(strangers: Iterable[Stranger]) -> dict[Account, UUID]:
    keys = {(s.vendor, s.reference) for s in strangers if s.reference}
    if not keys:
        return {}
    rows = VendorConnection.objects.filter(
        row_in(columns=("vendor", "reference"), keys=keys)
    ).order_by("-id")
    # The oldest connection wins: it comes last.
    return {(row.vendor, row.reference): row.subject_id for row in rows}


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
