"""Edits of a text: a statement out of it with its separator and its line, and the guard into it."""

from __future__ import annotations

import re
from collections.abc import Iterable

from .outline import Statement

Edit = tuple[int, int, str]  # from, to, what stands there then
_AFTER = re.compile("[ \\t]*+(?:[,;][ \\t]*+)?")
_NEWLINE = re.compile("\\r?\\n|\\Z")
_REST_OF_LINE = re.compile("[ \\t]*+(?:(?:#|//)[^\\n\\r]*+)?(\\r?\\n)")


def edited(text: str, edits: Iterable[Edit]) -> str:
    """Return the text with all edits made; they don't overlap. A line of which nothing is left goes with its end."""
    joined: list[Edit] = []
    for start, end, new in sorted(edits):
        if joined and not new and not joined[-1][2] and joined[-1][1] == start:
            start = joined.pop()[0]
        joined.append((start, end, new))
    parts, at = [], 0
    for edit in joined:
        start, end, new = edit if edit[2] else _with_line(text, *edit)
        parts += [text[at:start], new]
        at = end
    return "".join([*parts, text[at:]])


def removal(text: str, statement: Statement) -> Edit:
    """The edit that takes a statement out, with the separator behind it; a comment there stays."""
    return statement.word, _AFTER.match(text, statement.end).end(), ""  # type: ignore[union-attr]


def _with_line(text: str, start: int, end: int, new: str) -> Edit:
    line = max(text.rfind("\n", 0, start), text.rfind("\r", 0, start)) + 1
    newline = _NEWLINE.match(text, end)
    if newline and not text[line:start].strip(" \t"):
        return line, newline.end(), new
    return start, end, new


def guard_edit(text: str, authorization: Statement, guard: str) -> Edit:
    """The edit that puts the guard first into a map of `authorization`."""
    at = authorization.opened + 1
    users = f'users: [ {{ nkey: "{guard}" }} ]'
    rest = _REST_OF_LINE.match(text, at)
    if rest is None:
        return at, at, f" {users},"
    line = text.rfind("\n", 0, authorization.word) + 1
    indent = text[line : authorization.word] if not text[line : authorization.word].strip(" \t") else ""
    return rest.end(), rest.end(), f"{indent}  {users}{rest[1]}"
