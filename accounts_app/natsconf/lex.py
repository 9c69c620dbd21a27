"""Conf text → the keys, values and brackets that stand in it, told to a `Sink` one after the other.

Follows the server's lexer in what it takes for a key or a value, odd readings included
(`conf/lex.go`); each is said where it happens.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any, Protocol, TypeAlias, TypeVar

from . import values

Scalar: TypeAlias = str | bool | int | float | datetime
State: TypeAlias = Callable[[], Any]  # returns the next State, or None at the end
Value = TypeVar("Value")

SPACE = "\\t\\n\\v\\f\\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
# Digits that are younger than the Unicode of the oldest Python we run on; any but 0-9 make a wrong number.
_YOUNG = "\U00010d40-\U00010d49\U000116d0-\U000116e3\U00011bf0-\U00011bf9\U00011de0-\U00011de9\U00011f50-\U00011f59"
_DIGIT = f"\\d{_YOUNG}\U0001ccf0-\U0001ccf9\U0001e4f0-\U0001e4f9\U0001e5f1-\U0001e5fa"
_COMMENT = "(?:#|//)[^\\n\\r\\0]*"
_GAP = re.compile(f"(?:[{SPACE}]+|{_COMMENT})*+")  # before a key or an array's value
_LINE_GAP = re.compile(f"(?:[ \\t]+|{_COMMENT})*+")  # after a value, within the line
_SLASH_GAP = re.compile("(?:[ \\t]+|/(?!/))*+")  # the same outside of maps, where a lone / is a blank
_BLOCK_GAP = re.compile(f"(?:[ \\t]+|/(?!/)|{_COMMENT})*+")
_CLOSE_GAP = re.compile("(?:[ \\t\\n\\r]+|/(?!/))*+")
_BLANKS = re.compile("[ \\t]*+")
_ASSIGN = re.compile(f"[{SPACE}]*+[=:]?[{SPACE}]*+")
_ANY_BLANKS = re.compile(f"[{SPACE}]*+")

# What nearly all of a large conf is made of, matched at once. For speed only: the states below read it as well.
_PAIR = re.compile(
    f'{_GAP.pattern}(?:("[^"\\0]*+")[{SPACE}]*+|([A-Za-z0-9_]++))[=:][{SPACE}]*+'
    '(?:"([^"\\\\\\0]*+)"([ \\t]*+[,;\\n\\r])?)?'
)
_ITEM = re.compile(_GAP.pattern + '"([^"\\\\\\0]*+)"([ \\t]*+[,\\n\\r])?')

_NAME = re.compile(f"[\\s\\S][^{SPACE}=:\\0]*+")
_QUOTED = re.compile("\"([^\"\\0]*+)\"|'([^'\\0]*+)'")
_INCLUDE = re.compile("[iI\u0130][nN][cC][lL][uU][dD][eE]\\Z")
_INCLUDED = re.compile("[^ \\t\\n\\r\\0;}']*+")
_NO_INCLUDED = re.compile(f"[\\[{{(\\-\\\\\\n\\r{_DIGIT}]")

_PLAIN = re.compile('"([^"\\\\\\0]*+)"')
_DOUBLE = re.compile('[^"\\\\\\0]*+')
_BARE = re.compile("[^ \\t\\n\\r\\0;,\\]}'\\\\]*+")
_ESCAPE = re.compile('\\\\(?:x([0-9A-Fa-f]{2})|([tnr"\\\\]))')
_ESCAPED = {"t": "\t", "n": "\n", "r": "\r", '"': '"', "\\": "\\"}
_LONG_END = re.compile("\\n\\)(?:(?=[\\n\\0])|\\Z)|\\0")
_BOOLEANS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}

_DIGITS = re.compile(f"[{_DIGIT}]++")
_SIZE = re.compile("[kKmMgGtTpPeE][bBiI]*+")
_AFTER_NUMBER = re.compile("[ \\t\\n\\r\\0;,}]|\\Z")
_ADDRESS = re.compile(f"[{_DIGIT}.:\\-]*+")
_DATE_LENGTH = len("2026-01-31T23:59:59Z")
_NO_ESCAPE = 'The only escapes are \\t, \\n, \\r, \\", \\\\ and \\x with two hexadecimal digits.'


class Sink(Protocol):
    """What is told; `offset` counts characters from the start of the text."""

    def key(self, name: str, offset: int) -> None: ...
    def value(self, value: Scalar, offset: int) -> None: ...
    def variable(self, name: str, offset: int) -> None: ...
    def include(self, path: str, offset: int) -> None: ...
    def open_map(self, offset: int) -> None: ...
    def open_array(self, offset: int) -> None: ...
    def close_map(self) -> None: ...
    def close_array(self) -> None: ...


class Refused(Exception):
    """The text can't be read on from `offset`."""

    def __init__(self, offset: int, reason: str) -> None:
        super().__init__(reason)
        self.offset = offset
        self.reason = reason


