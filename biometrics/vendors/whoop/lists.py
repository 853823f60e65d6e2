"""WHOOP's lists: `/v2/recovery`, `/v2/activity/sleep` and so on, newest first."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

from biometrics.vendors.fields import text
from biometrics.vendors.listing import (
    Listed,
    PageFormat,
    Window,
    document_of,
    only_one,
    pages,
)
from biometrics.vendors.records import Action, Record, Understanding
from biometrics.vendors.whoop.documents import build_record
from biometrics.vendors.whoop.mapping import KINDS
from biometrics.vendors.whoop.notice import is_safe_id
from biometrics.vendors.wire import VendorApi

# Of the profile nothing is for anybody else.
_RECORD_TYPES: Mapping[str, str] = {
    data_type: kind.record_type
    for data_type, kind in KINDS.items()
    if data_type != "profile"
}
_FORM = PageFormat(rows="records", token="next_token", token_parameter="nextToken")  # noqa: S106
# The most that WHOOP gives; a call less is a call more for everybody else.
_PAGE = "25"


class WhoopListing:
    """See Listing."""

    record_types: Mapping[str, str] = _RECORD_TYPES

    def documents(
        self, data_type: str, *, window: Window, api: VendorApi
    ) -> AsyncIterator[Listed]:
        """See Listing."""
        if data_type == "recovery":
            return _recoveries(window, api)
        if KINDS[data_type].only_id is not None:
            return only_one(api, KINDS[data_type].path, data_type=data_type)
        return _plain(data_type, window, api)

    def understand(self, listed: Listed) -> Understanding:
        """See Listing: revisions are ordered by `updated_at`."""
        return Understanding(
            records=records_from_documents(
                data_type=listed.data_type,
                documents=listed.documents,
                stamp=listed.fetched_at,
                action="updated",
                related=listed.related,
            )
        )


def records_from_documents(
    *,
    data_type: str,
    documents: Sequence[object],
    stamp: datetime,
    action: Action,
    related: Sequence[object] = (),
) -> tuple[Record, ...]:
    """Return what the records of a list say; as `build_record`, of each of them."""
    return tuple(
        build_record(
            data_type=data_type,
            document=document,
            fetched_at=stamp,
            action=action,
            related=related,
            where=f"documents[{index}]",
        )
        for index, document in enumerate(documents)
    )


async def _plain(
    data_type: str, window: Window, api: VendorApi
) -> AsyncIterator[Listed]:
    params = _span(window)
    async for page in pages(api, KINDS[data_type].path, params=params, form=_FORM):
        for document in page.rows:
            yield Listed(
                data_type=data_type, documents=(document,), fetched_at=page.fetched_at
            )


async def _recoveries(window: Window, api: VendorApi) -> AsyncIterator[Listed]:
    """Yield each recovery with its sleep, from which it has its times."""
    wider = Window(since=window.since - timedelta(days=1), until=window.until)
    sleeps: dict[str, object] = {}
    async for listed in _plain("sleep", wider, api):
        sleep_id = text(listed.documents[0], "id", limit=100)
        if sleep_id is not None:
            sleeps[sleep_id] = listed.documents[0]
    async for listed in _plain("recovery", window, api):
        sleep_id = text(listed.documents[0], "sleep_id", limit=100)
        sleep = sleeps.get(sleep_id or "")
        if sleep is None and sleep_id is not None and is_safe_id(sleep_id):
            path = f"{KINDS['sleep'].path}/{quote(sleep_id, safe='')}"
            answer = await api.get(path)
            if answer.status == 404:
                continue  # With its sleep a recovery is deleted too.
            sleep = document_of(answer)
        yield Listed(
            data_type="recovery",
            documents=listed.documents,
            related=() if sleep is None else (sleep,),
            fetched_at=listed.fetched_at,
        )


def _span(window: Window) -> dict[str, str]:
    return {
        "limit": _PAGE,
        "start": _text(window.since),
        "end": _text(window.until),
    }


def _text(moment: datetime) -> str:
    written = moment.astimezone(UTC).isoformat(timespec="milliseconds")
    return written.replace("+00:00", "Z")
