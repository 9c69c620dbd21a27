"""The conf that a system's servers start with, read as they would read it."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from accounts_app.importing import read_conf
from accounts_app.natsconf.errors import NatsConfError
from accounts_app.natsconf.parse import Parsed, parse
from provisioning.files import GENERATED, MAIN
from provisioning.machine import find_process
from provisioning.mainfile import read_file
from provisioning.mains import further

_OPTION = re.compile(r": give its value from the server's environment \(--env [^)]*\)")


class Unreadable(Exception):
    """There is no conf that could be read; its one argument is a sentence for people."""


@dataclass(frozen=True, slots=True)
class RunningConf:
    """path: the file that was read, with all that it includes. is_whole: whether a server starts with just that."""

    path: Path
    parsed: Parsed
    is_whole: bool


def read_running(folder: Path) -> RunningConf:
    """The main file of a folder with its includes; without one, the generated file alone. Raises Unreadable."""
    main, generated = folder / MAIN, folder / GENERATED
    path = main if main.exists() or not generated.exists() else generated
    return _read(path, main)


def read_others(folder: Path, guard: str) -> list[RunningConf]:
    """The further main files of a folder that has one. One that can't be read, and that no server of this machine runs
    with, is left out. Raises Unreadable."""
    if not (folder / MAIN).exists():
        return []
    found = []
    first = read_file(folder / MAIN, folder, guard, _environment(folder / MAIN))
    for each in further(folder, guard, first):
        try:
            found.append(_read(each.main.path, each.main.path))
        except Unreadable:
            if each.runs:
                raise
    return found


def _read(path: Path, main: Path) -> RunningConf:
    """A conf as the server would read it that runs with that main file."""
    folder = path.parent
    try:
        return RunningConf(path, read_conf(path, _environment(main)), path == main)
    except FileNotFoundError as error:
        raise Unreadable(f"There is neither {MAIN} nor {GENERATED} in {folder}.") from error
    except OSError as error:
        raise Unreadable(f"{error.filename or path} can't be read: {error.strerror}.") from error
    except NatsConfError as error:
        why = _OPTION.sub(": nunect doesn't see the server's environment, so set it in its own", str(error))
        raise Unreadable(f"{path} can't be read as a server would: {why}"[:500]) from error


def parse_text(path: Path, text: str) -> Parsed:
    """What a server would read if `text` stood in the file `path`. Raises NatsConfError."""

    def read(name: str) -> str:
        return Path(name).read_bytes().decode("utf-8", "surrogateescape")

    return parse(text, file=str(path), read=read, environ=_environment(path.parent / MAIN))


def _environment(main: Path) -> dict[str, str]:
    """The environment of the server that runs with this main file, where it can be known; else that of this process."""
    process = find_process(main)
    if process is not None and process.environ:
        return dict(process.environ)
    try:
        pid = int(settings.NATS_PID_FILE.read_text())
        own = Path(f"/proc/{pid}")
        if "nats-server" not in (own / "comm").read_text():
            return dict(os.environ)
        pairs = (own / "environ").read_bytes().decode("utf-8", "surrogateescape").split("\0")
    except (OSError, ValueError):
        return dict(os.environ)
    return {name: value for name, equals, value in (pair.partition("=") for pair in pairs) if equals}
