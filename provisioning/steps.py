"""The steps of a run, by name and time."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from contextlib import contextmanager

from django.dispatch import Signal

reached = Signal()  # sent with step and system_id as each step of a run ends

STEPS = ("snapshot", "plan", "validate", "write", "reload", "verify", "record")


@contextmanager
def collector_at_rest() -> Iterator[None]:
    """Put Python's cycle collector off. A run makes many objects and no cycles, and what the process keeps
    of all accounts would be walked through again and again (measured: a third of a run's time)."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


class Clock:
    """Times the steps of one run. `timings`: {step: milliseconds}."""

    def __init__(self, system_id: int) -> None:
        self._system_id = system_id
        self._last = time.monotonic()
        self.timings: dict[str, float] = {}

    def ends(self, step: str) -> None:
        """The step is over."""
        now = time.monotonic()
        self.timings[step] = round((now - self._last) * 1000, 2)
        self._last = now
        reached.send(sender=Clock, step=step, system_id=self._system_id)
