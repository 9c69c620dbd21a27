"""The server's own hash of a conf: sha256 of the Go-JSON of the parsed map and a new line.

Source: `conf/parse.go` ParseFileWithChecksDigest, and Go's encoding/json for the spelling of values.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

_GO_ESCAPES = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
_NEEDS_GO = re.compile("[<>&\u2028\u2029\x08\x0c\udc80-\udcff]")
_GO_TABLE = str.maketrans(
    {
        **_GO_ESCAPES,
        "\x08": "\\b",
        "\x0c": "\\f",
        **{chr(code): "\\ufffd" for code in range(0xDC80, 0xDD00)},  # a byte that is no UTF-8
    }
)


def digest(tree: Mapping[str, Any]) -> str:
    """The `config_digest` that a server reports for this tree: "sha256:" and 64 hex digits."""
    return "sha256:" + hashlib.sha256((canonical(tree) + "\n").encode()).hexdigest()


def canonical(value: Any) -> str:
    """The value as Go's encoding/json writes it: keys sorted by their bytes, no blanks, HTML escaped.

    Strings may hold bytes that are no UTF-8 (as surrogateescape); Go writes U+FFFD for each.
    """
    text = json.dumps(
        _plain(value), ensure_ascii=False, separators=(",", ":"), sort_keys=True, allow_nan=False, default=_other
    )
    return text.translate(_GO_TABLE) if _NEEDS_GO.search(text) else text


def _plain(value: Any) -> Any:
    """The value with floats, which Go spells its own way, as marked numbers; the same object when there are none."""
    if isinstance(value, dict):
        made = {key: _plain(item) for key, item in value.items()}
        return made if any(made[key] is not value[key] for key in made) else value
    if isinstance(value, list):
        items = [_plain(item) for item in value]
        return items if any(new is not old for new, old in zip(items, value, strict=True)) else value
    if isinstance(value, float):
        return _GoFloat(value)
    return value


class _GoFloat(float):
    """A float whose repr, which json.dumps writes, is Go's."""

    def __repr__(self) -> str:
        return go_float(float(self))


def go_float(value: float) -> str:
    """The shortest spelling that reads back the same, with an exponent only below 1e-6 and from 1e21 on.

    Source: Go, encoding/json floatEncoder.
    """
    if not math.isfinite(value):
        raise ValueError("JSON has no such number")
    sign = "-" if math.copysign(1, value) < 0 else ""
    digits, _, exponent = repr(abs(value)).partition("e")
    whole, _, fraction = digits.partition(".")
    fraction = "" if fraction == "0" else fraction
    point = len(whole) + int(exponent or 0)
    significant = (whole + fraction).lstrip("0")
    point -= len(whole + fraction) - len(significant)
    significant = significant.rstrip("0") or "0"
    if value == 0:
        return sign + "0"
    if abs(value) < 1e-6 or abs(value) >= 1e21:
        mantissa = significant[0] + ("." + significant[1:] if len(significant) > 1 else "")
        return f"{sign}{mantissa}e{'-' if point < 1 else '+'}{abs(point - 1):0{1 if point < 1 else 2}d}"
    if point <= 0:
        return f"{sign}0.{'0' * -point}{significant}"
    if len(significant) <= point:
        return sign + significant + "0" * (point - len(significant))
    return f"{sign}{significant[:point]}.{significant[point:]}"


def _other(value: Any) -> str:
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%SZ")
    raise TypeError(f"a conf tree holds no {type(value).__name__}")
