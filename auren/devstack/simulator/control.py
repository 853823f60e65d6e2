"""The simulator's side of the fake vendors' control API."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import aiohttp

from auren.devstack.simulator.oura import documents as oura
from auren.devstack.simulator.people import Person
from auren.devstack.simulator.terra import payloads as terra
from auren.devstack.simulator.whoop import documents as whoop
from auren.devstack.simulator.wire import Delivery, Document, DocumentRef

# Documents of one request: far below the server's limit on bodies.
_CHUNK = 200
_PATIENCE = aiohttp.ClientTimeout(total=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """A fresh grant at a fake vendor."""

    access_token: str
    refresh_token: str
    expires_in: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VendorControl:
    """Tells the fake vendors who exists and what has been recorded."""

    session: aiohttp.ClientSession
    url: str

    async def add_account(self, person: Person) -> None:
        """Create the person's account, or change its profile."""
        await self._post("/control/accounts", _account(person))

    async def grant(self, person: Person) -> Tokens:
        """Return a new grant, as if the person had just consented."""
        wanted = {"vendor": person.vendor, "account": person.account}
        answer = await self._post("/control/grants", wanted)
        return Tokens(
            access_token=answer["access_token"],
            refresh_token=answer["refresh_token"],
            expires_in=answer["expires_in"],
        )

    async def publish(self, deliveries: Iterable[Delivery]) -> None:
        """Make fetchable what the deliveries announce."""
        put: list[Document] = []
        gone: list[DocumentRef] = []
        for delivery in deliveries:
            put += delivery.documents
            gone += delivery.removed
        for begin in range(0, len(put), _CHUNK):
            await self._documents(put=put[begin : begin + _CHUNK])
        if gone:
            await self._documents(gone=gone)

    async def announce(self, delivery: Delivery) -> list[str]:
        """Make fetchable what one delivery announces, just before it is sent.

        Returns the faults that its sender has to show: any of duplicate, reordered,
        delayed and missing.
        """
        answer = await self._documents(
            put=delivery.documents, gone=delivery.removed, announces=delivery.sender
        )
        return [str(kind) for kind in answer["webhook_faults"]]

    async def _documents(
        self,
        *,
        put: Sequence[Document] = (),
        gone: Sequence[DocumentRef] = (),
        announces: str | None = None,
    ) -> dict[str, Any]:
        payload = {
            "put": [asdict(document) for document in put],
            "delete": [asdict(ref) for ref in gone],
            "announces": announces,
        }
        return await self._post("/control/documents", payload)

    async def _post(self, path: str, payload: object) -> dict[str, Any]:
        url = self.url.rstrip("/") + path
        async with self.session.post(url, json=payload, timeout=_PATIENCE) as answer:
            answer.raise_for_status()
            parsed: dict[str, Any] = await answer.json()
            return parsed


def _account(person: Person) -> dict[str, Any]:
    profile: dict[str, Any] = {}
    if person.vendor == "oura":
        profile = {"personal_info": oura.profile(person)}
    if person.vendor == "whoop":
        profile = {
            "profile": whoop.profile(person),
            "body_measurement": whoop.body_measurement(person),
        }
    if person.vendor == "terra":
        profile = {"user": terra.user(person)}
    return {
        "vendor": person.vendor,
        "account": person.account,
        "label": person.label,
        "profile": profile,
    }
