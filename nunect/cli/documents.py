"""Documents as people keep them in Git, YAML or JSON: several are read as one, and each place keeps its line."""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from accounts_app.documents_text import Loader, TextError, look, no_number, once
from nunect.cli import output
from nunect.cli.client import Failure, Refused
from nunect.cli.progress import Waiting

STDIN = "-"
KINDS = (".yaml", ".yml", ".json")
TOLD = 20  # wrong places that a person is told
_LISTS = ("accounts", "roles")
_NAMED = re.compile(r"Account “(?P<account>[^”]*)”(?:, user “(?P<user>[^”]*)”)?")
_STEP = re.compile(r"([^.\[\]]+)|\[(\d+)\]")
_VALUE = re.compile(r"""[\[{"']|(true|false|null|~|-?(0|[1-9][0-9]*))$""")


@dataclass(frozen=True, slots=True)
class Part:
    """One document of a file. number: which one of the file, from 0."""

    file: str
    text: str = field(repr=False)
    number: int
    data: Any = field(repr=False)


@dataclass(frozen=True, slots=True)
class Place:
    """Where something is wrong. file and line: "" and 0 when they are not known."""

    file: str
    line: int
    said: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        return ": ".join(filter(None, (where, self.said)))


@dataclass(slots=True)
class Wanted:
    """What all documents say together, and where each part of it stands."""

    data: dict[str, Any]
    parts: list[Part]
    _starts: dict[str, list[tuple[int, Part]]]

    def summary(self) -> str:
        """ "2 accounts, 10,000 users"."""
        accounts = self.data.get("accounts") or []
        users = sum(
            len(each.get("users") or []) for each in accounts if isinstance(each, dict) and _listed(each, "users")
        )
        return f"{output.count(len(accounts), 'account')}, {output.count(users, 'user')}"

    def failure(self, refused: Refused) -> Failure:
        """The refusal with the file and line of each place."""
        finder = _Finder()
        places = [self._place(name, finder) for name, _ in refused.places]
        said = [
            ": ".join(filter(None, (str(place), sentence)))
            for place, (_, sentence) in zip(places[:TOLD], refused.places, strict=False)
        ]
        if len(refused.places) > TOLD:
            said.append(f"… and {len(refused.places) - TOLD} more (--json prints all)")
        return Failure(*said, *([refused.hint] if refused.hint else []), problem=_with_places(refused.problem, places))

    def accounts(self) -> set[str]:
        """The names of the accounts that the documents make."""
        found = self.data.get("accounts") or []
        return {str(each["name"]) for each in found if isinstance(each, dict) and "name" in each}

    def system(self) -> str:
        """The system that they are for, "" when they name none."""
        return str(self.data.get("system") or "")

    def _place(self, name: str, finder: _Finder) -> Place:
        steps = _steps(name)
        if steps and steps[0] in self.data:
            part, here = self._part(steps)
            return Place(part.file, finder.line(part, here), _told(here))
        steps = self._entry(name)
        if not steps:
            return Place("", 0, name)
        part, here = self._part(steps)
        return Place(part.file, finder.line(part, here), name)

    def _entry(self, name: str) -> list[str | int]:
        """Where the account, and the user, stand that a sentence such as “Account “A”, user “u”: name” names.

        The last of several: what is wrong with names is that one is there twice.
        """
        found = _NAMED.match(name)
        accounts = self.data.get("accounts")
        if not found or not isinstance(accounts, list):
            return []
        of = [index for index, each in enumerate(accounts) if _is_called(each, found["account"])]
        for index in reversed(of):
            users = accounts[index].get("users")
            if found["user"] is not None and isinstance(users, list):
                those = [place for place, each in enumerate(users) if _is_called(each, found["user"])]
                if those:
                    return ["accounts", index, "users", those[-1]]
        return ["accounts", of[-1]] if of else []

    def _part(self, steps: list[str | int]) -> tuple[Part, list[str | int]]:
        """The document that a place of the whole is in, and the place there."""
        starts = self._starts.get(str(steps[0]), [])
        if len(steps) > 1 and isinstance(steps[1], int):
            for start, part in reversed(starts):
                if steps[1] >= start:
                    return part, [steps[0], steps[1] - start, *steps[2:]]
        holding = [part for part in self.parts if steps[0] in part.data]
        return (holding or self.parts)[0], steps


