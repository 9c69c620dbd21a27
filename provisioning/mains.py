"""The main files of a system whose servers share one folder: all that include its generated file."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from accounts_app.importing import read_conf
from accounts_app.natsconf.errors import NatsConfError
from provisioning.files import GENERATED, MAIN
from provisioning.machine import find_process, running_mains

_DEEPEST, _MOST_FOLDERS, _LARGEST = 3, 500, 2**20  # of a search; bytes
_INCLUDES = re.compile(rb"^[^#\n]*include\b[^\n]*" + re.escape(GENERATED.encode()), re.MULTILINE)
_STORE = "jetstream"  # where servers keep streams, in folders without number


def mains_of(folder: Path) -> list[Path]:
    """The folder's nats-server.conf first, then every other file in it or below that a server starts with, as far as
    anybody can know: it includes the generated file, and no other file includes it. One that says so and can't be read
    (its server is away, and a variable of its environment unknown) is among them."""
    first, generated = folder / MAIN, str(folder / GENERATED)
    included: set[str] = set()
    found: list[Path] = []
    running = (path for path, _ in running_mains() if path.is_relative_to(folder))
    for path in dict.fromkeys([*_search(folder), *running]):
        with suppress(OSError):
            if path == first or path.stat().st_size > _LARGEST or not _INCLUDES.search(path.read_bytes()):
                continue
            process = find_process(path)
            try:
                names = read_conf(path, process.environ if process else dict(os.environ)).includes
            except NatsConfError:
                names = (generated,)
            if generated in names:
                included |= set(names)
                found.append(path)
    return [first, *(path for path in found if str(path) not in included)]


def _search(folder: Path) -> Iterator[Path]:
    for number, (here, below, files) in enumerate(os.walk(folder)):
        deep = len(Path(here).relative_to(folder).parts) >= _DEEPEST
        below[:] = [] if deep else sorted(name for name in below if not name.startswith(".") and name != _STORE)
        yield from (Path(here, name) for name in sorted(files) if name.endswith(".conf") and not name.startswith("."))
        if number >= _MOST_FOLDERS:
            return
