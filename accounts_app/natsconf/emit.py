"""Tree → text that the server's parser reads back as the same tree.

Values are quoted with the only escapes that the server knows; keys have none (`conf/lex.go`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from .errors import NatsConfError
from .kept import Kept
from .lex import SPACE

WIDTH = 110  # what fits into so many columns stands on one line
_INDENT = "  "
_ESCAPED = re.compile(r'["\\\x00-\x1f\x7f\udc80-\udcff]')
_SHORT = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_BARE_KEY = re.compile(rf"[^\"'#/{{{{}}}}\]{SPACE}=:][^{SPACE}=:]*\Z")  # tried only where no quotes are left
_NOT_PLAIN = frozenset({"include", "true", "false", "on", "off", "yes", "no"})


class NotWritable(NatsConfError):
    """A key that no spelling of the conf grammar can hold."""


def emit(tree: Mapping[str, Any]) -> str:
    """The whole conf, one top-level key after the other, in the map's own order.

    Only keys can leave bytes that are no UTF-8 in the text (surrogateescape). Raises NotWritable for a
    key with NUL, or with both kinds of quotes and something that ends a bare key.
    """
    return "".join(f"{_entry(key, value, 0)}\n" for key, value in tree.items())


def emit_value(value: Any, level: int) -> str:
    """One value as it stands after its key; `level` is how deep its own lines are indented."""
    if not isinstance(value, Kept):
        return _lines(value, level)
    if value.text is None or value.text[0] != level:
        value.text = (level, _lines(value, level))
    return value.text[1]


def _lines(value: Any, level: int) -> str:
    short = _one_line(value)
    if short is not None and len(short) + len(_INDENT) * level <= WIDTH:
        return short
    inner, outer = _INDENT * (level + 1), _INDENT * level
    if isinstance(value, Mapping):
        lines = [f"{inner}{_entry(key, item, level + 1)}\n" for key, item in value.items()]
        return "{\n" + "".join(lines) + outer + "}"
    if isinstance(value, list | tuple):
        lines = [f"{inner}{emit_value(item, level + 1)}\n" for item in value]
        return "[\n" + "".join(lines) + outer + "]"
    return _scalar(value)


def quote(value: str) -> str:
    """A string value. Bytes that are no UTF-8 (surrogateescape) and control characters become \\xHH."""
    return f'"{_ESCAPED.sub(_escape, value)}"' if _ESCAPED.search(value) else f'"{value}"'


def quote_key(key: str) -> str:
    """A map key: bare when that is safe, else quoted. Raises NotWritable."""
    if _PLAIN_KEY.match(key) and key.lower() not in _NOT_PLAIN:
        return key
    if "\x00" not in key:
        if '"' not in key:
            return f'"{key}"'
        if "'" not in key:
            return f"'{key}'"
        if _BARE_KEY.match(key):
            return key
    raise NotWritable("A name with NUL or with both kinds of quotes can't be written in a NATS conf.")


def _escape(match: re.Match[str]) -> str:
    character = match[0]
    code = ord(character)
    return _SHORT.get(character) or f"\\x{code - 0xDC00 if code > 0xDC00 else code:02x}"


def _entry(key: str, value: Any, level: int) -> str:
    return f"{quote_key(key)}: {emit_value(value, level)}"


def _one_line(value: Any, budget: int = WIDTH) -> str | None:
    """The value without a new line, None as soon as it is sure not to fit."""
    if isinstance(value, Mapping):
        if not value:
            return "{}"
        parts = []
        for key, item in value.items():
            part = _one_line(item, budget)
            if part is None:
                return None
            parts.append(f"{quote_key(key)}: {part}")
            budget -= len(parts[-1]) + 2
            if budget < 0:
                return None
        return "{ " + ", ".join(parts) + " }"
    if isinstance(value, list | tuple):
        parts = []
        for item in value:
            part = _one_line(item, budget)
            if part is None:
                return None
            parts.append(part)
            budget -= len(part) + 2
            if budget < 0:
                return None
        return _row(parts)
    return _scalar(value)


def _row(items: list[str]) -> str:
    """An array on one line. A blank ends a number, since 1] would be read as a string (`conf/lex.go`)."""
    blank = " " if items and items[-1][-1].isdecimal() else ""
    return "[" + ", ".join(items) + blank + "]"


def _scalar(value: Any) -> str:
    if isinstance(value, str):
        return quote(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        text = format(Decimal(repr(value)), "f")  # the grammar knows no exponent
        return text if "." in text else f"{text}.0"
    if isinstance(value, datetime):
        return value.replace(tzinfo=None).isoformat(timespec="seconds") + "Z"
    raise TypeError(f"a conf tree holds no {type(value).__name__}")
