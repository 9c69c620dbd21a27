"""The rows of a table that somebody asks for: kept to accounts, filtered, searched and in order. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from monitoring.tables import TABLES, Table, Type

Row = Sequence[Any]
_WORDS: frozenset[Type] = frozenset(("text", "texts"))
FIRST = {  # the order of a table that nobody asked for
    "servers": "server",
    "accounts": "account",
    "connections": "-started_at",
    "failures": "-last_at",
    "streams": "account",
    "consumers": "-pending",
}


def filters_of(name: str) -> tuple[str, ...]:
    """The columns of a table that can be filtered by: those that hold text."""
    return tuple(column for column, kind in TABLES[name].items() if kind == "text")


def kept_to(table: Table, accounts: Collection[str] | None) -> Sequence[Row]:
    """The rows of these accounts, all for None. A row without an account is nobody's."""
    if accounts is None:
        return table.rows
    at, names = table.index("account"), frozenset(accounts) - {""}
    return [row for row in table.rows if row[at] in names]


def matching(table: Table, rows: Sequence[Row], equal: Mapping[str, str], search: str) -> Sequence[Row]:
    """The rows whose columns are exactly `equal`, and that hold `search` in any text, whatever its case."""
    for column, value in equal.items():
        at = table.index(column)
        rows = [row for row in rows if row[at] == value]
    if needle := search.casefold():
        words = [at for at, kind in enumerate(TABLES[table.name].values()) if kind in _WORDS]
        rows = [row for row in rows if needle in _text(row, words)]
    return rows


def _text(row: Row, words: Sequence[int]) -> str:
    cells = [row[at] for at in words]
    return "\x00".join(cell if isinstance(cell, str) else "\x00".join(cell or ()) for cell in cells).casefold()


def ordered(table: Table, rows: Sequence[Row], ordering: str) -> Sequence[Row]:
    """By a column, downwards with "-" before it; what is not known stands last either way."""
    column, down = ordering.removeprefix("-"), ordering.startswith("-")
    at, kind = table.index(column), TABLES[table.name][column]

    def worth(row: Row) -> Any:
        return row[at].casefold() if kind == "text" else row[at]

    known = sorted((row for row in rows if row[at] is not None), key=worth, reverse=down)
    return known if len(known) == len(rows) else [*known, *(row for row in rows if row[at] is None)]
