"""`${name}` and `${row.column}` in texts: found, never evaluated. `$$` is a dollar; every other `$` is itself."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

NAME = re.compile(r"[a-z][a-z0-9_]{0,31}", re.ASCII)
_FOUND = re.compile(r"\$\$|\$\{([^{}]*)(\}?)")


class Reference(NamedTuple):
    """What stands in `${…}`. column: of the row that `name` is, "" for the value itself."""

    name: str
    column: str = ""

    def __str__(self) -> str:
        return f"{self.name}.{self.column}" if self.column else self.name


@lru_cache(maxsize=1 << 14)
def pieces(text: str) -> tuple[str | Reference, ...]:
    """The literal parts and references of a text, in order. Raises ValueError with a sentence."""
    found: list[str | Reference] = []
    end = 0
    for match in _FOUND.finditer(text):
        found.append(text[end : match.start()])
        end = match.end()
        found.append("$" if match[0] == "$$" else _reference(match))
    return tuple(piece for piece in (*found, text[end:]) if piece != "")


def _reference(match: re.Match[str]) -> Reference:
    if not match[2]:
        raise ValueError("“${” has no “}” after it; write “$${” for a dollar and a brace.")
    parts = match[1].strip().split(".")
    if len(parts) > 2 or not all(NAME.fullmatch(part) for part in parts):
        raise ValueError(f"“${{{match[1][:40]}}}” is no reference: one looks like ${{name}} or ${{row.column}}.")
    return Reference(*parts)
