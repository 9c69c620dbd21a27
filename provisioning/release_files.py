"""The files of a release: the former ones beside the one conf, and a note of what was written."""

from __future__ import annotations

import json
import os
from pathlib import Path

from provisioning.files import GENERATED, MAIN

BEFORE = ".before-release"  # at the end of a former file's name
NOTE = ".nunect.release"


def keep_former(folder: Path) -> None:
    """Both files once more under another name."""
    for name in (MAIN, GENERATED):
        replace_file(folder / (name + BEFORE), (folder / name).read_bytes(), (folder / name).stat().st_mode)


def replace_file(path: Path, data: bytes, mode: int | None = None) -> None:
    """Replace a file at once. mode: its rights, those of the former file when not given, else of its owner alone."""
    if mode is None:
        mode = path.stat().st_mode if path.exists() else 0o600
    beside = path.with_name(f".{path.name}.release.tmp")
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    beside.chmod(mode & 0o777)
    beside.replace(path)


def read_note(folder: Path) -> dict[str, str]:
    try:
        found: dict[str, str] = json.loads((folder / NOTE).read_text())
    except (OSError, ValueError):
        return {}
    return found