def read(names: Sequence[str], waiting: Waiting | None = None) -> Wanted:
    """What files say together; a folder is read with all its files. Raises Failure with file, line and column."""
    parts = [part for name in _files(names) for part in parts_of(_called(name), content(name), waiting)]
    if not parts:
        raise Failure(f"There is no document in {', '.join(map(_called, names))}.")
    data: dict[str, Any] = {}
    starts: dict[str, list[tuple[int, Part]]] = {}
    for part in parts:
        if not isinstance(part.data, dict):
            raise Failure(f"{_title(part)} must be a map with “accounts” or “roles”.")
        _join(data, starts, part, alone=len(parts) == 1)
    return Wanted(data, parts, starts)


def parts_of(name: str, text: str, waiting: Waiting | None = None) -> Iterator[Part]:
    """The documents of one file. Raises Failure with line and column."""
    if text.lstrip()[:1] in ("{", "["):
        try:
            yield Part(name, text, 0, json.loads(text, object_pairs_hook=once, parse_constant=no_number))
            return
        except json.JSONDecodeError as error:
            if name.endswith(".json") and error.msg != "Extra data":
                raise Failure(
                    f"{name}, line {error.lineno}, column {error.colno}: this is no JSON ({error.msg})."
                ) from error
        except (ValueError, RecursionError) as error:
            raise Failure(f"{name}: {error}.") from error
    number = 0
    try:
        look(text)
        for data in _documents(text, waiting):
            if data is not None:
                yield Part(name, text, number, data)
            number += 1
    except TextError as error:
        said = error.places[0].sentence
        raise Failure(f"{name}, line {error.line}, column {error.column}: {said}") from error
    except yaml.YAMLError as error:
        raise Failure(_in_words(name, error)) from error
    except ValueError as error:
        raise Failure(f"{name}: {error}.") from error


def written(data: Any) -> str:
    """A document as YAML that `read` reads back."""
    base: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    options: dict[str, Any] = {"sort_keys": False, "width": 10_000, "default_flow_style": False}
    text: str = yaml.dump(data, Dumper=base, allow_unicode=True, **options)
    if not text.replace("\n", "").isprintable():
        text = yaml.dump(data, Dumper=base, allow_unicode=False, **options)
    return text


def value(text: str) -> Any:
    """The value of KEY=VALUE: true, false, null, whole numbers, [lists], {maps} and "quoted" text as in YAML.

    All else is text as it stands: a subject such as `*` or `>` means something to YAML.
    """
    if not _VALUE.match(text):
        return text
    try:
        return yaml.load(text, Loader=Loader)  # noqa: S506  JSON's types alone
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        at = f" at column {mark.column + 1}" if mark else ""
        raise Failure(f"“{text}” can't be read{at}: {getattr(error, 'problem', None) or error}.") from error


# --- helpers -------------------------------------------------------------------------------------


def _files(names: Sequence[str]) -> Iterator[str]:
    for name in names:
        path = Path(name)
        if name == STDIN or not path.is_dir():
            yield name
            continue
        inside = sorted(str(each) for each in path.iterdir() if each.suffix in KINDS and not each.name.startswith("."))
        if not inside:
            raise Failure(f"There is no file that ends in {', '.join(KINDS)} in {name}.")
        yield from inside


def _called(name: str) -> str:
    return "stdin" if name == STDIN else name


def content(name: str) -> str:
    try:
        raw = sys.stdin.buffer.read() if name == STDIN else Path(name).read_bytes()
        return raw.decode("utf-8-sig")
    except OSError as error:
        raise Failure(f"{_called(name)} can't be read: {error.strerror or error}.") from error
    except UnicodeDecodeError as error:
        raise Failure(f"{_called(name)} is not UTF-8: byte {error.start} can't be read.") from error


