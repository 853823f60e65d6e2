"""What Celery's Redis transport must not do to a worker whose Redis went away."""

from __future__ import annotations

from typing import Any

from kombu.transport import redis


class PatientQoS(redis.QoS):
    """Leaves unacknowledged messages where they are once their connection is gone.

    A channel that is closed after its connection was would ask for a new one to put its
    messages back, find none (AttributeError, kombu issue 582), and so end the worker's
    main process for good. Redis keeps the messages among the unacknowledged: any worker
    takes them from there after the visibility timeout, and the sweep nudges long before.
    """

    def restore_unacked(self, client: Any = None) -> None:
        """Put the messages back into their queues, as far as there is a connection."""
        delivered, connection = self._delivered, self.channel.connection
        # What the stubs believe is always there is what may be gone.
        if getattr(connection, "client", None) is None:
            if delivered is not None:
                delivered.clear()
            return
        super().restore_unacked(client)


def be_patient() -> None:
    """Have every channel of this process use it."""
    redis.Channel.QoS = PatientQoS
