"""Where a passphrase comes from: a file, or the person at the terminal."""

from __future__ import annotations

import getpass
import sys
from pathlib import Path

from nunect.backup.errors import BackupError

SHORTEST = 10  # characters


def chosen(file: str | None, *, ask: bool) -> str:
    """The passphrase for a new backup, "" when none is wanted. Raises BackupError."""
    if file is None and not ask:
        return ""
    found = _of_file(file) if file is not None else _asked("Passphrase: ")
    if len(found) < SHORTEST:
        raise BackupError(f"The passphrase has fewer than {SHORTEST} characters.")
    if file is None and _asked("The same again: ") != found:
        raise BackupError("The two passphrases differ.")
    return found


def of_backup(file: str | None) -> str:
    """The passphrase that a sealed backup was made with. Raises BackupError when nobody can be asked."""
    return _of_file(file) if file is not None else _asked("Passphrase of the backup: ")


def _of_file(name: str) -> str:
    try:
        return Path(name).read_text(encoding="utf-8").partition("\n")[0].rstrip("\r")
    except (OSError, ValueError) as error:
        raise BackupError(f"{name} can't be read as a passphrase.") from error


def _asked(question: str) -> str:
    if not sys.stdin.isatty():
        raise BackupError("Nobody is here to be asked for the passphrase: give --passphrase-file FILE.")
    return getpass.getpass(question)
