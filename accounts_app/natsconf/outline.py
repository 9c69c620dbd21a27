"""Conf texts → their statements and where each begins and ends, so that some can be taken out and no others touched.

Statements are told of the top level and of `authorization`, through includes; what stands deeper is part of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from .lex import Lexer, Refused, Scalar
from .parse import Position, join

Level = Literal["top", "authorization", "deep"]
_NO_VALUE = "This key has no value."


class CantOutline(Exception):
    """A text whose statements can't be told apart; `offset` is where, `reason` a sentence."""

    def __init__(self, file: File, offset: int, reason: str) -> None:
        super().__init__(reason)
        self.position = file.position(offset)
        self.reason = reason


@dataclass(eq=False, slots=True)
class Statement:
    """`name: value`, or an include (then `included` is set, and start…end is the path in its quotes).

    text[start:end] is the statement without the separator behind it; `word` is where it begins with its first
    word, which for an include is that very word. uses: the statements whose values it takes as variables.
    inside: the files that are included deeper in its value. body, opened: of a map written out under
    `authorization`, its own statements and where its brace stands.
    """

    file: File = field(repr=False)
    name: str
    word: int
    start: int
    end: int
    uses: list[Statement] = field(default_factory=list, repr=False)
    inside: set[str] = field(default_factory=set, repr=False)
    body: list[Statement] | None = field(default=None, repr=False)
    opened: int = -1
    included: File | None = None

    @property
    def position(self) -> Position:
        """Where it begins."""
        return self.file.position(self.word)


@dataclass(eq=False, slots=True)
class File:
    """One reading of a file: one that is included twice is two of them."""

    name: str
    text: str = field(repr=False)
    statements: list[Statement] = field(default_factory=list, repr=False)

    def position(self, offset: int) -> Position:
        """Line and column of an offset, counted from 1."""
        line_start = self.text.rfind("\n", 0, offset) + 1
        return Position(self.name, self.text.count("\n", 0, offset) + 1, offset - line_start + 1)


def outline(text: str, file: str, read: Callable[[str], str]) -> File:
    """Return the statements of a conf that `parse` can read. Raises CantOutline."""
    main = File(file, text)
    _Reader(main, read, "top").read()
    return main


@dataclass(slots=True)
class _Frame:
    """A map or array that is open. names: what its keys define, None for an array; statements: None where
    nobody asks for them."""

    names: dict[str, Statement | None] | None
    level: Level
    statements: list[Statement] | None = None
    opened: int = -1
    uses: list[Statement] = field(default_factory=list)
    inside: set[str] = field(default_factory=set)


class _Reader:
    """A Sink that follows one file as `parse` does, and remembers places instead of values."""

    def __init__(self, file: File, read: Callable[[str], str], level: Level) -> None:
        self.file, self.reader = file, read
        self.inside: set[str] = set()  # files that a file without statements of interest includes
        self.lexer = Lexer(file.text, self)
        self.names: dict[str, Statement | None] = {}
        self.frames = [_Frame(self.names, level, None if level == "deep" else file.statements)]
        self.keys: list[tuple[str, int, int]] = []

    def read(self) -> None:
        try:
            self.lexer.run()
        except Refused as refused:
            raise CantOutline(self.file, refused.offset, refused.reason) from None
        if self.keys:
            raise CantOutline(self.file, self.keys[-1][1], _NO_VALUE)

    # The Sink

    def key(self, name: str, offset: int) -> None:
        self.keys.append((name, offset, len(self.frames)))

    def value(self, value: Scalar, offset: int) -> None:
        self.put(None)

    def variable(self, name: str, offset: int) -> None:
        for frame in reversed(self.frames):
            if frame.names is not None and name in frame.names:
                found, scoped = frame.names[name], self.scoped()
                if found is not None and scoped is not None:
                    scoped.uses.append(found)
                break
        self.put(None)

    def open_map(self, offset: int) -> None:
        outer = self.frames[-1]
        if outer.level == "top" and self.keys and self.keys[-1][0].lower() == "authorization":
            self.frames.append(_Frame({}, "authorization", [], offset))
        else:
            self.frames.append(_Frame({}, "deep"))

    def open_array(self, offset: int) -> None:
        self.frames.append(_Frame(None, "deep"))

    def close_map(self) -> None:
        self.put(self.frames.pop())

    def close_array(self) -> None:
        self.put(self.frames.pop())

    def include(self, path: str, offset: int) -> None:
        here, text = self.frames[-1], self.file.text
        name = join(self.file.name, path)
        file = File(name, self.reader(name))
        inner = _Reader(file, self.reader, here.level)
        inner.read()
        assert here.names is not None  # noqa: S101 - an include stands in a map
        if here.statements is None:
            scoped = self.scoped()
            (self.inside if scoped is None else scoped.inside).update(inner.inside, {name})
            here.names.update(dict.fromkeys(inner.names))
            return
        word = len(text[:offset].rstrip(" \t")) - len("include")
        here.statements.append(Statement(self.file, "", word, offset, self.lexer.at, included=file))
        here.names.update(inner.names)

    def put(self, closed: _Frame | None) -> None:
        """A value is complete. closed: the map or array that it is."""
        here = self.frames[-1]
        if here.names is None:
            return
        if not self.keys or self.keys[-1][2] != len(self.frames):
            raise CantOutline(self.file, self.keys[-1][1] if self.keys else self.lexer.at, _NO_VALUE)
        name, start, _ = self.keys.pop()
        here.names[name] = None
        if here.statements is None:
            return
        end = len(self.file.text[: self.lexer.at].rstrip(" \t\r\n,;"))
        made = Statement(self.file, name, start, start, end, here.uses, here.inside)
        if closed is not None and closed.statements is not None:
            made.body, made.opened = closed.statements, closed.opened
        here.uses, here.inside = [], set()
        here.names[name] = made
        here.statements.append(made)

    def scoped(self) -> _Frame | None:
        """The innermost open map whose statements are told apart."""
        return next((frame for frame in reversed(self.frames) if frame.statements is not None), None)
