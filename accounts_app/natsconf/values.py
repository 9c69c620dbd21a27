"""Numbers and dates of a conf as the server reads them (`conf/parse.go`, Go's strconv and time)."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime

_INTEGER = re.compile(r"(-?)0*([0-9]+)([A-Za-z]*)\Z")
_REAL = re.compile(r"-?[0-9]+\.[0-9]+\Z")
_DATE = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})Z\Z")
_THOUSANDS = {letter: 1000**power for power, letter in enumerate("kmgtpe", 1)}
_BINARY = {letter + end: 1024**power for power, letter in enumerate("kmgtpe", 1) for end in ("b", "i", "ib")}
_FACTORS = {"": 1, **_THOUSANDS, **_BINARY}


def integer(text: str) -> int | None:
    """A whole number with its size, None when the size is one that the server silently drops, like 1kbb.

    Sizes multiply as 64-bit numbers do: what is too large wraps around. Raises ValueError.
    """
    match = _INTEGER.match(text)
    if match is None:
        raise ValueError(f"{text} isn't a whole number.")
    sign, digits, size = match.groups()
    number = int(sign + digits[:20])
    if not -(2**63) <= number < 2**63:
        raise ValueError(f"{sign}{digits[:20]}{'…' if len(digits) > 20 else ''} doesn't fit into 64 bits.")
    factor = _FACTORS.get(size.lower())
    return None if factor is None else (number * factor + 2**63) % 2**64 - 2**63


def real(text: str) -> float:
    """A number with a point. Raises ValueError."""
    if not _REAL.match(text):
        raise ValueError(f"{text} isn't a number.")
    number = float(text)
    if math.isinf(number):
        raise ValueError("The number is too large.")
    return number


def moment(text: str) -> datetime:
    """A date with its time, always UTC. Raises ValueError, also for the year 0, which only the server knows."""
    match = _DATE.match(text)
    try:
        if match is not None:
            year, month, day, hour, minute, second = map(int, match.groups())
            return datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError as error:
        raise ValueError(f"{text} isn't a date: {error}.") from error
    raise ValueError("A date is written with its time in UTC, like 2026-01-31T23:59:59Z.")
