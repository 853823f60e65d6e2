"""Oura's lists: `/v2/usercollection/{collection}`, by local day or by time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import date, datetime, timedelta

from biometrics.vendors.fields import dig
from biometrics.vendors.listing import Listed, PageFormat, Window, only_one, pages
from biometrics.vendors.oura.documents import build_record
from biometrics.vendors.oura.heart_rate import build_heart_rate_records
from biometrics.vendors.oura.mapping import HEART_RATE_COLLECTION, KINDS
from biometrics.vendors.records import Action, Record, Understanding
from biometrics.vendors.times import parse_moment
from biometrics.vendors.wire import VendorApi

_RECORD_TYPES: Mapping[str, str] = {
    **{data_type: kind.record_type for data_type, kind in KINDS.items()},
    HEART_RATE_COLLECTION: "heart_rate",
}
_PATH = "/v2/usercollection"
_FORM = PageFormat(rows="data", token="next_token", token_parameter="next_token")  # noqa: S106
_A_DAY = timedelta(days=1)


class OuraListing:
    """See Listing."""

    record_types: Mapping[str, str] = _RECORD_TYPES

    def documents(
        self, data_type: str, *, window: Window, api: VendorApi
    ) -> AsyncIterator[Listed]:
        """See Listing."""
        if data_type == HEART_RATE_COLLECTION:
            return _heart_rate(window, api)
        if KINDS[data_type].only_id is not None:
            return only_one(
                api, f"{_PATH}/{KINDS[data_type].collection}", data_type=data_type
            )
        return _by_day(data_type, window, api)

    def understand(self, listed: Listed) -> Understanding:
        """See Listing: revisions are ordered by the start of the fetch."""
        return Understanding(
            records=records_from_documents(
                data_type=listed.data_type,
                documents=listed.documents,
                stamp=listed.fetched_at,
                action="updated",
            )
        )


def records_from_documents(
    *,
    data_type: str,
    documents: Sequence[object],
    stamp: datetime,
    action: Action,
) -> tuple[Record, ...]:
    """Return what the rows of a collection say, all of its pages in one call.

    `heartrate` rows become one record for each local day, so whole days belong
    into one call. Raises UnreadableDeliveryError for a document without an id.
    """
    if data_type == HEART_RATE_COLLECTION:
        return build_heart_rate_records(rows=documents, stamp=stamp, action=action)
    return tuple(
        build_record(
            data_type=data_type,
            document=document,
            stamp=stamp,
            action=action,
            where=f"documents[{index}]",
        )
        for index, document in enumerate(documents)
    )


async def _by_day(
    data_type: str, window: Window, api: VendorApi
) -> AsyncIterator[Listed]:
    # The days are the person's, who may be a day ahead of UTC or behind it.
    params = {
        "start_date": (window.since - _A_DAY).date().isoformat(),
        "end_date": (window.until + _A_DAY).date().isoformat(),
    }
    path = f"{_PATH}/{KINDS[data_type].collection}"
    async for page in pages(api, path, params=params, form=_FORM):
        for document in page.rows:
            yield Listed(
                data_type=data_type, documents=(document,), fetched_at=page.fetched_at
            )


async def _heart_rate(window: Window, api: VendorApi) -> AsyncIterator[Listed]:
    """Yield the rows of each local day that lies wholly in what was asked for.

    The rows of a day are one record: half of them would take the other half away. So a
    day more is asked for at each end, and the days at the ends are left out.
    """
    first, last = window.since.date(), window.until.date()
    day = first - _A_DAY
    kept: dict[date, list[object]] = {}
    fetched_at: datetime | None = None
    while day <= last + _A_DAY:
        # The API gives at most 30 days of rows for one question.
        end = min(day + timedelta(days=30), last + 2 * _A_DAY)
        params = {
            "start_datetime": f"{day.isoformat()}T00:00:00+00:00",
            "end_datetime": f"{end.isoformat()}T00:00:00+00:00",
        }
        path = f"{_PATH}/{HEART_RATE_COLLECTION}"
        async for page in pages(api, path, params=params, form=_FORM):
            fetched_at = fetched_at or page.fetched_at
            for row in page.rows:
                moment = parse_moment(dig(row, "timestamp"))
                if moment is not None and first <= moment.local_date <= last:
                    kept.setdefault(moment.local_date, []).append(row)
        day = end
    for rows in (kept[key] for key in sorted(kept)):
        assert fetched_at is not None  # it brought the rows
        yield Listed(
            data_type=HEART_RATE_COLLECTION, documents=rows, fetched_at=fetched_at
        )
