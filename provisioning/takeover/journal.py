"""What a take-over is about to write and what stood there, on disk before anything is changed."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from provisioning.errors import NotWritten
from provisioning.files import GENERATED, MAIN, text_hash
from provisioning.steps import reached

State = Literal["begun", "taken", "undone"]
_MARK = ".before-nunect-"


@dataclass(frozen=True, slots=True)
class Entry:
    """One file. before: sha256 of what stood there, "" for nothing; after: of what is written; backup: where a copy
    of the former is, "" for none."""

    path: str
    before: str
    after: str
    backup: str = ""


@dataclass(frozen=True, slots=True)
class Main:
    """One server's main file. digest_before, digest_after: what a server reports that runs the one or the other."""

    path: str
    digest_before: str
    digest_after: str


@dataclass(frozen=True, slots=True)
class Journal:
    """A take-over, from its first written byte to its undoing. files: in the order in which they are written.

    main, digest_before, digest_after: of the first server, beside whose file the journal is; others: of those that
    were taken over with it.
    """

    main: str
    system: str
    at: str
    digest_before: str
    digest_after: str
    files: tuple[Entry, ...] = ()
    state: State = "begun"
    others: tuple[Main, ...] = ()
    path: Path = field(default=Path(), compare=False)

    @property
    def mains(self) -> tuple[Main, ...]:
        """Of each server, the first one first."""
        return Main(self.main, self.digest_before, self.digest_after), *self.others

    def named(self, path: str) -> str:
        """What a file is called in a step: "main" for the first one, and other main files with their folders."""
        if path == self.main:
            return "main"
        known = {each.path for each in self.others}
        return os.path.relpath(path, Path(self.main).parent) if path in known else Path(path).name

    def save(self, state: State | None = None) -> Journal:
        """Write it down, at once or not at all."""
        saved = replace(self, state=state or self.state)
        values = {key: value for key, value in asdict(saved).items() if key != "path"}
        put(self.path, json.dumps({"version": 1, **values}, indent=2).encode())
        return saved


def order(mains: Sequence[Path], texts: Mapping[str, str], generated: tuple[Path, str]) -> list[tuple[Path, str]]:
    """The files in an order in which any server may be started at any moment, with its accounts, and closed.

    New files first: nobody includes them yet. Where the person has a file of the generated one's name the main
    files go before it, since the old one still holds what the new main files include.
    """
    beside = [(Path(name), text) for name, text in texts.items() if Path(name) not in mains]
    turned = [(main, texts[str(main)]) for main in mains]
    return [*beside, *turned, generated] if generated[0].exists() else [*beside, generated, *turned]


def begin(mains: Sequence[Main], system: str, at: str, files: Iterable[tuple[Path, str]]) -> Journal:
    """Copy what stands there now and write the journal beside the first main file. Raises NotWritten; then nothing was
    changed."""
    entries = []
    for path, text in files:
        former = _bytes_of(path)
        backup = path.with_name(f"{path.name}{_MARK}{at}") if former is not None else None
        if backup is not None and former is not None:
            put(backup, former, like=path)
        entries.append(
            Entry(
                str(path),
                text_hash(former) if former is not None else "",
                text_hash(text),
                str(backup) if backup is not None else "",
            )
        )
    step("takeover backup")
    first, *others = mains
    main = Path(first.path)
    journal = Journal(
        first.path,
        system,
        at,
        first.digest_before,
        first.digest_after,
        tuple(entries),
        others=tuple(others),
        path=main.with_name(f"{main.name}{_MARK}{at}.json"),
    ).save()
    step("takeover journal")
    return journal


def find(main: Path, *states: State) -> Journal | None:
    """The last journal of this main file in one of these states, be it the first or another one of several. Raises
    NotWritten for one that can't be read."""
    for path in about(main):
        journal = load(path)
        if journal.state in states:
            return journal
    return None


def beside(main: Path) -> list[Path]:
    """The journals of this main file as the only or first one, the last of them first."""
    return sorted(main.parent.glob(f"{main.name}{_MARK}*.json"), reverse=True)


def about(main: Path) -> list[Path]:
    """All journals that name this main file, the last one first. Those of another first file lie beside that, in the
    same folder or above; somebody else's are not heeded there."""
    found = {path: path.name.rpartition(_MARK)[2] for path in beside(main)}
    for folder in main.parents:
        for path in folder.glob(f"{MAIN}{_MARK}*.json"):
            with suppress(OSError, NotWritten):
                if path.stat().st_uid in (0, os.geteuid()) and str(main) in (each.path for each in load(path).mains):
                    found[path] = path.name.rpartition(_MARK)[2]
    return sorted(found, key=lambda path: found[path], reverse=True)


def load(path: Path) -> Journal:
    """A journal as it was written. Raises NotWritten for one that can't be read."""
    try:
        found: dict[str, Any] = json.loads(path.read_bytes())
        found.pop("version")
        files = tuple(Entry(**entry) for entry in found.pop("files"))
        others = tuple(Main(**each) for each in found.pop("others", ()))
        return Journal(**found, files=files, others=others, path=path)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise NotWritten(f"{path} can't be read: move it away if it is none of nunect's.") from error


def put_back(journal: Journal) -> None:
    """Bring every file back to what it was, byte for byte, in the opposite order. Raises NotWritten."""
    for entry in reversed(journal.files):
        path = Path(entry.path)
        if entry.backup:
            former = _bytes_of(Path(entry.backup))
            if former is None or text_hash(former) != entry.before:
                raise NotWritten(f"{entry.backup} is gone or was changed; {path} stays as it is.")
            put(path, former, like=Path(entry.backup))
        elif path.name == GENERATED or _hash_of(path) == entry.after:
            with suppress(FileNotFoundError):
                path.unlink()
        step(f"takeover back {journal.named(entry.path)}")
    with suppress(OSError):
        (Path(journal.main).parent / f".{GENERATED}.previous").unlink()
    for folder in {Path(entry.path).parent for entry in journal.files}:
        sync(folder)


def is_written(journal: Journal) -> bool:
    """Whether every file is on disk as the take-over means it."""
    return all(_hash_of(Path(entry.path)) == entry.after for entry in journal.files)


def edited_since(journal: Journal) -> list[str]:
    """Files that are neither as they were nor as nunect wrote them; the generated one may be at any revision."""
    return [
        entry.path
        for entry in journal.files
        if Path(entry.path).name != GENERATED and _hash_of(Path(entry.path)) not in (entry.before, entry.after)
    ]


def put(path: Path, data: bytes, *, like: Path | None = None) -> None:
    """Replace a file at once: beside, fsync, rename. like: a file that has the mode and owner. Raises NotWritten."""
    try:
        handle, beside = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)  # 0600
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            if like is not None and like.exists():
                seen = like.stat()
                Path(beside).chmod(seen.st_mode & 0o777)
                with suppress(PermissionError):
                    os.chown(beside, seen.st_uid, seen.st_gid)
            Path(beside).replace(path)
        except BaseException:
            with suppress(OSError):
                Path(beside).unlink()
            raise
        sync(path.parent)
    except OSError as error:
        raise NotWritten(f"{path} could not be written: {error.strerror}.") from error


def sync(folder: Path) -> None:
    """Have the names in a folder on disk."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def step(name: str) -> None:
    """A step is over; tests stop the process here."""
    reached.send(sender=Journal, step=name, system_id=0)


def _bytes_of(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise NotWritten(f"{path} can't be read: {error.strerror}.") from error


def _hash_of(path: Path) -> str:
    found = _bytes_of(path)
    return text_hash(found) if found is not None else ""
