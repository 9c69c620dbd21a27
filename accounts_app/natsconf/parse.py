"""Conf text → the tree that the server's parser makes of it, and where each value stands.

Follows `conf/parse.go`; reading the characters is `lex.py`. What the server would take but no
person means (thousands of levels, an include of itself, values multiplied by variables until the
memory is full) is refused.
"""

from __future__ import annotations

import posixpath
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, TypeAlias

from .errors import ConfSyntaxError
from .lex import Refused, Scalar, lex, rejoin

MAX_LEVELS = 100
MAX_INCLUDES = 100_000
MAX_REPEATED = 1_000_000  # values that stand in the tree more than once, by variables

Path: TypeAlias = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a conf file; line and column count from 1, columns in characters."""

    file: str
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a conf says.

    `positions` holds for the path of each value (map keys and array indexes) where its key, or
    the array's item, stands. `variables` are those taken from the environment, `includes` the
    files read besides the first. A value that a variable repeats is the same object in `tree`;
    `repeated` are the top keys whose value one does.
    """

    tree: dict[str, Any]
    positions: Mapping[Path, Position]
    variables: dict[str, Position]
    includes: tuple[str, ...]
    repeated: frozenset[str] = frozenset()


def parse(
    text: str,
    *,
    file: str = "<conf>",
    read: Callable[[str], str] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Parsed:
    """Return what the server would understand. Raises ConfSyntaxError.

    `read` returns the text of an included file, whose path is already joined to the folder of the
    including one; `environ` is the environment of the server. Text may hold bytes that are no
    UTF-8 as surrogateescape; the tree then holds them too.
    """
    run = _Run(read, environ or {})
    parser = _Parser(run, run.file(file, text), inside=(posixpath.normpath(file),))
    parser.parse()
    repeated = frozenset(key for key, mark in parser.marks.items() if _outer(mark) in run.repeats)
    return Parsed(parser.tree, _Positions(run.files, parser.marks), run.variables, tuple(run.includes), repeated)


class _File:
    """A text, and where its lines begin; the value of an environment variable is all at one `place`.

    A mark is an offset into all texts of one call laid end to end; this one's begin at `base`.
    """

    def __init__(self, name: str, text: str, base: int, place: Position | None = None) -> None:
        self.name = name
        self.text = text
        self.base = base
        self.place = place
        self._lines: list[int] = []

    def position(self, offset: int) -> Position:
        if self.place is not None:
            return self.place
        lines = self._lines or self._find_lines()
        line = bisect_right(lines, offset)
        return Position(self.name, line, offset - lines[line - 1] + 1)

    def _find_lines(self) -> list[int]:
        at = 0
        while at >= 0:
            self._lines.append(at)
            at = self.text.find("\n", at) + 1 or -1
        return self._lines


# Beside each map or array its marks: where the key or item stands, and the marks inside its value.
# There are as many as values, so they are kept small: most are one number.
_Marks: TypeAlias = "dict[str, _Mark] | list[_Mark]"
_Mark: TypeAlias = "int | tuple[int, _Marks]"


class _Run:
    """What all files of one call share."""

    def __init__(self, read: Callable[[str], str] | None, environ: Mapping[str, str]) -> None:
        self.read = read
        self.environ = environ
        self.files: list[_File] = []
        self.variables: dict[str, Position] = {}
        self.includes: dict[str, None] = {}
        self.included = 0
        self.repeated = 0
        self.repeats: set[int] = set()  # where the keys stand whose values variables repeat

    def file(self, name: str, text: str, place: Position | None = None) -> _File:
        base = self.files[-1].base + len(self.files[-1].text) + 1 if self.files else 0
        self.files.append(_File(name, text, base, place))
        return self.files[-1]


class _Positions(Mapping[Path, Position]):
    """Positions, worked out when asked for: most callers want few of very many."""

    def __init__(self, files: list[_File], marks: _Marks) -> None:
        self._files = files
        self._marks = marks

    def __getitem__(self, path: Path) -> Position:
        mark: _Mark | None = (0, self._marks) if path else None
        for step in path:
            marks = mark[1] if isinstance(mark, tuple) else None
            if isinstance(marks, dict):
                mark = marks.get(step) if isinstance(step, str) else None
            elif isinstance(marks, list) and isinstance(step, int) and 0 <= step < len(marks):
                mark = marks[step]
            else:
                mark = None
        if mark is None:
            raise KeyError(path)
        offset = _outer(mark)
        file = self._files[bisect_right(self._files, offset, key=attrgetter("base")) - 1]
        return file.position(offset - file.base)

    def __iter__(self) -> Iterator[Path]:
        todo: list[tuple[Path, _Marks]] = [((), self._marks)]
        while todo:
            path, marks = todo.pop()
            for step, mark in marks.items() if isinstance(marks, dict) else enumerate(marks):
                yield (*path, step)
                if isinstance(mark, tuple):
                    todo.append(((*path, step), mark[1]))

    def __len__(self) -> int:
        return sum(1 for _ in self)


class _Parser:
    """One file, or one value from the environment: a Sink that builds the tree.

    `inside` are the files that are open now, outermost first; `asked` are the environment
    variables whose values are being read, `level` is how deep the tree will stand.
    """

    def __init__(
        self, run: _Run, file: _File, inside: tuple[str, ...], level: int = 0, asked: frozenset[str] = frozenset()
    ) -> None:
        self.run = run
        self.file = file
        self.inside = inside
        self.base = file.base
        self.level = level
        self.asked = asked
        self.tree: dict[str, Any] = {}
        self.marks: dict[str, _Mark] = {}
        self.open: list[tuple[dict[str, Any] | list[Any], Any, int]] = []  # outer values, marks, offsets
        self.here: dict[str, Any] | list[Any] = self.tree
        self.here_marks: Any = self.marks
        self.keys: list[tuple[str, int]] = []

    def parse(self) -> None:
        try:
            self.file.text = _clean(self.file.text)
            lex(self.file.text, self)
        except Refused as refused:
            place = self.file.position(refused.offset)
            raise ConfSyntaxError(place.file, place.line, place.column, refused.reason) from None

    # The Sink

    def key(self, name: str, offset: int) -> None:
        self.keys.append((name, offset))

    def value(self, value: Scalar, offset: int) -> None:
        self.put(value, offset, None)

    def open_map(self, offset: int) -> None:
        self.enter({}, {}, offset)

    def open_array(self, offset: int) -> None:
        self.enter([], [], offset)

    def close_map(self) -> None:
        self.close()

    def close_array(self) -> None:
        self.close()

    def variable(self, name: str, offset: int) -> None:
        if name.startswith("2a$"):  # a bcrypt hash without quotes
            return self.value("$" + name, offset)
        for here, marks in [(self.here, self.here_marks), *[(here, marks) for here, marks, _ in reversed(self.open)]]:
            if isinstance(here, dict) and name in here:
                self.repeat(here[name], offset)
                self.run.repeats.add(_outer(marks[name]))
                return self.put(here[name], offset, _inner(marks[name]))
        self.from_environment(name, offset)
        return None

    def include(self, path: str, offset: int) -> None:
        run = self.run
        if run.read is None:
            raise Refused(offset, f"The file {path} can't be included here: give its content instead.")
        joined = join(self.file.name, path)
        if joined in self.inside:
            raise Refused(offset, f"The file {joined} includes itself.")
        run.included += 1
        if run.included > MAX_INCLUDES or len(self.inside) > MAX_LEVELS:
            raise Refused(offset, "Too many files include each other.")
        try:
            text = run.read(joined)
        except OSError as error:
            raise Refused(offset, f"The file {joined} can't be read: {error.strerror or error}.") from error
        run.includes[joined] = None
        inner = _Parser(run, run.file(joined, text), (*self.inside, joined), self.level + len(self.open))
        inner.parse()
        assert isinstance(self.here, dict)  # noqa: S101 - a key stands in a map
        self.here.update(inner.tree)
        self.here_marks.update(inner.marks)

    # Building

    def put(self, value: Any, offset: int, marks: _Marks | None) -> None:
        """Set the value under the last key that has none yet.

        It need not be the key that stands before the value: one without a value stays behind.
        """
        if isinstance(self.here, list):
            self.here.append(value)
            self.here_marks.append(self.base + offset if marks is None else (self.base + offset, marks))
        else:
            key, offset = self.keys.pop()
            self.here[key] = value
            self.here_marks[key] = self.base + offset if marks is None else (self.base + offset, marks)

    def enter(self, value: dict[str, Any] | list[Any], marks: Any, offset: int) -> None:
        self.open.append((self.here, self.here_marks, offset))
        self.deep(len(self.open), offset)
        self.here, self.here_marks = value, marks

    def close(self) -> None:
        value, marks = self.here, self.here_marks
        self.here, self.here_marks, offset = self.open.pop()
        self.put(value, offset, marks)

    def from_environment(self, name: str, offset: int) -> None:
        """The value is read as conf text, in which variables may stand as well."""
        place = self.file.position(offset)
        if name in self.asked:
            raise Refused(offset, f"The variable ${name} stands for itself.")
        text = self.run.environ.get(name)
        if text is None:
            raise Refused(
                offset, f"Nothing above defines ${name}: give its value from the server's environment (--env {name}=…)."
            )
        self.count(1, offset)
        file = self.run.file("", f"pk={text}", place)
        inner = _Parser(self.run, file, self.inside, self.level + len(self.open), self.asked | {name})
        try:
            inner.parse()
        except ConfSyntaxError as error:
            if (error.file, error.line, error.column) != (place.file, place.line, place.column):
                raise
            raise Refused(offset, f"The value of ${name} from the environment: {error.reason}") from error
        if "pk" not in inner.tree:
            raise Refused(offset, f"The value of ${name} from the environment is none.")
        self.run.variables.setdefault(name, place)
        self.put(inner.tree["pk"], offset, _inner(inner.marks["pk"]))

    # Limits

    def deep(self, levels: int, offset: int) -> None:
        if self.level + levels > MAX_LEVELS:
            raise Refused(offset, f"Maps and arrays stand in each other more than {MAX_LEVELS} levels deep.")

    def repeat(self, value: Any, offset: int) -> None:
        if not isinstance(value, dict | list):
            return
        size, levels = _measure(value)
        self.deep(len(self.open) + levels, offset)
        self.count(size, offset)

    def count(self, size: int, offset: int) -> None:
        self.run.repeated += size
        if self.run.repeated > MAX_REPEATED:
            raise Refused(offset, "Variables repeat too many values.")


def _clean(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        try:
            return rejoin(text)
        except UnicodeEncodeError as error:
            raise Refused(error.start, "No file can hold this character.") from error
    return text


def join(including: str, path: str) -> str:
    """Go's filepath.Join: an absolute path is one below the folder as well."""
    folder = posixpath.dirname(including)
    joined = posixpath.normpath(f"{folder}/{path}" if folder else path.lstrip("/") or ".")
    return "/" + joined.lstrip("/") if joined.startswith("/") else joined


def _measure(value: dict[str, Any] | list[Any]) -> tuple[int, int]:
    """How many values it holds, and how many levels."""
    size, levels, row = 0, 0, [value]
    while row:
        levels += 1
        items = [item for outer in row for item in (outer.values() if isinstance(outer, dict) else outer)]
        size += len(items)
        row = [item for item in items if isinstance(item, dict | list)]
    return size, levels


def _outer(mark: _Mark) -> int:
    return mark[0] if isinstance(mark, tuple) else mark


def _inner(mark: _Mark) -> _Marks | None:
    return mark[1] if isinstance(mark, tuple) else None
