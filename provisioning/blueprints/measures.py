"""Sizes and lengths of time as people write them."""

from __future__ import annotations

import re

_SIZES = {
    "": 1, "b": 1, "k": 1000, "kb": 1000, "m": 1000**2, "mb": 1000**2, "g": 1000**3, "gb": 1000**3, "t": 1000**4,
    "tb": 1000**4, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40,
}  # fmt: skip
_SIZE = re.compile(r"(\d{1,19})(?:\.(\d{1,6}))?\s*([a-z]{0,3})", re.ASCII)
_PART = re.compile(r"(\d{1,12})(ns|us|µs|ms|s|m|h|d|w)", re.ASCII)
_NANOSECONDS = {
    "ns": 1, "us": 1000, "µs": 1000, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9,
    "d": 86_400 * 10**9, "w": 604_800 * 10**9,
}  # fmt: skip
LARGEST = 2**63 - 1


def read_bytes(text: str) -> int:
    """How many bytes "10GiB" or "250MB" are; "unlimited" is -1. Raises ValueError with a sentence."""
    said = text.strip().lower()
    if said in ("unlimited", "-1"):
        return -1
    match = _SIZE.fullmatch(said)
    if match is None or match[3] not in _SIZES:
        raise ValueError("This must be a size such as 500MB, 10GiB or a number of bytes.")
    unit, fraction = _SIZES[match[3]], match[2] or ""
    found = int(match[1]) * unit + (int(fraction) * unit // 10 ** len(fraction) if fraction else 0)
    if found > LARGEST:
        raise ValueError("This is larger than any disk.")
    return found


def read_duration(text: str) -> int:
    """How many nanoseconds "7d", "1h30m" or "500ms" are. Raises ValueError with a sentence."""
    said = text.strip()
    if said == "0":
        return 0
    parts = _PART.findall(said)
    if not parts or "".join(number + unit for number, unit in parts) != said:
        raise ValueError("This must be a length of time such as 7d, 1h30m or 500ms.")
    found = sum(int(number) * _NANOSECONDS[unit] for number, unit in parts)
    if found > LARGEST:
        raise ValueError("This is longer than 292 years.")
    return found


def write_duration(nanoseconds: int) -> str:
    """A length of time in units that NATS knows everywhere, hours at most: "168h", "1h30m", "500ms"."""
    said, rest = "", nanoseconds
    for unit in ("h", "m", "s", "ms", "us", "ns"):
        count, rest = divmod(rest, _NANOSECONDS[unit])
        said += f"{count}{unit}" if count else ""
    return said or "0s"
