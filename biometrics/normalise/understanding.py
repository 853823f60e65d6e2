"""From a stored delivery to the statements that it makes."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from celery.exceptions import SoftTimeLimitExceeded

from biometrics.deliveries import PROCESSED, Disposition
from biometrics.errors import UnreadableDeliveryError
from biometrics.models.intake import DeliveryStatus
from biometrics.normalise import listed
from biometrics.normalise.content import Statement, state
from biometrics.vendors.base import VendorAdapter
from biometrics.vendors.records import ConnectionChange, Problem, Understanding
from biometrics.vendors.wire import StoredDelivery

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Understood:
    """What a delivery says, and what becomes of it if all of that can be stored."""

    disposition: Disposition
    statements: Sequence[Statement] = ()
    changes: Sequence[ConnectionChange] = ()
    is_unfinished: bool = False


def understand(stored: StoredDelivery, *, adapter: VendorAdapter) -> Understood:
    """Have the adapter read the delivery; a fault becomes a parked disposition."""
    try:
        said = _read(stored, adapter=adapter)
        fetched = [document.fetched_at for document in stored.documents]
        known_at = max([stored.received_at, *fetched])
        statements = [state(record, known_at=known_at) for record in said.records]
    except UnreadableDeliveryError as error:
        # As intake calls it: another mapping would not help.
        is_malformed = error.field == "body" and not stored.documents
        return _parked(
            "malformed" if is_malformed else "unreadable",
            f"{error}. Mend the sender or the {stored.vendor} mapping, then replay it.",
        )
    # The task's time is up, which is nobody's fault.
    except SoftTimeLimitExceeded:
        raise
    # An adapter's bug parks the delivery that shows it, not everybody else's. The text
    # of such an error may hold a value, so only its type is told.
    except Exception as error:  # noqa: BLE001
        kind = type(error).__name__
        logger.error(  # noqa: TRY400
            "delivery.adapter_failed", extra={"vendor": stored.vendor, "error": kind}
        )
        return _parked(
            "adapter_failed",
            f"The {stored.vendor} adapter failed on {stored.event_type!r} ({kind})."
            " Replay it after the adapter has been mended.",
        )
    return Understood(
        disposition=_disposition(said),
        statements=statements,
        changes=said.connection_changes,
        is_unfinished=said.is_unfinished,
    )


def _read(stored: StoredDelivery, *, adapter: VendorAdapter) -> Understanding:
    if not stored.is_listed:
        return adapter.understand(stored)
    if stored.event_type == listed.CHANGE:
        return Understanding(connection_changes=(listed.unpack_change(stored),))
    if adapter.listing is None:
        message = f"{adapter.title} cannot be listed any more"
        raise UnreadableDeliveryError(message, field="event_type")
    return adapter.listing.understand(listed.unpack(stored))


def _disposition(said: Understanding) -> Disposition:
    if said.ignored:
        return Disposition(
            status=DeliveryStatus.IGNORED, code="ignored", error=said.ignored
        )
    if not said.problems:
        return PROCESSED
    told = "; ".join(_told(problem) for problem in said.problems[:5])
    if said.records or said.connection_changes:
        message = f"Left out: {told}."
        return Disposition(
            status=DeliveryStatus.PROCESSED, code="partial", error=message
        )
    message = f"Nothing could be used: {told}. Mend the sender, then replay it."
    return Disposition(status=DeliveryStatus.PARKED, code="unusable", error=message)


def _told(problem: Problem) -> str:
    return f"{problem.field} {problem.reason}"


def _parked(code: str, error: str) -> Understood:
    return Understood(
        disposition=Disposition(status=DeliveryStatus.PARKED, code=code, error=error)
    )
