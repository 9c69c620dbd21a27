"""The root of all errors of the pure core."""

from __future__ import annotations


class NatsConfError(Exception):
    """Something about a conf is wrong; the text is a sentence for a person."""


class ConfSyntaxError(NatsConfError):
    """A conf text that the server's parser refuses; `line` and `column` count from 1."""

    def __init__(self, file: str, line: int, column: int, reason: str) -> None:
        super().__init__(f"{file}:{line}:{column}: {reason}")
        self.file = file
        self.line = line
        self.column = column
        self.reason = reason
