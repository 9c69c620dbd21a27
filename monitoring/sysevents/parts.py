"""Parts that several messages share."""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import Any

from .values import Malformed, Speaker

_DURATION = re.compile(r"([0-9.]+)(ns|µs|us|ms|s|m|h)")
_SECONDS = {"ns": 1e-9, "µs": 1e-6, "us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
ODD = (KeyError, TypeError, ValueError, AttributeError, OverflowError)  # what reading a message of another shape raises


def decode(data: bytes, most: int) -> dict[str, Any]:
    if len(data) > most:
        raise Malformed(f"{len(data)} bytes are too many")
    try:
        told = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise Malformed("no JSON") from error
    if not isinstance(told, dict):
        raise Malformed("no JSON object")
    return told


def speaker(told: dict[str, Any]) -> Speaker:
    metadata = told.get("metadata") or {}
    number = str(metadata.get("nunect_revision", ""))
    return Speaker(
        id=text(told["id"]),
        name=text(told["name"]),
        version=str(told.get("ver") or ""),
        cluster=str(told.get("cluster") or ""),
        host=str(told.get("host") or ""),
        revision=int(number) if number.isdecimal() else None,
        sha256=str(metadata.get("nunect_sha256", "")),
    )


def text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("a name is missing")
    return value


def limit(value: Any) -> int | None:
    """A limit or use; None for "unlimited", which servers write as -1 or the largest number."""
    if value is None:
        return None
    number = int(value)
    return None if number < 0 or number >= 2**63 - 1 else number


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def moment(text: Any) -> str | None:
    """A time as the server wrote it; None for its zero time."""
    return text if isinstance(text, str) and not text.startswith("0001-") else None


def seconds(text: str) -> float | None:
    """A duration as Go writes it ("1m2.5s", "673µs", also with d and y as CONNZ does); None for another text."""
    whole = 0.0
    rest = text
    for unit, worth in (("y", 365 * 86400.0), ("d", 86400.0)):
        head, found, tail = rest.partition(unit)
        if found and head.isdecimal():
            whole, rest = whole + int(head) * worth, tail
    parts = _DURATION.findall(rest)
    if "".join(number + unit for number, unit in parts) != rest or not text:
        return None
    return float(whole + sum(float(number) * _SECONDS[unit] for number, unit in parts))
