"""Registering simulated people with the bridge of this very installation."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import connections

from auren.devstack.simulator.control import Tokens
from auren.devstack.simulator.people import Person
from auren.devstack.simulator.sender import Phone
from biometrics.connections import registry


@dataclass(frozen=True, slots=True)
class LocalRegister:
    """Writes to the database of these settings; each call closes what it opened."""

    def connect(
        self, person: Person, tokens: Tokens | None, *, expires_at: datetime | None
    ) -> None:
        """Connect an account, or give a known one its new grant."""
        try:
            registry.add_connection(
                vendor=person.vendor,
                account_id=person.account,
                label=person.label,
                access_token=tokens.access_token if tokens else "",
                refresh_token=tokens.refresh_token if tokens else "",
                expires_at=expires_at,
            )
        finally:
            connections.close_all()

    def phone(self, person: Person) -> Phone:
        """Issue a token for the person's phone; one issued before ends."""
        try:
            subject = registry.find_subject(person.label, create=True)
            token = registry.issue_healthkit_token(subject)
        finally:
            connections.close_all()
        return Phone(token=token, user_id=str(subject.id))
