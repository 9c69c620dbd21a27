"""Work in the running loop that nobody waits for."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

_log = logging.getLogger(__name__)
_kept: set[asyncio.Future[None]] = set()  # tasks that nobody else refers to


def soon(work: Coroutine[Any, Any, None]) -> None:
    """Begin it, and let it end by itself."""
    task = asyncio.ensure_future(work)
    _kept.add(task)
    task.add_done_callback(_kept.discard)


async def for_ever(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """A fault in one round must not end the hub: all sockets hang on it."""
    while True:
        try:
            await work()
        except Exception:
            _log.exception("the hub goes on after a fault in %s", work.__qualname__)
            await asyncio.sleep(1.0)
