"""A worker that outlives its Redis: what kombu and Celery do when it is gone, mended where they end or chatter."""

from __future__ import annotations

import warnings
from typing import Any

from celery.exceptions import CPendingDeprecationWarning
from kombu.transport import redis, virtual


class Unacknowledged(redis.QoS):  # type: ignore[misc]
    """Messages under way, also of a connection that was lost and closed: kombu's own fails there, the worker's end.

    Redis has kept those, and gives them out again after the visibility timeout; no task does anything twice.
    """

    def restore_unacked(self, client: Any = None) -> None:
        if self._is_gone():
            self._delivered.clear()
        else:
            super().restore_unacked(client)

    def ack(self, delivery_tag: Any) -> None:
        if self._is_gone():
            virtual.QoS.ack(self, delivery_tag)
        else:
            super().ack(delivery_tag)

    def reject(self, delivery_tag: Any, requeue: bool = False) -> None:
        if self._is_gone():
            virtual.QoS.ack(self, delivery_tag)
        else:
            super().reject(delivery_tag, requeue)

    def _is_gone(self) -> bool:
        """Whether the channel has no connection to Redis any more, and nobody who knows where one would lead."""
        transport = self.channel.connection
        return self.channel._pool is None and (transport is None or transport.client is None)


def outlive() -> None:
    """For a worker, before it connects."""
    redis.Channel.QoS = Unacknowledged


def hush() -> None:
    """For a worker, after Celery has said that such warnings are always told."""
    told = r"\s*In Celery 5\.1 we introduced"  # at each loss: of what Celery 6 will do by default
    warnings.filterwarnings("ignore", message=told, category=CPendingDeprecationWarning)
