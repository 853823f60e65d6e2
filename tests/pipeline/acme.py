"""Two vendors that say exactly what a test wants: one pushes, one only notifies.

A body is a JSON object with `records` and `changes`; the notifying vendor's body holds
`fetch`, a path of its API, whose answer is such an object.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

import orjson

from biometrics.catalogue import Metric
from biometrics.errors import NotYetError, UnreadableDeliveryError
from biometrics.vendors.api_spec import ApiSpec
from biometrics.vendors.base import VendorAdapter
from biometrics.vendors.records import (
    ConnectionChange,
    NightSignals,
    Problem,
    ReadingValue,
    Record,
    Series,
    Understanding,
)
from biometrics.vendors.wire import ApiResponse, StoredDelivery, VendorApi


class Acme(VendorAdapter):
    """Pushes data, like Terra."""

    slug = "acme"
    title = "Acme"
    topic = "acme-events"
    event_types = frozenset({"said"})
    auto_provision = True

    def understand(self, delivery: StoredDelivery) -> Understanding:
        """See VendorAdapter."""
        return understanding(orjson.loads(delivery.body))


class AcmeNotify(VendorAdapter):
    """Only notifies, like Oura and WHOOP."""

    slug = "acme-notify"
    title = "Acme Notify"
    event_types = frozenset({"said"})
    notifies_only = True
    api = ApiSpec(
        base="http://127.0.0.1:1",
        prefix="/v1",
        token_path="/oauth/token",
        refresh_fields={"scope": "offline"},
    )

    async def fetch(
        self, delivery: StoredDelivery, api: VendorApi
    ) -> Sequence[ApiResponse]:
        """See VendorAdapter."""
        path = orjson.loads(delivery.body).get("fetch")
        if path is None:
            return ()
        response = await api.get(path)
        if response.status == 200 and response.body == b"not yet":
            raise NotYetError("The document is being computed.")
        return (response,)

    def understand(self, delivery: StoredDelivery) -> Understanding:
        """See VendorAdapter."""
        body = orjson.loads(delivery.body)
        if not delivery.documents:
            return understanding(body)
        answer = delivery.documents[0]
        if answer.status == 404:
            return understanding({"records": [{**body, "action": "deleted"}]})
        return understanding(orjson.loads(answer.body))


def understanding(body: Mapping[str, Any]) -> Understanding:
    """Return what a body says; some of it goes wrong on demand."""
    if body.get("unreadable"):
        raise UnreadableDeliveryError("is no number", field=body["unreadable"])
    if body.get("crash"):
        raise KeyError("a secret value")
    return Understanding(
        records=tuple(_record(said) for said in body.get("records", ())),
        connection_changes=tuple(
            ConnectionChange(**change) for change in body.get("changes", ())
        ),
        ignored=body.get("ignored"),
        problems=tuple(Problem(**said) for said in body.get("problems", ())),
    )


def _record(said: Mapping[str, Any]) -> Record:
    night = said.get("night")
    return Record(
        record_type=said.get("type", "sleep"),
        record_id=said["id"],
        action=said.get("action", "updated"),
        stamp=datetime.fromisoformat(said["stamp"]),
        start=_moment(said.get("start")),
        end=_moment(said.get("end")),
        zone_offset=said.get("zone"),
        local_date=date.fromisoformat(said["date"]) if "date" in said else None,
        readings=tuple(
            ReadingValue(metric=Metric(metric), value=value)
            for metric, value in said.get("readings", {}).items()
        ),
        series=tuple(
            Series(
                metric=Metric(one["metric"]),
                start=datetime.fromisoformat(one["start"]),
                values=tuple(one["values"]),
                interval_s=one["interval_s"],
            )
            for one in said.get("series", ())
        ),
        attributes=said.get("attributes", {}),
        night=None if night is None else _night(night),
        problems=tuple(Problem(**one) for one in said.get("problems", ())),
    )


def _night(said: Mapping[str, Any]) -> NightSignals:
    return NightSignals(
        series_id=said.get("series", "RMSSD:acme:ring"),
        kind=said.get("kind", "RMSSD"),
        night=date.fromisoformat(said["night"]),
        value_ms=said.get("ms"),
        rhr_bpm=said.get("rhr"),
    )


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
