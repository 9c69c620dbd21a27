"""The one file: a compressed tar of parts, the last of which says what all the others are."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from nunect.backup.errors import BackupError
from nunect.backup.sealing import Key, Opened, Sealed, head_of

FORMAT = 1
MANIFEST = "manifest.json"
PART_MOST = 1 << 30  # bytes of one part; a page of rows has some hundred thousand
_GZIP = b"\x1f\x8b"


class Parts:
    """Parts that are being written, and what the manifest will say of each."""

    def __init__(self, tar: tarfile.TarFile) -> None:
        self._tar = tar
        self.told: dict[str, dict[str, Any]] = {}

    def add(self, name: str, data: bytes) -> None:
        """Write one part."""
        self._write(name, data)
        self.told[name] = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}

    def end(self, manifest: dict[str, Any]) -> None:
        """Write the manifest, after which nothing follows."""
        told = {"format": FORMAT, **manifest, "parts": self.told}
        self._write(MANIFEST, json.dumps(told, indent=1).encode())

    def _write(self, name: str, data: bytes) -> None:
        info = tarfile.TarInfo(name)
        info.size, info.mode = len(data), 0o600
        self._tar.addfile(info, io.BytesIO(data))


@contextmanager
def written(path: Path, passphrase: str) -> Iterator[Parts]:
    """A new file, 0600, that is there whole when the block ends, and not at all when it fails.

    passphrase: "" leaves it open. Raises BackupError when there is such a file, or it can't be written.
    """
    if os.path.lexists(path):
        raise BackupError(f"{path} is there already: name another file.")
    try:
        handle, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")  # 0600
    except OSError as error:
        raise BackupError(f"{path} can't be written: {error.strerror}.") from error
    try:
        with os.fdopen(handle, "wb") as file:
            yield from _into(file, passphrase)
            file.flush()
            os.fsync(file.fileno())
        os.link(beside, path)  # unlike a rename it never takes the place of another file
        sync_folder(path.parent)
    except FileExistsError:
        raise BackupError(f"{path} is there already: name another file.") from None
    except OSError as error:
        raise BackupError(f"{path} can't be written: {error.strerror}.") from error
    finally:
        with suppress(OSError):
            Path(beside).unlink()


def _into(file: IO[bytes], passphrase: str) -> Iterator[Parts]:
    sealed = Sealed(file, passphrase) if passphrase else None
    with (
        gzip.GzipFile("", "wb", 6, sealed or file, mtime=0) as packed,  # type: ignore[arg-type]
        tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT) as tar,
    ):
        yield Parts(tar)
    if sealed is not None:
        sealed.finish()


def sync_folder(folder: Path) -> None:
    """Make what was renamed in a folder outlive a power cut."""
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


class Backup:
    """A backup that is there to be read, as often as one likes. Nothing of it is trusted before `check`."""

    def __init__(self, path: Path, passphrase: Callable[[], str]) -> None:
        """passphrase: asked only for a sealed file. Raises BackupError."""
        self.path = path
        self._key: Key | None = None
        with self._open() as file:
            head = head_of(file)
            file.seek(0)
            if head is None and file.read(2) != _GZIP:
                raise BackupError(f"{path} is no backup of nunect.")
        if head is not None:
            self._key = Key(head, passphrase())

    @property
    def is_sealed(self) -> bool:
        return self._key is not None

    def check(self) -> dict[str, Any]:
        """Read it from the first to the last byte; the manifest. Raises BackupError when anything isn't as written."""
        found: dict[str, str] = {}
        manifest: dict[str, Any] | None = None
        for name, data in self.parts():
            if manifest is not None or name in found:
                raise self._broken()
            if name == MANIFEST:
                manifest = self._manifest(data)
            else:
                found[name] = hashlib.sha256(data).hexdigest()
        if manifest is None or found != {name: told["sha256"] for name, told in manifest["parts"].items()}:
            raise self._broken()
        return manifest

    def parts(self) -> Iterator[tuple[str, bytes]]:
        """(name, content) in the order in which they were written. Raises BackupError."""
        try:
            with self._open() as file:
                source: Any = io.BufferedReader(Opened(file, self._key)) if self._key else file  # type: ignore[type-var]
                with gzip.GzipFile(fileobj=source) as packed, tarfile.open(fileobj=packed, mode="r|") as tar:
                    for info in tar:
                        part = tar.extractfile(info) if info.isreg() and info.size <= PART_MOST else None
                        if part is None:
                            raise self._broken()
                        yield info.name, part.read()
                    while packed.read(1 << 20):  # to the end, where its checksum stands
                        pass
        except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise self._broken() from error

    def _open(self) -> IO[bytes]:
        try:
            return self.path.open("rb")
        except OSError as error:
            raise BackupError(f"{self.path} can't be read: {error.strerror}.") from error

    def _manifest(self, data: bytes) -> dict[str, Any]:
        try:
            manifest: dict[str, Any] = json.loads(data)
            number = manifest["format"]
            if number == FORMAT and all(told["sha256"] for told in manifest["parts"].values()):
                return manifest
        except (ValueError, KeyError, TypeError, AttributeError):
            raise self._broken() from None
        raise BackupError(f"{self.path} is a backup of a newer nunect (format {number}): restore it with that one.")

    def _broken(self) -> BackupError:
        return BackupError(f"{self.path} is torn or was altered.")
