"""Bytes under a passphrase: scrypt makes the key, AES-GCM seals one chunk after the other."""

from __future__ import annotations

import hashlib
import hmac
import io
import os
import struct
from typing import IO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from nunect.backup.errors import BackupError

MAGIC = b"nunect sealed backup 1\n"
CHUNK = 1 << 20  # bytes of plain text in each chunk but the last
TAG = 16
COST = 17  # scrypt's n is 2 to this: 128 MiB and some tenths of a second for each try
COST_MOST = 20  # what a file may ask of the machine that opens it
_HEAD = struct.Struct(f">{len(MAGIC)}sB16s7s32s")  # magic, cost, salt, prefix of nonces, what tells the right key


class Sealed(io.RawIOBase):
    """Seals what is written to it into `file`; the last chunk is marked, so that nothing can be cut off unseen."""

    def __init__(self, file: IO[bytes], passphrase: str) -> None:
        salt, self._prefix = os.urandom(16), os.urandom(7)
        self._cipher, check = _key(passphrase, salt, COST)
        self._head = _HEAD.pack(MAGIC, COST, salt, self._prefix, check)
        self._file, self._count, self._waiting = file, 0, bytearray()
        file.write(self._head)

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self._waiting += data
        while len(self._waiting) > CHUNK:  # the last one is known when it ends
            self._seal(bytes(self._waiting[:CHUNK]), last=False)
            del self._waiting[:CHUNK]
        return len(data)

    def finish(self) -> None:
        """Write the last chunk; the file stays open."""
        self._seal(bytes(self._waiting), last=True)
        self._waiting.clear()

    def _seal(self, plain: bytes, *, last: bool) -> None:
        self._file.write(self._cipher.encrypt(_nonce(self._prefix, self._count, last), plain, self._head))
        self._count += 1


class Key:
    """What opens one sealed file, derived once. Raises BackupError for a wrong passphrase."""

    def __init__(self, head: bytes, passphrase: str) -> None:
        try:
            _, cost, salt, self.prefix, check = _HEAD.unpack(head)
        except struct.error:
            raise BackupError("The backup is torn: even its first lines are not whole.") from None
        if not 10 <= cost <= COST_MOST:
            raise BackupError("The backup was altered: its first bytes make no sense.")
        self.cipher, ours = _key(passphrase, salt, cost)
        if not hmac.compare_digest(ours, check):
            raise BackupError("This is not the passphrase that the backup was made with.")
        self.head = head


class Opened(io.RawIOBase):
    """Reads what was sealed. Raises BackupError at the first byte that isn't as it was written."""

    def __init__(self, file: IO[bytes], key: Key) -> None:
        self._file, self._key, self._count, self._plain = file, key, 0, b""
        file.seek(len(key.head))
        self._next = file.read(CHUNK + TAG)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        if not self._plain and self._next:
            self._open()
        taken = self._plain[: len(buffer)]
        buffer[: len(taken)] = taken
        self._plain = self._plain[len(taken) :]
        return len(taken)

    def _open(self) -> None:
        sealed, self._next = self._next, self._file.read(CHUNK + TAG)
        nonce = _nonce(self._key.prefix, self._count, not self._next)
        try:
            self._plain = self._key.cipher.decrypt(nonce, sealed, self._key.head)
        except InvalidTag:
            raise BackupError("The backup is torn or was altered.") from None
        self._count += 1


def head_of(file: IO[bytes]) -> bytes | None:
    """The first bytes of a sealed file, None when it isn't sealed. Reads from the beginning."""
    file.seek(0)
    head = file.read(_HEAD.size)
    return head if head.startswith(MAGIC) else None


def _key(passphrase: str, salt: bytes, cost: int) -> tuple[AESGCM, bytes]:
    """(the cipher, what tells that the passphrase is the right one without telling anything of the key)."""
    made = Scrypt(salt, length=64, n=1 << cost, r=8, p=1).derive(passphrase.encode("utf-8", "surrogateescape"))
    return AESGCM(made[:32]), hashlib.sha256(made[32:]).digest()


def _nonce(prefix: bytes, number: int, last: bool) -> bytes:
    return prefix + number.to_bytes(4, "big") + bytes([last])
