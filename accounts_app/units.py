"""Numbers and sizes in the words of people, by the same rules as monitoring/static/monitoring/format.js. Pure."""

from __future__ import annotations

import math
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

NONE = "–"
UNKNOWN = (None, "")  # the second is what a template gives for what is not there
_SIZES = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


def _whole(value: float) -> int:
    """Halves away from zero, as browsers round."""
    return int(math.copysign(math.floor(abs(value) + 0.5), value))


def _digits(value: float) -> str:
    """The digits that matter: 1.23 → "1.2", 12.34 → "12"."""
    if abs(value) >= 10 or value == 0:
        return str(_whole(value))
    text = str(Decimal(value).quantize(Decimal("0.1"), ROUND_HALF_UP))
    return text.removesuffix(".0")


def count(value: Any) -> str:
    """1234 → "1,234"."""
    return NONE if value in UNKNOWN else f"{_whole(float(value)):,}"


def short(value: Any) -> str:
    """1234567 → "1.2 M"."""
    if value in UNKNOWN:
        return NONE
    number = float(value)
    for start, unit, word in ((1e9, 1e9, "G"), (1e6, 1e6, "M"), (1e4, 1e3, "k")):
        if abs(number) >= start:
            return f"{_digits(number / unit)} {word}"
    return f"{_whole(number):,}" if abs(number) >= 100 or number.is_integer() else _digits(number)


def rate(value: Any) -> str:
    """812.5 → "813/s"."""
    return NONE if value in UNKNOWN else f"{short(value)}/s"


def size(value: Any) -> str:
    """10485760 → "10 MiB"."""
    if value in UNKNOWN:
        return NONE
    number, at = float(value), 0
    while abs(number) >= 1024 and at < len(_SIZES) - 1:
        number, at = number / 1024, at + 1
    return f"{_digits(number)} {_SIZES[at]}"


def size_rate(value: Any) -> str:
    """153800 → "150 KiB/s"."""
    return NONE if value in UNKNOWN else f"{size(value)}/s"


def percent(value: Any) -> str:
    """12.5 → "13 %"."""
    return NONE if value in UNKNOWN else f"{_digits(float(value))} %"


def share(used: Any, limit: Any) -> float | None:
    """How much of a limit is used, in percent; None without a limit (None, negative or 0)."""
    return 100 * float(used or 0) / float(limit) if limit and limit > 0 else None


def when(iso: Any) -> datetime | None:
    """The moment that a frame gives as ISO 8601; None when it can't be read."""
    try:
        return datetime.fromisoformat(iso)
    except (TypeError, ValueError):
        return None
