"""The steps of a take-over, as a person is told of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from provisioning.errors import ProvisioningError
from provisioning.steps import reached
from provisioning.takeover.journal import Journal

_STEPS: dict[str, str] = {
    "rows": "Accounts and users have become rows",
    "backup": "What stands there was copied beside it",
    "journal": "The journal is on disk",
    "main": "nats-server.conf was written",
    "reload": "nats-server was asked to read its files again",
    "verify": "nats-server reports the digest that was judged",
    "managed": "nunect manages the system",
    "taken": "The journal says that it is done",
    "back main": "nats-server.conf is as it was",
    "undone": "The journal says that it is undone",
}
RELOADED = (_STEPS["reload"], _STEPS["verify"])  # what clients may feel


@dataclass(frozen=True, slots=True)
class Step:
    """One step that was done. took_s: since the one before; back: it has put something back."""

    text: str
    took_s: float
    back: bool = False


class Failed(Exception):
    """A step failed. steps: those that were done, putting back among them; words: the server's own."""

    def __init__(self, error: ProvisioningError, steps: tuple[Step, ...], words: str) -> None:
        super().__init__(error.detail)
        self.detail, self.steps, self.words = error.detail, steps, words


def _in_words(step: str) -> str:
    name = step.removeprefix("takeover ")
    back, read = name.removeprefix("back "), name.removeprefix("reload ")
    if name in _STEPS:
        return _STEPS[name]
    if read != name:
        return f"nats-server of {read} was asked to read its files again"
    return f"{back} is as it was" if back != name else f"{name} was written"


@contextmanager
def noted_steps() -> Iterator[list[Step]]:
    """The steps of the take-over of this thread, as they end."""
    steps: list[Step] = []
    here, last = threading.get_ident(), [time.monotonic()]

    def note(step: str, **more: Any) -> None:
        if threading.get_ident() == here:
            now = time.monotonic()
            steps.append(Step(_in_words(step), now - last[0], step.startswith("takeover back ")))
            last[0] = now

    receiver: Callable[..., None] = note
    reached.connect(receiver, sender=Journal, weak=False)
    try:
        yield steps
    finally:
        reached.disconnect(receiver, sender=Journal)
