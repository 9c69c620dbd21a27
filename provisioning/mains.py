"""The main files of a system whose servers share one folder: all that include its generated file."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from provisioning.errors import NotManaged, NotWritten
from provisioning.files import GENERATED, MAIN
from provisioning.machine import find_process, running_mains
from provisioning.mainfile import MainFile, read_file, read_first, read_main
from provisioning.takeover.journal import beside, load
from provisioning.takeover.neighbours import is_one_of_several, meet

_DEEPEST, _MOST_FOLDERS, _LARGEST = 3, 500, 2**20  # of a search; bytes
_INCLUDES = re.compile(rb"^[^#\n]*include\b[^\n]*" + re.escape(GENERATED.encode()), re.MULTILINE)
_STORE = "jetstream"  # where servers keep streams, in folders without number


def mains_of(folder: Path, guard: str) -> list[Path]:
    """The folder's nats-server.conf first, then every further one that includes the generated file, or may: one that
    can't be read (its server is away, and a variable of its environment unknown) is among them."""
    first = read_first(folder, guard)
    return [first.path, *(each.main.path for each in further(folder, guard, first) if each.main.includes_generated)]


@dataclass(frozen=True, slots=True)
class Further:
    """A main file besides the folder's nats-server.conf. runs: whether a server of this machine was started with it."""

    main: MainFile
    runs: bool


def read_mains(folder: Path, guard: str) -> tuple[MainFile, ...]:
    """The folder's nats-server.conf, then what could be read of the further main files.

    Raises NotManaged as `read_main` does, also for another one that a server runs with: that would let go of its
    accounts, or open its door, by the very reload that the others need.
    """
    first = read_main(folder, guard)
    others = further(folder, guard, first)
    for each in others:
        if each.runs and each.main.fault:
            raise NotManaged(
                f"{each.main.fault} Its server runs with it; one that shall go its own way needs a folder of its own."
            )
    return (first, *(each.main for each in others if each.main.tree))


def further(folder: Path, guard: str, first: MainFile) -> list[Further]:
    """The main files besides the folder's own: those that include the generated file, and those that ought to: the last
    take-over named it, or a server runs with it that still has the guard, or is joined to the first."""
    taken = _taken(folder)
    found = {path: _data(path) for path in dict.fromkeys([*taken, *_search(folder)])}
    found = {path: data for path, data in found.items() if data and path not in (folder / MAIN, folder / GENERATED)}
    if is_one_of_several(first.tree) or any(_INCLUDES.search(data) for data in found.values()):
        running = {path for path, _ in running_mains() if path.is_relative_to(folder) and path != folder / MAIN}
        found |= {path: _data(path) for path in sorted(running - found.keys())}
    else:
        running = set()
    read: list[Further] = []
    for path, data in found.items():
        if not (_INCLUDES.search(data) or path in taken or path in running):
            continue
        process = find_process(path)
        environ = process.environ if process and process.environ else _Guessed(os.environ)
        main = read_file(path, folder, guard, environ)
        ought_to = path in taken or guard.encode() in data or meet(main.tree, first.tree)
        if main.includes_generated or ought_to:
            read.append(Further(main, process is not None))
    parts = {name for each in read for name in each.main.includes} | first.includes
    return [each for each in read if str(each.main.path) not in parts]


class _Guessed(dict[str, str]):
    """The environment of a server that nobody can ask: what nunect has, and any value for what it hasn't."""

    def get(self, name: str, default: object = None) -> str:  # type: ignore[override]
        return super().get(name, "unknown")


def _taken(folder: Path) -> list[Path]:
    """The further main files that the last take-over of this folder has named, unless it was undone."""
    for path in beside(folder / MAIN):
        with suppress(NotWritten):
            journal = load(path)
            return [Path(each.path) for each in journal.others] if journal.state == "taken" else []
    return []


def _data(path: Path) -> bytes:
    with suppress(OSError):
        return path.read_bytes() if path.stat().st_size <= _LARGEST else b""
    return b""


def _search(folder: Path) -> Iterator[Path]:
    for number, (here, below, files) in enumerate(os.walk(folder)):
        deep = len(Path(here).relative_to(folder).parts) >= _DEEPEST
        below[:] = [] if deep else sorted(name for name in below if not name.startswith(".") and name != _STORE)
        yield from (Path(here, name) for name in sorted(files) if name.endswith(".conf") and not name.startswith("."))
        if number >= _MOST_FOLDERS:
            return
