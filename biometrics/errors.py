"""What can go wrong, sorted by what the caller does next.

The class decides the HTTP status and whether a retry can help; the message names the
setting, field or command that mends it.
"""

from __future__ import annotations


class BiometricsError(Exception):
    """The base of every error that the bridge raises on purpose."""


class WebhookError(BiometricsError):
    """The request is at fault; `reason` is a short code for counters and answers."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


class SignatureError(WebhookError):
    """The sender is not proven: missing, stale or forged signature (401)."""


class MalformedPayloadError(WebhookError):
    """An authenticated body that is not this vendor's format (400, bytes kept)."""


class ForbiddenAccountError(WebhookError):
    """A genuine credential that speaks for another person (403)."""


class UnknownAccountError(WebhookError):
    """A genuine application that names a person whom nobody connected (404)."""


class UnknownVendorError(BiometricsError):
    """No adapter is registered under this slug (404)."""


class ConfigurationError(BiometricsError):
    """A setting is missing or wrong; the message names it (503 on the intake path)."""


class OverloadedError(BiometricsError):
    """This process has as much in hand as it may; come back shortly (503)."""


class StoreUnavailableError(BiometricsError):
    """The database cannot keep a delivery now, so nothing may be acknowledged (503)."""


class VendorError(BiometricsError):
    """The vendor's API is at fault while a document is fetched."""


class VendorUnavailableError(VendorError):
    """A retry can help: time-out, connection lost, 429, 5xx.

    `retry_after` is the vendor's own wish in seconds, None where it gave none.
    """

    def __init__(self, detail: str, *, retry_after: float | None = None) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class AnswerLostError(VendorUnavailableError):
    """The vendor was asked and its answer is not known: a token may have been spent."""


class VendorLimitedError(VendorUnavailableError):
    """One person's rate limit is used up (429); says nothing about the API's health."""


class StillCollectingError(VendorUnavailableError):
    """The vendor is putting this one list together; others can be asked for meanwhile."""


class VendorRefusedError(VendorError):
    """A retry cannot help: the grant is gone or lacks a scope (401, 403).

    `status` is the HTTP status; `permanent` says that the whole connection is affected.
    """

    def __init__(self, detail: str, *, status: int, permanent: bool) -> None:
        super().__init__(detail)
        self.status = status
        self.permanent = permanent


class AnswerTooLargeError(VendorRefusedError):
    """The answer is larger than what is read in one piece; ask for less at a time."""


class NotYetError(VendorError):
    """The document does not exist yet and is expected to appear; ask again later."""


class UnreadableDeliveryError(BiometricsError):
    """A stored delivery cannot be understood; `field` names the place in its body."""

    def __init__(self, detail: str, *, field: str) -> None:
        super().__init__(f"{field}: {detail}")
        self.field = field


class PublishError(BiometricsError):
    """A record could not be handed to Kafka."""


class RetryablePublishError(PublishError):
    """The outcome is unknown or the broker is away; the rows stay."""


class PermanentPublishError(PublishError):
    """The broker or our own limits refuse this record for good; a person decides."""


class NothingSentError(PublishError):
    """Nothing was handed to Kafka after all, which says nothing about Kafka."""
