"""Sizes and lengths of time as people write them: read as settings of streams are, written as conf files take them."""

from __future__ import annotations

from typing import Any

from accounts_app.jetstream.settings import UNLIMITED, Setting
from accounts_app.jetstream.words import bytes_words, read_value

_SIZE = Setting("size", "bytes", "Size", default=0)
_DURATION = Setting("duration", "duration", "Duration", default=0, least=0)
_UNITS = {"h": 3600 * 10**9, "m": 60 * 10**9, "s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}


def read_bytes(value: Any) -> int:
    """How many bytes "10GiB" or "250MB" are; "unlimited" is -1. Raises ValueError with a sentence."""
    found: int = read_value(_SIZE, value)
    return found


def read_duration(value: Any) -> int:
    """How many nanoseconds "7d", "1h30m" or "500ms" are. Raises ValueError with a sentence."""
    found: int = read_value(_DURATION, value)
    return found


def write_duration(nanoseconds: int) -> str:
    """A length of time in units that NATS knows everywhere, hours at most: "168h", "1h30m", "500ms"."""
    said, rest = "", nanoseconds
    for unit, size in _UNITS.items():
        count, rest = divmod(rest, size)
        said += f"{count}{unit}" if count else ""
    return said or "0s"


def size_words(count: int) -> str:
    """Bytes as people write them, whole numbers only."""
    if count == UNLIMITED:
        return "unlimited"
    if count >= 2**50:
        return bytes_words(count)
    for unit, size in (("TiB", 2**40), ("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if count >= size and count % size == 0:
            return f"{count // size:,}{unit}"
    return f"{count:,} bytes"
