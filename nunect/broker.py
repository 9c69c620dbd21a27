"""A worker that outlives its Redis: what kombu and Celery do when it is gone, mended where they end or chatter."""

from __future__ import annotations

import warnings
from typing import Any

from celery.exceptions import CPendingDeprecationWarning
from kombu.transport import redis


class Unacknowledged(redis.QoS):  # type: ignore[misc]
    """Messages under way."""

    def restore_unacked(self, client: Any = None) -> None:
        """Give them back to the queue; not over a connection that is closed already, which would be the worker's end.

        Redis has kept them, and gives them out again after the visibility timeout; what they ask for is in the tables.
        """
        if self.channel.connection.client is None:
            self._delivered.clear()
        else:
            super().restore_unacked(client)


def outlive() -> None:
    """For a worker, before it connects."""
    redis.Channel.QoS = Unacknowledged


def hush() -> None:
    """For a worker, after Celery has said that such warnings are always told."""
    told = r"\s*In Celery 5\.1 we introduced"  # at each loss: of what Celery 6 will do by default
    warnings.filterwarnings("ignore", message=told, category=CPendingDeprecationWarning)
