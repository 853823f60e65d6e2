"""Whose a batch of deliveries is: known accounts, new ones, erased ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from biometrics.connections.provisioning import Stranger, provision
from biometrics.connections.registry import (
    Account,
    erased_among,
    lock,
)
from biometrics.models import VendorConnection
from biometrics.models.people import lock_subjects


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """A delivery's account. `may_join` says that an unknown one may become a person."""

    vendor: str
    account_id: str
    reference: str
    may_join: bool

    @property
    def account(self) -> Account:
        return (self.vendor, self.account_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Directory:
    """The connections of a batch, with them and their people locked."""

    connections: dict[Account, VendorConnection] = field(default_factory=dict)
    created: frozenset[Account] = frozenset()
    erased: frozenset[Account] = frozenset()


def admit(parties: Sequence[Party]) -> Directory:
    """Find or make the connections of a batch and lock them until its commit.

    Erased accounts are never made again; accounts that may not join stay unknown.
    """
    named = [party for party in parties if party.account_id]
    connections = lock(party.account for party in named)
    unknown = [party for party in named if party.account not in connections]
    erased = erased_among({party.account for party in unknown})
    created = provision(
        [
            Stranger(
                vendor=party.vendor,
                account_id=party.account_id,
                reference=party.reference,
            )
            for party in unknown
            if party.may_join and party.account not in erased
        ]
    )
    everybody = {**connections, **created}
    lock_subjects(connection.subject_id for connection in everybody.values())
    return Directory(
        connections=everybody,
        created=frozenset(created),
        erased=frozenset(erased),
    )
