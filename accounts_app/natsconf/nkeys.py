"""The text form of nkeys: base32 of a prefix, 32 bytes and their CRC-16; no cryptography.

Source of the layout: github.com/nats-io/nkeys, strkey.go (Apache 2.0).
"""

from __future__ import annotations

import base64
import binascii
import string

from .subjects import InvalidValue

PREFIXES = {"O": 14 << 3, "A": 0, "U": 20 << 3, "N": 13 << 3, "C": 2 << 3, "X": 23 << 3}
KINDS = {"O": "operator", "A": "account", "U": "user", "N": "server", "C": "cluster", "X": "curve"}
_SEED = 18 << 3
_ALPHABET = frozenset(string.ascii_uppercase + "234567")
_LENGTH, _SEED_LENGTH = 56, 58


def encode_public(kind: str, raw: bytes) -> str:
    """Return the public key of `raw` (32 bytes) as text, "U…" for kind "U"."""
    if len(raw) != 32:
        raise InvalidValue(f"A public key has 32 bytes, not {len(raw)}.")
    return _pack(bytes([PREFIXES[kind]]) + raw)


def encode_seed(kind: str, raw: bytes) -> str:
    """Return the seed of `raw` (32 secret bytes) as text, "SU…" for kind "U"."""
    if len(raw) != 32:
        raise InvalidValue(f"A seed has 32 bytes, not {len(raw)}.")
    prefix = PREFIXES[kind]
    return _pack(bytes([_SEED | prefix >> 5, (prefix & 31) << 3]) + raw)


def decode_public(text: str, kind: str = "U") -> bytes:
    """Return the 32 bytes of a public key of `kind`.

    Raises InvalidValue; a seed pasted by mistake is recognised and never repeated.
    """
    what = f"{KINDS[kind].capitalize()} key"
    refuse_seed(text)
    if not text:
        raise InvalidValue(f"{what} is empty.")
    if text != text.strip():
        raise InvalidValue(f"{what} starts or ends with a blank.")
    if not _ALPHABET.issuperset(text):
        raise InvalidValue(f"{what} holds characters other than A-Z and 2-7.")
    if text[0] != kind:
        known = KINDS.get(text[0])
        told = f"is the key of {_article(known)}" if known else f'starts with "{text[0]}"'
        raise InvalidValue(f'{what} {told}; the public key of {_article(KINDS[kind])} starts with "{kind}".')
    if len(text) != _LENGTH:
        raise InvalidValue(f"{what} has {len(text)} characters; a public key has {_LENGTH}.")
    data = _unpack(text, what)
    if data[0] != PREFIXES[kind]:
        raise InvalidValue(f"{what} is not the public key of {_article(KINDS[kind])}.")
    return data[1:]


def decode_seed(text: str) -> tuple[str, bytes]:
    """Return kind and 32 secret bytes of a seed. Raises InvalidValue, never repeating it."""
    if len(text) != _SEED_LENGTH or not _ALPHABET.issuperset(text) or text[0] != "S":
        raise InvalidValue(f'Seed must be {_SEED_LENGTH} characters of A-Z and 2-7 and start with "S".')
    data = _unpack(text, "Seed")
    prefix = (data[0] & 7) << 5 | data[1] >> 3
    kind = next((k for k, value in PREFIXES.items() if value == prefix), None)
    if data[0] & 248 != _SEED or kind is None:
        raise InvalidValue("Seed is of an unknown kind.")
    return kind, data[2:]


def refuse_seed(text: str) -> None:
    """Raise InvalidValue when `text` looks like a secret seed (or holds one, as creds files do)."""
    for word in text.upper().replace("-", " ").split():
        if len(word) >= 50 and word[0] in "SP" and _ALPHABET.issuperset(word):
            raise InvalidValue(
                "This is a secret seed, not a public key: keep it secret and paste the public key; "
                "if others could see it, make a new one."
            )


def crc16(data: bytes) -> int:
    """Return the CRC-16 (XMODEM) that nkeys end with."""
    return binascii.crc_hqx(data, 0)


def _pack(data: bytes) -> str:
    return base64.b32encode(data + crc16(data).to_bytes(2, "little")).rstrip(b"=").decode()


def _unpack(text: str, what: str) -> bytes:
    raw = base64.b32decode(text + "=" * (-len(text) % 8))
    data, crc = raw[:-2], int.from_bytes(raw[-2:], "little")
    # base32 of 35 bytes has no spare bits; of 36 bytes it has two, which must be zero
    if crc16(data) != crc or _pack(data) != text:
        raise InvalidValue(f"{what} has a typing mistake: its check sum is wrong.")
    return data


def _article(noun: str) -> str:
    return ("an " if noun[0] in "aeiou" else "a ") + noun
