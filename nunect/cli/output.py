"""What a person reads: tables, states in colour, diffs; and the JSON that a program reads."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click

COLOURS = {
    **dict.fromkeys(("applied", "in_sync", "ok", "ready", "approved", "repaired", "adopted", "done"), "green"),
    **dict.fromkeys(("pending", "warning", "open", "foreign", "queued", "running", "waiting", "waits"), "yellow"),
    **dict.fromkeys(("drifted", "leaving", "undoing", "cancelled", "rolled_back"), "yellow"),
    **dict.fromkeys(("held", "failed", "error", "refused", "unreachable", "not ready"), "red"),
}
MANY = {"account with access": "accounts with access"}  # plurals that take more than an s
SHOWN = 100  # lines of one kind that are printed for a person; --json has them all
_SELDOM = ("retiring",)  # columns that are left out when they say nothing
_COLOURED = ("sync", "state", "level")


def say(text: str = "", *, err: bool = False) -> None:
    """A line for the person; err: beside what a program reads."""
    click.echo(text, err=err)


def print_json(data: Any, *, err: bool = False) -> None:
    """The answer as it came, readable; what would move a terminal's cursor is escaped."""
    told = {} if data is None else data
    text = json.dumps(told, indent=2, ensure_ascii=False)
    if not text.replace("\n", "").isprintable():
        text = json.dumps(told, indent=2)
    say(text, err=err)


def word(state: str) -> str:
    """A state in its colour."""
    return click.style(state, fg=COLOURS[state]) if state in COLOURS else state


def plain(text: str) -> str:
    """The text without what would move a terminal's cursor or change its colours."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else _escaped(ord(each)) for each in text)


def columns_of(text: str) -> int:
    """How many columns of a terminal a printable text takes: a wide character takes two, an accent none."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(each) else 1 + (unicodedata.east_asian_width(each) in "WF") for each in text)


def cell(value: Any) -> str:
    """A value of a row in one line."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        if "state" in value:
            return plain(str(value["state"]))
        return plain(_first(value, ("text", "subject", "person", "name")) or json.dumps(value, ensure_ascii=False))
    if isinstance(value, list):
        return ", ".join(cell(each) for each in value)
    return plain(str(value))


def rule(value: Any) -> str:
    """A permission as one says it: “allow publish orders.>”."""
    if not isinstance(value, Mapping):
        return plain(str(value))
    words = (value.get(name) or "" for name in ("effect", "action", "subject", "queue"))
    return plain(" ".join(filter(None, map(str, words))))


def table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """Aligned columns with a head; a column that no row has is left out, numbers stand at the right."""
    names = [name for name in columns if any(row.get(name) if name in _SELDOM else name in row for row in rows)]
    cells = [[_in_table(name, row.get(name)) for name in names] for row in rows]
    heads = [name.upper().replace("_", " ") for name in names]
    widths = [max(map(columns_of, column)) for column in zip(heads, *cells, strict=True)]
    right = [all(_is_number(row.get(name)) for row in rows) for name in names]
    styled = [
        click.style(_padded(head, width, to_the_right), bold=True)
        for head, width, to_the_right in zip(heads, widths, right, strict=True)
    ]
    say("  ".join(styled).rstrip())
    for texts in cells:
        told = []
        for name, text, width, to_the_right in zip(names, texts, widths, right, strict=True):
            padded = _padded(text, width, to_the_right)
            told.append(padded.replace(text, word(text), 1) if name in _COLOURED and text else padded)
        say("  ".join(told).rstrip())


def details(row: Mapping[str, Any]) -> None:
    """One row, a field a line."""
    width = max(map(len, row), default=0)
    for name, value in row.items():
        label = click.style(name, dim=True) + " " * (width - len(name))
        if name == "permissions" and isinstance(value, list):
            lines = [rule(each) for each in value]
        elif isinstance(value, list) and value and isinstance(value[0], Mapping):
            lines = [cell(each) for each in value]
        elif isinstance(value, Mapping) and "state" in value:
            lines = [f"{word(cell(value))} {plain(str(value.get('problem') or ''))}".rstrip()]
        elif name.startswith("max_") and value in (-1, "0s"):
            lines = ["no limit"]
        else:
            lines = [word(cell(value)) if name in _COLOURED else cell(value)]
        say(f"{label}  {lines[0] if lines else ''}".rstrip())
        for line in lines[1:]:
            say(f"{'':{width}}  {line}")


def diff(text: str, *, err: bool = False) -> None:
    """A unified diff in colours."""
    for line in text.split("\n"):
        told = plain(line.expandtabs())
        if line.startswith(("+++", "---")):
            told = click.style(told, bold=True)
        elif line.startswith("@@"):
            told = click.style(told, fg="cyan")
        elif line.startswith(("+", "-")):
            told = click.style(told, fg="green" if line[0] == "+" else "red")
        elif not line.startswith(" "):  # what the lines below are of
            told = click.style(told, bold=True)
        say(told, err=err)


def count(number: int, one: str, many: str = "") -> str:
    """ "1 user", "10,000 users"."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def rows_of(kind: str, number: int) -> str:
    """ "3 users"; kind: what one such row is called."""
    return count(number, kind, MANY.get(kind, ""))


def lines_of(texts: Iterable[str], *, err: bool = False) -> None:
    """Lines, the first SHOWN of them."""
    told = list(texts)
    for text in told[:SHOWN]:
        say(text, err=err)
    if len(told) > SHOWN:
        say(f"  … and {len(told) - SHOWN:,} more (--json prints all)", err=err)


def _first(value: Mapping[str, Any], names: Sequence[str]) -> str:
    return next((str(value[name]) for name in names if value.get(name)), "")


def _in_table(name: str, value: Any) -> str:
    if name == "permissions" and isinstance(value, list):
        return count(len(value), "rule")
    if name == "counts" and isinstance(value, Mapping):
        return count(int(value["messages"]), "message") if value.get("messages") is not None else ""
    if name.endswith("at") and isinstance(value, str) and len(value) > 19 and value[10:11] == "T":
        return plain(f"{value[:10]} {value[11:19]}{'Z' if value.endswith('Z') else value[-6:]}")
    return cell(value)


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _padded(text: str, width: int, to_the_right: bool) -> str:
    space = " " * (width - columns_of(text))
    return space + text if to_the_right else text + space


def _escaped(number: int) -> str:
    return f"\\x{number:02x}" if number < 256 else f"\\u{number:04x}" if number < 65_536 else f"\\U{number:08x}"
