"""The one producer of this thread: built when needed, never shared, thrown away on doubt."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from uuid import uuid4

from biometrics.publishing.producers import Cluster, RecordProducer, UnreachableError

# Isolating poison takes a few new producers in a row; more than that is a fault.
_BURST = 20.0
_PER_SECOND = 1.0


def new_transactional_id() -> str:
    """Return an id that no producer had before: an id is never used twice by its owner."""
    return f"auren-relay-{socket.gethostname()}-{os.getpid()}-{uuid4().hex[:12]}"


class OwnProducer:
    """Holds at most one producer.

    `transactional` is False where the cluster refuses transactions. How often a producer
    is built is limited: a relay that fails at once must not hammer the broker.
    """

    def __init__(
        self,
        *,
        cluster: Cluster,
        transactional: bool,
        new_id: Callable[[], str] = new_transactional_id,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cluster = cluster
        self._transactional = transactional
        self._new_id = new_id
        self._clock = clock
        self._producer: RecordProducer | None = None
        self._allowance = _BURST
        self._counted_at = clock()

    @property
    def is_ready(self) -> bool:
        """Return whether `get` will not have to ask Kafka."""
        return self._producer is not None

    def get(self, *, deadline: float) -> RecordProducer:
        """Return the producer, its id initialised. Raises UnreachableError."""
        if self._producer is None:
            self._allow()
            self._producer = self._cluster.build(
                transactional_id=self._new_id() if self._transactional else "",
                deadline=deadline,
            )
        return self._producer

    def is_holder(self, holder: str) -> bool:
        """Return whether a lease names this producer."""
        return (
            self._producer is not None
            and bool(holder)
            and self._producer.transactional_id == holder
        )

    def discard(self) -> None:
        """Throw the producer away; what it had open is its successor's to fence."""
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.discard()

    def _allow(self) -> None:
        now = self._clock()
        earned = (now - self._counted_at) * _PER_SECOND
        self._allowance = min(_BURST, self._allowance + earned)
        self._counted_at = now
        if self._allowance < 1:
            message = "Producers fail as fast as they are built; waiting a second."
            raise UnreachableError(message)
        self._allowance -= 1
