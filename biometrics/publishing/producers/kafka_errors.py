"""What each error of the Kafka client means for the relay: one table."""

from __future__ import annotations

from enum import Enum
from typing import Final

from kafka import errors

from biometrics.errors import PublishError
from biometrics.publishing.producers import (
    DoubtError,
    FencedError,
    MisconfiguredError,
    RefusalCode,
    RefusedError,
)


class Meaning(Enum):
    """What to do next. Whatever the table does not name is DOUBT."""

    # This record will never be accepted: isolate it, park its person.
    REFUSED = RefusedError
    # Somebody took over: discard, write nothing.
    FENCED = FencedError
    # No record of anybody will be accepted before an operator has acted.
    MISCONFIGURED = MisconfiguredError
    # Unknown outcome: discard, fence, ask.
    DOUBT = DoubtError


# Subclasses count as their nearest listed base.
MEANINGS: Final[dict[type[BaseException], Meaning]] = {
    errors.MessageSizeTooLargeError: Meaning.REFUSED,
    errors.RecordListTooLargeError: Meaning.REFUSED,
    errors.InvalidRecordError: Meaning.REFUSED,
    errors.InvalidTimestampError: Meaning.REFUSED,
    errors.InvalidTopicError: Meaning.REFUSED,
    errors.ProducerFencedError: Meaning.FENCED,
    errors.InvalidProducerEpochError: Meaning.FENCED,
    errors.TransactionCoordinatorFencedError: Meaning.FENCED,
    errors.AuthorizationError: Meaning.MISCONFIGURED,
    errors.SaslAuthenticationFailedError: Meaning.MISCONFIGURED,
    errors.UnsupportedSaslMechanismError: Meaning.MISCONFIGURED,
    errors.IllegalSaslStateError: Meaning.MISCONFIGURED,
    errors.SecurityDisabledError: Meaning.MISCONFIGURED,
    errors.UnsupportedVersionError: Meaning.MISCONFIGURED,
    errors.UnsupportedForMessageFormatError: Meaning.MISCONFIGURED,
    errors.UnsupportedCompressionTypeError: Meaning.MISCONFIGURED,
    errors.UnsupportedCodecError: Meaning.MISCONFIGURED,
    errors.UnrecognizedBrokerVersion: Meaning.MISCONFIGURED,
    errors.KafkaConfigurationError: Meaning.MISCONFIGURED,
    errors.InvalidTransactionTimeoutError: Meaning.MISCONFIGURED,
    errors.InvalidRequiredAcksError: Meaning.MISCONFIGURED,
    errors.PolicyViolationError: Meaning.MISCONFIGURED,
}


# What the broker minds about a refused record; whatever is not named is "refused".
_REFUSALS: Final[dict[type[BaseException], RefusalCode]] = {
    errors.MessageSizeTooLargeError: "too_large",
    errors.RecordListTooLargeError: "too_large",
    errors.InvalidTopicError: "bad_topic",
}


def meaning_of(error: BaseException) -> Meaning:
    """Return what an error of the client means."""
    for kind in type(error).__mro__:
        if kind in MEANINGS:
            return MEANINGS[kind]
    return Meaning.DOUBT


def translated(error: BaseException, *, doing: str) -> PublishError:
    """Return the error to raise in place of the client's own.

    The client's text is kept out where it could quote a record.
    """
    meaning = meaning_of(error)
    name = type(error).__name__
    if meaning is Meaning.MISCONFIGURED:
        return MisconfiguredError(
            f"Kafka refuses the relay while {doing}: {name}. "
            "Check KAFKA_SECURITY_* and manage.py kafka_topics."
        )
    if meaning is Meaning.REFUSED:
        code = _REFUSALS.get(type(error), "refused")
        return RefusedError(f"{name} while {doing}.", code=code)
    kind: type[PublishError] = meaning.value
    return kind(f"{name} while {doing}.")
