"""The files of a take-over as if they were written already: read by us, and judged by the server's binary."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path

from django.conf import settings

from accounts_app.natsconf.digest import digest
from accounts_app.natsconf.parse import Parsed, parse
from provisioning.binary import told, try_conf
from provisioning.errors import Invalid, NotWritten
from provisioning.takeover.seeing import Look

_VALID = re.compile(r"configuration file .* is valid \((sha256:[0-9a-f]+)\)")


def tree_of(seen: Look, texts: Mapping[str, str], generated: str) -> Parsed:
    """Parse the main file with these texts in place of what stands on disk."""
    written = {**texts, str(seen.generated): generated}
    main = str(seen.main)

    def read(name: str) -> str:
        return written[name] if name in written else Path(name).read_bytes().decode("utf-8", "surrogateescape")

    return parse(read(main), file=main, read=read, environ=seen.environ)


def judge(seen: Look, texts: Mapping[str, str], generated: str) -> str:
    """Let the server's binary judge the files as they would be; the digest of the whole, which must be ours.

    It runs where the server does, which is what paths in a conf start from. Raises Invalid with the server's words.
    """
    cwd = seen.process.cwd if seen.process else seen.main.parent
    state = settings.STATE_DIR / "tmp"
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=state) as scratch:
            folder = Path(scratch)
            _lay_out(seen.folder, folder, {**texts, str(seen.generated): generated})
            said = try_conf(folder / seen.main.relative_to(seen.folder), seen.environ, cwd)
            words = told(said.stderr, folder)
    except OSError as error:
        raise NotWritten(f"{state} can't be used: {error.strerror}.") from error
    valid = _VALID.search(said.stderr)
    if said.returncode or not valid:
        raise Invalid("nats-server refuses what would be written.", words)
    ours = digest(tree_of(seen, texts, generated).tree)
    if valid[1] != ours:
        raise Invalid(f"nats-server reads another configuration ({valid[1]}) than nunect ({ours}).")
    return valid[1]


def _lay_out(real: Path, folder: Path, texts: Mapping[str, str]) -> None:
    """A folder like `real`, by links, with these texts in it; those that stand elsewhere are not laid out."""
    inside = {Path(os.path.normpath(name)): text for name, text in texts.items()}
    own = {path.relative_to(real): text for path, text in inside.items() if path.is_relative_to(real)}
    folders = {parent for path in own for parent in path.parents if parent != Path()}
    for below in (Path(), *sorted(folders)):
        (folder / below).mkdir(exist_ok=True)
        for entry in (real / below).iterdir() if (real / below).is_dir() else ():
            name = below / entry.name
            if name not in own and name not in folders:
                (folder / name).symlink_to(entry.absolute())
    for name, text in own.items():
        (folder / name).touch(mode=0o600)
        (folder / name).write_bytes(text.encode("utf-8", "surrogateescape"))