def _documents(text: str, waiting: Waiting | None) -> Iterator[Any]:
    raw = text.encode("utf-8")
    loader = Loader(_Counted(raw, waiting))
    try:
        while loader.check_data():
            yield loader.get_data()
    finally:
        loader.dispose()


class _Counted(io.BytesIO):
    """Tells how much of it was read."""

    def __init__(self, raw: bytes, waiting: Waiting | None) -> None:
        super().__init__(raw)
        self._waiting, self._size = waiting, len(raw)

    def read(self, size: int | None = -1) -> bytes:
        found = super().read(size)
        if self._waiting is not None:
            self._waiting.at(self.tell(), self._size)
        return found


def _in_words(name: str, error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "it can't be read"
    where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
    return f"{name}{where}: {output.plain(str(problem))}."


def _listed(data: dict[str, Any], key: str) -> bool:
    return isinstance(data.get(key) or [], list)


def _join(data: dict[str, Any], starts: dict[str, list[tuple[int, Part]]], part: Part, *, alone: bool) -> None:
    """Add a document to what the others say."""
    for key, said in part.data.items():
        if key in _LISTS and isinstance(said, list):
            if not isinstance(data.get(key), list):
                data[key] = []
            starts.setdefault(key, []).append((len(data[key]), part))
            data[key].extend(said)
        elif key in _LISTS and said is not None and not alone:
            raise Failure(f"{_title(part)}, {key}: This must be a list.")
        elif data.setdefault(key, said) != said and key not in _LISTS:
            raise Failure(
                f"{_title(part)} is for {key} “{said}”, another document for “{data[key]}”: apply one after the other."
            )


def _is_called(entry: Any, name: str) -> bool:
    return isinstance(entry, dict) and entry.get("name") == name


def _with_places(problem: dict[str, Any] | None, places: Sequence[Place]) -> dict[str, Any] | None:
    """The server's problem, each of its errors with file and line where they are known."""
    errors = [each for each in (problem or {}).get("errors") or [] if isinstance(each, dict)]
    if problem is None or len(errors) != len(places):
        return problem
    told = []
    for error, place in zip(errors, places, strict=True):
        file = {"file": place.file} if place.file else {}
        line = {"line": place.line} if place.line else {}
        told.append({**error, **file, **line})
    return {**problem, "errors": told}


def _title(part: Part) -> str:
    return f"{part.file}, document {part.number + 1}" if part.number else part.file


def _steps(name: str) -> list[str | int]:
    """ "accounts[0].users" → ["accounts", 0, "users"]."""
    if not re.fullmatch(r"[^.\[\]:\s]+((\.[^.\[\]]+)|(\[\d+\]))*", name):
        return []
    return [int(number) if number else word for word, number in _STEP.findall(name)]


def _told(steps: Sequence[str | int]) -> str:
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)
    return text.removeprefix(".")


class _Finder:
    """Finds the line of a place; each document is read once more, and only for what is wrong."""

    def __init__(self) -> None:
        self._nodes: dict[tuple[str, int], Any] = {}

    def line(self, part: Part, steps: Sequence[str | int]) -> int:
        """The line in the file, from 1; 0 when it can't be said."""
        key = (part.file, part.number)
        if key not in self._nodes:
            try:
                nodes = list(yaml.compose_all(part.text, Loader=Loader))
                self._nodes[key] = nodes[part.number] if part.number < len(nodes) else None
            except (yaml.YAMLError, RecursionError):
                self._nodes[key] = None
        node, line = self._nodes[key], 0
        for step in steps:
            if isinstance(step, int) and isinstance(node, yaml.SequenceNode) and step < len(node.value):
                node = node.value[step]
                line = node.start_mark.line + 1
            elif isinstance(step, str) and isinstance(node, yaml.MappingNode):
                found = next(((k, v) for k, v in node.value if k.value == step), None)
                if found is None:
                    break
                line, node = found[0].start_mark.line + 1, found[1]
            else:
                break
        return int(line)
