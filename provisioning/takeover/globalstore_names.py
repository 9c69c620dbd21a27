"""Which folder of a store is the true one, in a journal; a second set of names for its files, and none any more.

At each moment a server that is started finds its streams: while nunect turns the main file, with the server stopped,
both folders hold every file, as hard links. Which is the true one is what the main file on disk says; the
other is nothing but names. (A link to the folder would not do: the server removes it as it starts.)
"""

from __future__ import annotations

import json
import os
import shutil
import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from provisioning.errors import NotManaged, NotWritten
from provisioning.takeover import journal as journals
from provisioning.takeover.globalstore import Store

State = Literal["begun", "moved", "proven", "undone"]


@dataclass(frozen=True, slots=True)
class Move:
    """A move of `$G`'s store. before: what the stopped server kept; at: the time of the take-over's own journal;
    doubled_at: seconds since 1970, when the files were last about to get second names."""

    main: str
    at: str
    parent: str
    root: str
    account: str
    before: dict[str, Any] = field(default_factory=dict, repr=False)
    state: State = "begun"
    doubled_at: float = 0.0

    @property
    def store(self) -> Store:
        return Store(Path(self.parent), Path(self.root), self.account)

    def doubled_now(self) -> Move:
        """Write down that the files get second names from this moment on."""
        return replace(self, doubled_at=time.time()).save()

    def save(self, state: State | None = None) -> Move:
        """Write it down, at once or not at all."""
        saved = replace(self, state=state or self.state)
        journals.put(_path(Path(self.main)), json.dumps({"version": 1, **asdict(saved)}, indent=2).encode())
        return saved


def find(main: Path) -> Move | None:
    """The move of this main file that was not undone. Raises NotWritten for a journal that can't be read."""
    path = _path(main)
    try:
        found: dict[str, Any] = json.loads(path.read_bytes())
        found.pop("version")
        move = Move(**found)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise NotWritten(f"{path} can't be read: move it away if it is none of nunect's.") from error
    return move if move.state != "undone" else None


def refuse_moved(main: Path) -> None:
    """Raise NotManaged where streams were moved: files alone must not be put back, nor by a reload."""
    move = find(main)
    if move is not None:
        raise NotManaged(
            f"The streams of `$G` were moved to account {move.account} with this take-over: `nunect takeover {main} "
            f"--global-account {move.account}` ends it, and --undo at the command gives it back; the server is stopped "
            "for either."
        )


def refuse_both(true: Path, other: Path, since: float) -> None:
    """Raise NotManaged when a server has written the folder that is to be nothing but names.

    It was then started in the very moment in which the main file was turned. Its own files are those that the true
    folder has not, written since the names were made.
    """
    known = {path.stat().st_ino for path in true.rglob("*")} if true.exists() else set()
    for path in other.rglob("*") if other.exists() else ():
        found = path.stat()
        if path.is_file() and found.st_ino not in known and found.st_mtime > since:
            raise NotManaged(
                f"A server has written both {true} and {other} (such as {path.name}): it was started while nunect was "
                "at work. Neither is touched. Stop it, look at both, and move the one aside that you don't want."
            )


def double(source: Path, target: Path) -> None:
    """Give every file of a stopped server's folder a second name below `target`. Raises NotWritten."""
    try:
        if target.exists():
            shutil.rmtree(target)  # names that were begun
        shutil.copytree(source, target, copy_function=_link)
        for where, _, _ in os.walk(target):
            journals.sync(Path(where))
        journals.sync(target.parent)
    except (OSError, shutil.Error) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else "this disk has no hard links"
        raise NotWritten(f"{source} can't get the name {target.name}: {why}.") from error


def drop(folder: Path) -> None:
    """Remove the names that no server looks at any more. Raises NotWritten."""
    try:
        if folder.exists():
            shutil.rmtree(folder)
            journals.sync(folder.parent)
    except OSError as error:
        raise NotWritten(f"{folder} can't be removed: {error.strerror}.") from error


def _link(source: str, target: str) -> None:
    os.link(source, target)


def _path(main: Path) -> Path:
    return main.with_name(f"{main.name}.store-of-nunect.json")
