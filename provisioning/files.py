"""The generated file on disk: one writer, one rename, and never a torn file.

The lock file of the folder holds what the last writer was about to do, so that a run after a crash
can tell nunect's own half-finished work from a change by somebody else.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from provisioning.errors import Locked, NotWritten, Superseded

GENERATED, MAIN = "accounts.conf", "nats-server.conf"
_LOCK, _TMP, _PREVIOUS = ".nunect.lock", ".accounts.conf.", ".accounts.conf.previous"


@dataclass(frozen=True, slots=True)
class Intent:
    """What a writer was about to put into the folder.

    fence: its fencing number; number: the revision's; sha256: of the generated tree; text_sha256: of the bytes.
    """

    fence: int = 0
    number: int = 0
    sha256: str = ""
    text_sha256: str = ""


def text_hash(text: str | bytes) -> str:
    """sha256 of a file's bytes, "sha256:…"."""
    data = text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Writer:
    """The one writer of a folder, for as long as `sole_writer` lasts."""

    def __init__(self, folder: Path, lock: int, fence: int) -> None:
        self.folder, self._lock, self.fence = folder, lock, fence
        self.path = folder / GENERATED
        self.intent = _read_intent(lock)
        if self.intent.fence > fence:
            raise Superseded("A later run has written this folder already.")
        with suppress(OSError):  # what a killed writer left behind; nobody else writes now
            for leftover in folder.glob(_TMP + "*.tmp"):
                leftover.unlink()

    def replace(self, text: str, intent: Intent) -> None:
        """Put `text` in the file's place: beside, fsync, rename, folder fsync. The former text is kept.

        Raises NotWritten, with the old file untouched.
        """
        try:
            payload = json.dumps(asdict(intent)).encode()
            os.pwrite(self._lock, payload.ljust(400), 0)
            os.fsync(self._lock)
            handle, beside = tempfile.mkstemp(prefix=_TMP, suffix=".tmp", dir=self.folder)  # 0600
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(text.encode("utf-8"))
                    file.flush()
                    os.fsync(file.fileno())
                self._keep_previous()
                Path(beside).replace(self.path)
            except BaseException:
                with suppress(OSError):
                    Path(beside).unlink()
                raise
            self._sync_folder()
        except OSError as error:
            raise NotWritten(f"{self.path} could not be written: {error.strerror}.") from error

    def put_back(self) -> None:
        """Bring the former text back by a rename alone: that works on a full disk, too."""
        previous = self.folder / _PREVIOUS
        try:
            if previous.exists():
                previous.replace(self.path)
                self._sync_folder()
        except OSError as error:
            raise NotWritten(f"The former {self.path} could not be put back: {error.strerror}.") from error

    def forget(self) -> None:
        """Leave the folder to somebody else: what was written here last, and in which run, is nobody's business now."""
        os.ftruncate(self._lock, 0)

    def _keep_previous(self) -> None:
        previous = self.folder / _PREVIOUS
        previous.unlink(missing_ok=True)
        if self.path.exists():
            os.link(self.path, previous)

    def _sync_folder(self) -> None:
        folder = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


@contextmanager
def sole_writer(folder: Path, fence: int, timeout_s: float) -> Iterator[Writer]:
    """Hold the folder's lock. Raises Locked after `timeout_s`, Superseded when a later run was here."""
    try:
        lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise NotWritten(f"{folder} can't be written: {error.strerror}.") from error
    try:
        _acquire(lock, folder, timeout_s)
        yield Writer(folder, lock, fence)
    finally:
        os.close(lock)


@contextmanager
def nobody_writes(folder: Path, timeout_s: float) -> Iterator[None]:
    """As long as this lasts nobody writes the folder; nothing is made there. Raises Locked after `timeout_s`."""
    try:
        lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        yield  # where no lock can be had, nobody writes
        return
    try:
        _acquire(lock, folder, timeout_s)
        yield
    finally:
        os.close(lock)


def wait_for_writer(folder: Path, timeout_s: float) -> None:
    """Wait until nobody writes the folder; nothing is made there. Raises Locked after `timeout_s`."""
    with nobody_writes(folder, timeout_s):
        pass


def read_intent(folder: Path) -> Intent:
    """What the folder's last writer was about to write; an empty one where nobody has written."""
    try:
        lock = os.open(folder / _LOCK, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return Intent()
    try:
        return _read_intent(lock)
    finally:
        os.close(lock)


def read_generated(folder: Path) -> bytes | None:
    """The generated file's bytes, None when there is none. Raises NotWritten when it can't be read."""
    try:
        return (folder / GENERATED).read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise NotWritten(f"{folder / GENERATED} can't be read: {error.strerror}.") from error


def _acquire(lock: int, folder: Path, timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise Locked(f"Another process has held {folder / _LOCK} for {timeout_s:g} s.") from None
            time.sleep(0.01)


def _read_intent(lock: int) -> Intent:
    try:
        return Intent(**json.loads(os.pread(lock, 4096, 0)))
    except (ValueError, TypeError):
        return Intent()
