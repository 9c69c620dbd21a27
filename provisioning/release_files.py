"""The files of a release: the former ones beside each plain conf, and a note of what was written."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from provisioning.files import GENERATED, MAIN, text_hash

BEFORE = ".before-release"  # at the end of a former file's name
NOTE = ".nunect.release"


def former_of(path: Path) -> Path:
    """Where what a file was before its release is kept."""
    return path.with_name(path.name + BEFORE)


def is_plain(folder: Path) -> bool:
    """Whether a release left one plain conf here, and nobody has put nunect's file beside it since."""
    return former_of(folder / MAIN).exists() and not (folder / GENERATED).exists()


def keep_former(paths: Iterable[Path]) -> None:
    """These files once more under another name."""
    for path in paths:
        replace_file(former_of(path), path.read_bytes(), path.stat().st_mode)


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


def write_note(folder: Path, own: str, texts: Mapping[Path, str]) -> None:
    """Write down what is about to be written: the plain text of each main file."""
    hashes = {os.path.relpath(path, folder): text_hash(text) for path, text in texts.items()}
    note = {"own": own, "text_sha256": hashes.pop(MAIN), "others": hashes}
    replace_file(folder / NOTE, json.dumps(note).encode())


def read_note(folder: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads((folder / NOTE).read_text())
    except (OSError, ValueError):
        return {}
    return found


def noted(folder: Path) -> dict[Path, str]:
    """{main file: sha256 of its plain text} of the last release, the folder's own first; {} where there was none."""
    note = read_note(folder)
    if not note:
        return {}
    return {
        folder / name: hash_ for name, hash_ in ((MAIN, note.get("text_sha256", "")), *note.get("others", {}).items())
    }
