"""The server's own hash of a conf: sha256 of the Go-JSON of the parsed map and a new line.

Source: `conf/parse.go` ParseFileWithChecksDigest, and Go's encoding/json for the spelling of values.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from json.encoder import encode_basestring
from typing import Any

from .kept import Kept

_spelled = encode_basestring  # json.dumps of a string, in C, not made ASCII
_GO = str.maketrans(
    {
        "<": "\\u003c",
        ">": "\\u003e",
        "&": "\\u0026",
        "\u2028": "\\u2028",
        "\u2029": "\\u2029",
        **{chr(code): "\ufffd" for code in range(0xDC80, 0xDD00)},  # a byte that is no UTF-8, by Go 1.27
    }
)
_NEEDS_GO = re.compile("[<>&\u2028\u2029\udc80-\udcff]")


def digest(tree: Mapping[str, Any]) -> str:
    """The `config_digest` that a server reports for this tree: "sha256:" and 64 hex digits."""
    return "sha256:" + hashlib.sha256((canonical(tree) + "\n").encode()).hexdigest()


def canonical(value: Any) -> str:
    """The value as Go's encoding/json writes it: keys sorted by their bytes, no blanks, HTML escaped.

    Strings may hold bytes that are no UTF-8 (as surrogateescape); Go writes U+FFFD for each.
    """
    parts: list[str] = []
    _write(value, parts.append)
    return "".join(parts)


def _write(value: Any, out: Callable[[str], None]) -> None:
    if isinstance(value, str):
        out(_string(value))
    elif isinstance(value, Kept) and value.json is not None:
        out(value.json)
    elif isinstance(value, Kept):
        value.json = canonical(dict(value))
        out(value.json)
    elif isinstance(value, Mapping):
        before = "{"
        for key in sorted(value, key=_bytes):
            out(f"{before}{_string(key)}:")
            _write(value[key], out)
            before = ","
        out("}" if value else "{}")
    elif isinstance(value, list | tuple):
        before = "["
        for item in value:
            out(before)
            _write(item, out)
            before = ","
        out("]" if value else "[]")
    else:
        out(_scalar(value))


def _string(value: str) -> str:
    text = _spelled(value)
    return text.translate(_GO) if _NEEDS_GO.search(text) else text


def _bytes(key: str) -> bytes:
    return key.encode("utf-8", "surrogateescape")


def _scalar(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return go_float(value)
    if isinstance(value, datetime):
        return f'"{value.replace(tzinfo=None).isoformat(timespec="seconds")}Z"'
    raise TypeError(f"a conf tree holds no {type(value).__name__}")


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
