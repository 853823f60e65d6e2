"""The Kafka client's options, from settings that were checked at start."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from django.conf import settings

BOOTSTRAP_TIMEOUT_MS = 5_000
MAX_BLOCK_MS = 15_000
TRANSACTION_TIMEOUT_MS = 60_000
# Beyond linger and request time-out, as the client demands.
_DELIVERY_MARGIN_MS = 5_000
_DEFAULT_REQUEST_BYTES = 1_048_576
# Key and headers of a record whose value is as long as it may be.
_RECORD_OVERHEAD = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaConfig:
    """How to reach the cluster and how to write to it."""

    bootstrap_servers: tuple[str, ...]
    security: dict[str, Any]
    compression_type: str | None
    linger_ms: int
    batch_size: int
    retry_backoff_ms: int
    request_timeout_ms: int
    max_in_flight: int
    max_request_size: int
    progress_topic: str

    @classmethod
    def from_settings(cls) -> KafkaConfig:
        """Read KAFKA_*."""
        compression = settings.KAFKA_COMPRESSION_TYPE
        return cls(
            bootstrap_servers=tuple(settings.KAFKA_BOOTSTRAP_SERVERS),
            security=_security(),
            compression_type=None if compression == "none" else compression,
            linger_ms=settings.KAFKA_LINGER_MS,
            batch_size=settings.KAFKA_BATCH_SIZE,
            retry_backoff_ms=settings.KAFKA_RETRY_BACKOFF_MS,
            request_timeout_ms=settings.KAFKA_REQUEST_TIMEOUT_MS,
            max_in_flight=settings.KAFKA_MAX_IN_FLIGHT,
            max_request_size=max(
                _DEFAULT_REQUEST_BYTES,
                settings.KAFKA_MAX_EVENT_BYTES + _RECORD_OVERHEAD,
            ),
            progress_topic=settings.KAFKA_PROGRESS_TOPIC,
        )

    def client_options(self) -> dict[str, Any]:
        """Return what producers, consumers and admin clients share."""
        return {
            "bootstrap_servers": list(self.bootstrap_servers),
            "client_id": f"auren-relay-{os.getpid()}",
            "request_timeout_ms": self.request_timeout_ms,
            "reconnect_backoff_max_ms": 1_000,
            "bootstrap_timeout_ms": BOOTSTRAP_TIMEOUT_MS,
            **self.security,
        }

    def producer_options(self, *, transactional_id: str) -> dict[str, Any]:
        """Return a producer's options; without an id it is idempotent only."""
        options = {
            **self.client_options(),
            # The word: the client would take the text "-1" for "no idempotence".
            "acks": "all",
            # Said explicitly, a conflict is an error instead of a line in the log.
            "enable_idempotence": True,
            "compression_type": self.compression_type,
            "linger_ms": self.linger_ms,
            "batch_size": self.batch_size,
            "max_in_flight_requests_per_connection": self.max_in_flight,
            "retry_backoff_ms": self.retry_backoff_ms,
            "delivery_timeout_ms": (
                self.request_timeout_ms + self.linger_ms + _DELIVERY_MARGIN_MS
            ),
            "max_block_ms": MAX_BLOCK_MS,
            "max_request_size": self.max_request_size,
            "allow_auto_create_topics": False,
            "metrics_enabled": False,
        }
        if transactional_id:
            options["transactional_id"] = transactional_id
            options["transaction_timeout_ms"] = TRANSACTION_TIMEOUT_MS
        return options


def _security() -> dict[str, Any]:
    options = {
        "security_protocol": settings.KAFKA_SECURITY_PROTOCOL,
        "sasl_mechanism": settings.KAFKA_SECURITY_SASL_MECHANISM,
        "sasl_plain_username": settings.KAFKA_SECURITY_SASL_USERNAME,
        "sasl_plain_password": settings.KAFKA_SECURITY_SASL_PASSWORD,
        "ssl_cafile": settings.KAFKA_SECURITY_CA_FILE,
        "ssl_certfile": settings.KAFKA_SECURITY_CERT_FILE,
        "ssl_keyfile": settings.KAFKA_SECURITY_KEY_FILE,
    }
    return {name: value for name, value in options.items() if value}
