"""Why work is parked, in words, and what to do next: one sentence each for every code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """`title` names it, `why` says what happened, `next_step` what a person does."""

    title: str
    why: str
    next_step: str


_QUEUES: Final[Mapping[str, Reason]] = {
    "too_large": Reason(
        title="Too large for Kafka",
        why="A record is larger than the topic, the broker or our own limit allows.",
        next_step="Lower KAFKA_MAX_EVENT_BYTES and fix (its series are cut into smaller "
        "parts), or raise the topic's max.message.bytes and retry.",
    ),
    "bad_topic": Reason(
        title="Topic that is not ours",
        why="The message names a topic that no adapter declares or no broker accepts.",
        next_step="Fix: it then goes to the topic that its adapter declares today.",
    ),
    "invalid": Reason(
        title="Breaks its own schema",
        why="The message breaks the schema that consumers were promised, so it was not "
        "sent.",
        next_step="Mend the mapping or the wording that made it, deploy, then fix. Skip it "
        "if it tells nothing of worth.",
    ),
    "refused": Reason(
        title="Refused by the broker",
        why="The broker refuses this one record for good.",
        next_step="Look at the broker's log for the topic, mend what it names, then "
        "retry; skip it if it cannot be sent.",
    ),
    "held_back": Reason(
        title="Held back by staff",
        why="Somebody holds this person's messages back; the audit says who and why.",
        next_step="Retry once the reason is gone.",
    ),
}

_DELIVERIES: Final[Mapping[str, Reason]] = {
    "malformed": Reason(
        title="Not in the vendor's format",
        why="The signature is genuine, but the body is not JSON, or lacks what every "
        "delivery of this vendor has.",
        next_step="Ask the vendor what it sent. Retrying helps only after our parser has "
        "changed; skip what is of no worth.",
    ),
    "unreadable": Reason(
        title="Not as the vendor documents it",
        why="A field is missing or of another kind than the mapping expects.",
        next_step="Mend the vendor's mapping, deploy, then retry; one first.",
    ),
    "adapter_failed": Reason(
        title="The mapping failed",
        why="Our own code stumbled over it; the rest of its batch went on.",
        next_step="Mend the adapter (the log names the error), deploy, then retry.",
    ),
    "unlinked": Reason(
        title="Waiting for their account",
        why="Nobody has connected the account that the vendor speaks of, or its consent "
        "is gone.",
        next_step="Open one: its page leads to the person to connect. Once the account is "
        "connected they go on by themselves.",
    ),
    "unusable": Reason(
        title="Nothing usable in it",
        why="Every value in it was missing or not plausible.",
        next_step="Look at one body. If the values are right, mend the mapping and retry; "
        "if not, skip.",
    ),
    "not_stored": Reason(
        title="Refused by the database",
        why="What it says does not fit the tables; the rest of its batch was stored.",
        next_step="The text names the column: mend the mapping, then retry.",
    ),
    "worker_killed": Reason(
        title="Kills its worker",
        why="The worker died three times while at it, or ran out of time.",
        next_step="Look at the size of the body and the worker's memory, then try one.",
    ),
    "payload_expired": Reason(
        title="Its address ran out",
        why="It holds the address of data, which ended before the data was fetched.",
        next_step="Have the vendor send it again, or fetch the days with a backfill.",
    ),
    "payload_refused": Reason(
        title="Nothing at its address",
        why="It holds the address of data, which the vendor's store does not give.",
        next_step="Have the vendor send it again, or fetch the days with a backfill.",
    ),
    "unknown_vendor": Reason(
        title="No adapter",
        why="No adapter is registered for its vendor.",
        next_step="Register the adapter, then retry.",
    ),
    "no_account": Reason(
        title="Names no account",
        why="Nobody can be found to whom it belongs.",
        next_step="Ask the vendor; skip what cannot be assigned.",
    ),
    "body_gone": Reason(
        title="Bytes are gone",
        why="Its bytes were dropped after RAW_RETENTION_DAYS.",
        next_step="Fetch the days anew (manage.py backfill), then skip these.",
    ),
}


def of_queue(code: str) -> Reason:
    """Return why a person's messages are parked."""
    return _QUEUES[code]


def of_delivery(code: str) -> Reason:
    """Return why deliveries are parked; an unknown code speaks for itself."""
    return _DELIVERIES.get(code) or Reason(
        title=code.replace("_", " ").capitalize() or "No reason kept",
        why="Each of them says what happened.",
        next_step="Open one, do what its text says, then try one again.",
    )
