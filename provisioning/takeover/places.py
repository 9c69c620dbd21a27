"""Which files of this machine REST and the admin may take over: those below the folders that its operator allowed."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.core.exceptions import PermissionDenied, ValidationError

from accounts_app import validators
from accounts_app.natsconf.errors import NatsConfError
from accounts_app.natsconf.parse import parse
from provisioning.files import MAIN
from provisioning.machine import find_process, running_mains
from provisioning.takeover.neighbours import joined_mains

SETTING = "NUNECT_TAKEOVER_DIRS"
_DEEPEST, _MOST_FOLDERS, _MOST_FILES = 4, 2000, 100  # of a search


class NotAllowed(PermissionDenied):
    """The operator of this machine has allowed no folder at all."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A main file that could be taken over. running: a nats-server was started with it; allowed: here is not enough
    where it isn't; others: main files of running servers that are joined to it, for one take-over."""

    file: str
    running: bool
    allowed: bool
    others: tuple[str, ...] = ()


def folders() -> list[Path]:
    """The allowed folders. Raises NotAllowed when there are none."""
    found = list(settings.TAKEOVER_DIRS)
    if not found:
        raise NotAllowed(
            f"Nobody may take over servers from here: the setting {SETTING} names no folder. Set it on the machine, as "
            f"{SETTING}=/etc/nats, or run `nunect takeover` there."
        )
    return found


def allowed(file: str) -> Path:
    """The main file of that name. Raises NotAllowed, or ValidationError at `file` for one outside of the folders."""
    roots = folders()
    try:
        validators.text(file)
    except ValidationError as refused:
        raise ValidationError({"file": refused.messages}) from refused
    path = Path(file)
    if not path.is_absolute() or ".." in path.parts:
        raise _refused("Give the whole path of a main file, without “..”.")
    if not _within(path, roots):
        raise _refused(f"{file[:300]} is in none of the folders that {SETTING} allows: {', '.join(map(str, roots))}.")
    try:
        found = path.is_file()
    except OSError:  # no name that a file could have
        found = False
    if not found:
        raise _refused(f"There is no file {file[:300]}.")
    return path


def check_includes(main: Path, environ: Mapping[str, str] | None = None) -> None:
    """Raise ValidationError unless all that a main file includes is in the allowed folders; nothing else is read.

    A conf that can't be read any further is no matter of this.
    """
    roots, process = folders(), find_process(main)

    def read(name: str) -> str:
        if not _within(Path(name), roots):
            raise _refused(f"{main} includes {name}, which is in none of the folders that {SETTING} allows.")
        return Path(name).read_bytes().decode("utf-8", "surrogateescape")

    try:
        parse(
            read(str(main)),
            file=str(main),
            read=read,
            environ={**(process.environ if process else os.environ), **(environ or {})},
        )
    except (NatsConfError, OSError):
        return


def check_written(paths: Iterable[str]) -> None:
    """Raise ValidationError when one of these, which a journal names, is outside of the allowed folders."""
    roots = folders()
    for path in paths:
        if not _within(Path(path), roots):
            raise _refused(f"The journal names {path}, which is in none of the folders that {SETTING} allows.")


def offers() -> list[Offer]:
    """Main files of running servers, then the others in the allowed folders."""
    roots = folders()
    running = dict.fromkeys(str(path) for path, _ in running_mains())
    found = {str(path): None for path in _search(roots)}
    told = []
    for path, *others in joined_mains([Path(path) for path in running]):
        inside = all(_within(each, roots) for each in (path, *others))
        told.append(Offer(str(path), True, inside, tuple(map(str, others))))
    return [*told, *(Offer(path, False, True) for path in found if path not in running)]


def mains() -> Iterator[Path]:
    """Every main file in the allowed folders, and every file that has been one: its journal is beside it."""
    yield from _search(folders())


def _search(roots: list[Path]) -> Iterator[Path]:
    folders_seen = files_seen = 0
    for root in roots:
        for here, below, files in os.walk(root):
            folders_seen += 1
            depth = len(Path(here).relative_to(root).parts)
            below[:] = sorted(name for name in below if not name.startswith(".")) if depth < _DEEPEST else []
            if MAIN in files:
                files_seen += 1
                yield Path(here, MAIN)
            if folders_seen >= _MOST_FOLDERS or files_seen >= _MOST_FILES:
                return


def _within(path: Path, roots: list[Path]) -> bool:
    """Whether the very file, behind all links, is below one of the folders, and so is the place where it is named."""
    real = Path(os.path.realpath(path))
    return any(real.is_relative_to(os.path.realpath(root)) for root in roots)


def _refused(sentence: str) -> ValidationError:
    return ValidationError({"file": sentence})