def lex(text: str, sink: Sink) -> None:
    """Tell `sink` what stands in `text`. Raises Refused."""
    Lexer(text, sink).run()


class Lexer:
    """One method a state; `after` holds the states to go on with when a value or a block is done.

    at: how far the text is read. When the sink is told of a value, that is its end, at times with the blanks
    and the separator behind it.
    """

    def __init__(self, text: str, sink: Sink) -> None:
        self.text = text
        self.sink = sink
        self.at = 0
        self.after: list[State] = []
        self.name = ""  # the last key

    def run(self) -> None:
        """Tell the sink all of it. Raises Refused."""
        state: State | None = self.top
        while state is not None:
            state = state()

    # Outside of any map: the top level, and the braces that may stand around it

    def top(self) -> State | None:
        character = self.peek(_GAP)
        if character == "{":
            self.at += 1
            self.after.append(self.top)
            return self.block
        return self.outer_key(character, self.top_end)

    def top_end(self) -> State:
        character = self.peek(_SLASH_GAP)
        if character not in "\n\r\0;,}#/":  # nor the end, which is ""
            raise Refused(self.at, "Expected the end of the line after this value.")
        if character and character not in "#/":
            self.at += 1
        return self.top

    def block(self) -> State | None:
        character = self.peek(_GAP)
        if character == "{":
            self.at += 1
            self.after.append(self.block_close)
            return self.block
        if character == "}":
            self.at += 1
            return self.after.pop()
        return self.outer_key(character, self.block_end)

    def block_end(self) -> State:
        character = self.peek(_BLOCK_GAP)
        if not character or character not in "\n\r;,}":
            raise Refused(self.at, "Expected the end of the line or a } after this value.")
        self.at += 1
        return self.after.pop() if character == "}" else self.block

    def block_close(self) -> State:
        character = self.peek(_CLOSE_GAP)
        if not character or character not in "#/;,}":
            raise Refused(self.at, "Expected a } here.")
        if character in "#/":
            return self.block
        self.at += 1
        return self.after.pop() if character == "}" else self.block

    def outer_key(self, character: str, end: State) -> State | None:
        if not character:
            return None
        if character in "/\0":
            raise Refused(self.at, "Expected a key.")
        if character in "=:":
            raise Refused(self.at, f"Expected a key before this {character}")
        self.after.append(end)
        start = self.at
        if character in "\"'":
            match = _QUOTED.match(self.text, start)
            if match is None:
                return self.open_key(start)
            self.name = match[0][1:-1]
            self.at = match.end()
        elif self.bare_key(start):
            return self.included
        self.sink.key(self.name, start)
        character = self.peek(_ANY_BLANKS)
        if character in "=:" and character:
            self.at += 1
        elif character in ("", "\0"):
            return self.end_after_key(start)
        return self.value()

    # Maps and arrays

    def map(self) -> State | None:
        while match := _PAIR.match(self.text, self.at):
            quoted, bare, text, ended = match.groups()
            if quoted is None:
                self.name, start = bare, match.start(2)
            else:
                self.name, start = quoted[1:-1], match.start(1)
            self.sink.key(self.name, start)
            self.at = match.end()
            if text is None:
                return self.map_value()
            self.sink.value(text, start)
            if ended is None:
                return self.map_end
        return self.map_key()

    def map_key(self) -> State | None:
        character = self.peek(_GAP)
        start = self.at
        if character == "}":
            self.at += 1
            return self.map_done()
        if not character:
            raise Refused(start, "Expected a key or a } here, not the end of the text.")
        if character in "]=:\0":
            raise Refused(start, "Expected a key or a } here.")
        if character in "\"'":
            match = _QUOTED.match(self.text, start)
            if match is None:
                raise Refused(start, "This key's quote doesn't end.")
            self.name = match[0][1:-1]
            self.at = match.end()
        elif self.bare_key(start + (character == "/")):  # a lone / is dropped, and what follows is a key
            self.after.append(self.map_end)
            return self.included
        elif self.text[self.at : self.at + 1] in ("", "\0"):
            raise Refused(start, "Expected a value after this key.")
        self.sink.key(self.name, start)
        self.at = _ASSIGN.match(self.text, self.at).end()  # type: ignore[union-attr]
        return self.map_value()

    def map_value(self) -> State | None:
        character = self.text[self.at : self.at + 1]
        if character == "}":  # closes the map, which the server then files under the key without a value
            self.at += 1
            return self.map_done()
        if character == ",":
            raise Refused(self.at, "Expected a value before this ,")
        self.after.append(self.map_end)
        return self.value()

    def map_end(self) -> State:
        character = self.peek(_LINE_GAP)
        if not character or character not in ",\n\r;/}":
            raise Refused(self.at, "Expected a , or a } after this value.")
        self.at += 1
        return self.map_done() if character == "}" else self.map

    def map_done(self) -> State:
        self.sink.close_map()
        return self.after.pop()

    def array(self) -> State | None:
        while match := _ITEM.match(self.text, self.at):
            self.at = match.end()
            self.sink.value(match[1], match.start(1) - 1)
            if match[2] is None:
                return self.array_end
        character = self.peek(_GAP)
        if character == "]":
            self.at += 1
            return self.array_done()
        if character in ",/" and character:
            raise Refused(self.at, "Expected a value or a ] here.")
        self.after.append(self.array_end)
        return self.value()

    def array_end(self) -> State:
        character = self.peek(_LINE_GAP)
        if not character or character not in ",\n\r/]":
            raise Refused(self.at, "Expected a , or a ] after this value.")
        self.at += 1
        return self.array_done() if character == "]" else self.array

    def array_done(self) -> State:
        self.sink.close_array()
        return self.after.pop()

    # Keys and includes

    def bare_key(self, start: int) -> bool:
        """Read a bare key and return whether it is the word `include`."""
        match = _NAME.match(self.text, start)
        if match is None:
            raise Refused(start, "Expected a key, not the end of the text.")
        self.name = match[0]
        self.at = match.end()
        return (
            len(self.name) == 7
            and _INCLUDE.match(self.name) is not None
            and self.text[self.at : self.at + 1] not in ("", "=", ":", "\0")
        )

    def included(self) -> State:
        character = self.peek(_BLANKS)
        start = self.at
        if character in "\"'" and character:
            match = _QUOTED.match(self.text, start)
            if match is None:
                raise Refused(start, "The quote around this file's name doesn't end.")
            path = match[0][1:-1]
            self.at = match.end()
        elif _NO_INCLUDED.match(character):
            raise Refused(start, "Expected the name of a file to include; best write it in quotes.")
        else:
            self.at = _INCLUDED.match(self.text, start).end()  # type: ignore[union-attr]
            path = self.text[start : self.at]
            self.at += self.text.startswith("'", self.at)
        self.sink.include(path, start)
        return self.after.pop()

    # Values

    def value(self) -> State | None:
        character = self.peek(_BLANKS)
        start = self.at
        if character == '"':
            return self.double(start)
        if character == "{":
            self.at += 1
            self.sink.open_map(start)
            return self.map
        if character == "[":
            self.at += 1
            self.sink.open_array(start)
            return self.array
        if character == "'":
            match = _QUOTED.match(self.text, start)
            return self.done(match[2], start, match.end()) if match else self.open_value(start, start + 1)
        if character == "(":
            return self.long(start)
        if character == "-" or _DIGITS.match(character):
            return self.number(start)
        if character == ".":
            raise Refused(start, "A number starts with a digit, not with a point.")
        if character in ("\n", "\r"):
            raise Refused(start, "Expected a value before the end of the line.")
        return self.bare(start)

    def done(self, value: Scalar, start: int, end: int) -> State:
        self.at = end
        self.sink.value(value, start)
        return self.after.pop()

    def double(self, start: int) -> State | None:
        match = _PLAIN.match(self.text, start)
        if match is not None:
            return self.done(match[1], start, match.end())
        self.at = start + 1
        text, piece = self.escaped(_DOUBLE, self.at)
        if self.text.startswith('"', self.at):
            return self.done(text, start, self.at + 1)
        return self.open_value(start, piece)

    def bare(self, start: int) -> State:
        """A value without quotes, read up to here: a boolean, a variable or a string.

        A ' ends it and is dropped.
        """
        self.at = _BARE.match(self.text, self.at).end()  # type: ignore[union-attr]
        text = self.text[start : self.at]
        if self.text.startswith("\\", self.at):
            text, _ = self.escaped(_BARE, start)
        elif self.text.startswith("'", self.at):
            pass
        elif text.startswith("$"):
            self.sink.variable(text[1:], start)
            return self.after.pop()
        elif len(text) < 6 and text.lower() in _BOOLEANS:
            return self.done(_BOOLEANS[text.lower()], start, self.at)
        return self.done(text, start, self.at + self.text.startswith("'", self.at))

    def escaped(self, run: re.Pattern[str], start: int) -> tuple[str, int]:
        """Read runs of characters and the escapes between them.

        Return them and where the last run begins.
        """
        parts = []
        while True:
            self.at = run.match(self.text, self.at).end()  # type: ignore[union-attr]
            parts.append(self.text[start : self.at])
            if not self.text.startswith("\\", self.at):
                return rejoin("".join(parts)), start
            match = _ESCAPE.match(self.text, self.at)
            if match is None:
                raise Refused(self.at, _NO_ESCAPE)
            code, letter = match.groups()
            parts.append(_ESCAPED[letter] if letter else _byte(int(code, 16)))
            self.at = start = match.end()

    def long(self, start: int) -> State:
        """( up to a ) that stands alone on its line. On the very last line that ) is part of the string."""
        match = _LONG_END.search(self.text, start)
        if match is None or match[0] == "\0":
            raise Refused(start, "Expected a line with nothing but a ) after this (")
        end = match.end()
        return self.done(self.text[start + 1 : end - (end < len(self.text))], start, end)

    def number(self, start: int) -> State:
        """What starts like a number: one, a date, an address, or a string after all."""
        negative = self.text[start] == "-"
        self.at += negative
        self.digits()
        character = self.text[self.at : self.at + 1]
        if character == ".":
            return self.point(start)
        match = _SIZE.match(self.text, self.at)
        if match is not None:
            self.at = match.end()
            return self.whole(start) if _AFTER_NUMBER.match(self.text, self.at) else self.bare(start)
        if negative or _AFTER_NUMBER.match(self.text, self.at):
            return self.whole(start)
        if character == "-":
            return self.read(values.moment, start, start + _DATE_LENGTH)
        self.at += 1  # taken whatever it is: [1] is an array without an end, whose first string is 1]
        return self.bare(start)

    def point(self, start: int) -> State:
        self.at += 1
        self.digits()
        if not self.text.startswith(".", self.at):
            return self.read(values.real, start, self.at)
        end = _ADDRESS.match(self.text, self.at).end()  # type: ignore[union-attr]
        return self.done(self.text[start:end], start, end)

    def whole(self, start: int) -> State:
        number = self.converted(values.integer, start, self.at)
        if number is not None:
            self.sink.value(number, start)
        return self.after.pop()

    def read(self, convert: Callable[[str], Scalar], start: int, end: int) -> State:
        return self.done(self.converted(convert, start, end), start, end)

    def converted(self, convert: Callable[[str], Value], start: int, end: int) -> Value:
        try:
            return convert(self.text[start:end])
        except ValueError as error:
            raise Refused(start, str(error)) from error

    def digits(self) -> None:
        match = _DIGITS.match(self.text, self.at)
        if match is None:
            raise Refused(self.at, "Expected a digit.")
        self.at = match.end()

    def peek(self, gap: re.Pattern[str]) -> str:
        """Skip `gap`, which always matches, and return the next character, "" at the end."""
        self.at = gap.match(self.text, self.at).end()  # type: ignore[union-attr]
        return self.text[self.at : self.at + 1]

    # Ends of the text that the server takes for good

    def end_after_key(self, start: int) -> State | None:
        if self.name != "}":  # the last } of JSON
            raise Refused(start, "Expected a value after this key.")
        return None

    def open_value(self, start: int, piece: int) -> State | None:
        """A quote after which, or after whose last escape, nothing stands."""
        if piece < len(self.text):
            raise Refused(start, "This quote doesn't end.")
        return None if self.after[-1] == self.array_end else self.end_after_key(start)

    def open_key(self, start: int) -> State | None:
        if self.text[start + 1 : start + 2] not in ("", "\0"):
            raise Refused(start, "This key's quote doesn't end.")
        return None


def rejoin(text: str) -> str:
    """The text with bytes (surrogateescape) that are UTF-8 together as the character they make."""
    return text if text.isascii() else text.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")


def _byte(code: int) -> str:
    return chr(code if code < 0x80 else 0xDC00 + code)
