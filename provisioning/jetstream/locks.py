"""One enforcer at a time for each account: locks that the kernel gives back when their holder dies."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from provisioning.errors import Locked, NotWritten

FOLDER, SHELVES = ".nunect-assets", 256  # accounts share locks, so that there is never a file for each of them


@contextmanager
def sole_enforcer(folder: Path, accounts: Iterable[int], timeout_s: float) -> Iterator[None]:
    """Hold the locks of these accounts (primary keys) in a system's conf folder. Raises Locked after `timeout_s`.

    Everybody takes them in one order, so that nobody waits for one who waits for them.
    """
    deadline = time.monotonic() + timeout_s
    with ExitStack() as held:
        try:
            (folder / FOLDER).mkdir(mode=0o700, exist_ok=True)
            for shelf in sorted({pk % SHELVES for pk in accounts}):
                lock = os.open(folder / FOLDER / f"{shelf:03}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
                held.callback(os.close, lock)
                _acquire(lock, deadline)
        except OSError as error:
            raise NotWritten(f"{folder / FOLDER} can't be written: {error.strerror}.") from error
        yield


def _acquire(lock: int, deadline: float) -> None:
    while True:
        try:
            return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise Locked("Another worker is at the streams of this account.") from None
            time.sleep(0.01)
