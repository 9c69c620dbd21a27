"""What a reading of a conf says beside its rows: of each place what becomes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from .parse import Parsed, Position
from .subjects import shown

Path = tuple[str | int, ...]
Verdict = Literal["taken", "left", "refused", "weak"]


@dataclass(frozen=True, slots=True)
class Note:
    """What becomes of one place of the conf. position: None when the text is not known.

    taken: it is rows now. left: it stays where it is, in the main file. weak: it is taken, but a
    person should look. refused: it can't be rows; taking the conf over would lose it.
    """

    position: Position | None
    path: Path
    verdict: Verdict
    sentence: str


class Notes:
    """The notes of one reading, in the order of the conf."""

    def __init__(self, parsed: Parsed) -> None:
        self.parsed = parsed
        self.all: list[Note] = []

    def add(self, path: Path, verdict: Verdict, sentence: str) -> None:
        position = None
        for length in range(len(path), 0, -1):
            position = self.parsed.positions.get(path[:length])
            if position is not None:
                break
        self.all.append(Note(position, path, verdict, sentence))

    def variable(self, path: Path) -> None:
        self.add(path, "left", f"`{path[-1]}` is no setting; as a variable its value is taken where it is used.")


def key_of(tree: Any, usual: str, spellings: Mapping[str, str]) -> str:
    """Return the key under which `tree` holds `usual`."""
    if isinstance(tree, Mapping):
        for key in tree:
            if spellings.get(key.lower()) == usual:
                return str(key)
    return usual


def said(value: Any) -> str:
    return shown(value) if isinstance(value, str) else str(value)
