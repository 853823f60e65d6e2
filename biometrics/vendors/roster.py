"""Which accounts an application has at a vendor."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from biometrics.vendors.wire import VendorApi


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """An account that the vendor has for this application; `reference` is our own id."""

    account_id: str
    reference: str
    is_active: bool


class Roster(Protocol):
    """How the accounts that an application has at a vendor are learnt."""

    def members(self, api: VendorApi) -> AsyncIterator[Member]:
        """Yield all of them.

        Raises VendorUnavailableError, VendorRefusedError, ConfigurationError.
        """
        ...
