"""What Celery's Redis transport must not do to a worker whose Redis went away."""

from __future__ import annotations

from typing import Any

from kombu.transport import redis, virtual


class PatientQoS(redis.QoS):
    """Leaves unacknowledged messages where they are once their connection is gone.

    A channel that is closed after its connection was would ask for a new one to put its
    messages back, find none (AttributeError, kombu issue 582), and so end the worker's
    main process for good. So would the end of a task that outlived the connection that
    its message came by. Redis keeps the messages among the unacknowledged: any worker
    takes them from there after the visibility timeout, and the sweep nudges long before.
    """

    @property
    def _is_cut_off(self) -> bool:
        # What the stubs believe is always there is what may be gone.
        connection = self.channel.connection
        pool = getattr(self.channel, "_pool", None)
        return pool is None and getattr(connection, "client", None) is None

    def ack(self, delivery_tag: str) -> None:
        """Acknowledge a message, as far as there is a connection."""
        if self._is_cut_off:
            virtual.QoS.ack(self, delivery_tag)
            return
        super().ack(delivery_tag)

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:  # noqa: FBT001, FBT002 - kombu's
        """Refuse a message or put it back, as far as there is a connection."""
        if self._is_cut_off:
            virtual.QoS.ack(self, delivery_tag)
            return
        super().reject(delivery_tag, requeue=requeue)

    def restore_unacked(self, client: Any = None) -> None:
        """Put the messages back into their queues, as far as there is a connection."""
        if self._is_cut_off:
            if self._delivered is not None:
                self._delivered.clear()
            return
        super().restore_unacked(client)


def be_patient() -> None:
    """Have every channel of this process use it."""
    redis.Channel.QoS = PatientQoS
