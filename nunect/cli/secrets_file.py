"""Secrets that are told once: on the terminal, or in a file of their own that nobody else can read."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from nunect.cli import output
from nunect.cli.client import Failure


def tell_secrets(secrets: Mapping[str, Mapping[str, str]], kept: str) -> None:
    """What is told once: where it is kept, or itself."""
    if kept:
        output.say(f"{output.count(len(secrets), 'secret')} of new users: {kept}", err=True)
    elif secrets:
        output.say("Told once, keep them now:", err=True)
        rows = [
            {"user": user, "kind": kind, "secret": text} for user, one in secrets.items() for kind, text in one.items()
        ]
        output.table(rows, ("user", "kind", "secret"))


class SecretsFile:
    """The file for secrets, made before anything is written, so that none is lost; gone when there were none.

    again: the same command may have begun before: an empty file is what it left. needed: whether secrets will be
    made; when one comes unlooked for and the file is there, it is kept in a new file beside it.
    """

    def __init__(self, name: str | None, *, again: bool, needed: bool) -> None:
        self.path = Path(name) if name else None
        self.again, self.needed = again, needed

    def check(self) -> None:
        """Raises Failure when the file holds something already and another one is needed."""
        if self.path is not None and self.needed and os.path.lexists(self.path) and not self._left_over(self.path):
            raise self._taken()

    def __enter__(self) -> Callable[[Mapping[str, Any]], str]:
        self.done = False
        if self.path is not None:
            try:
                self.number = self._open(self.path)
            except FileExistsError:
                if self.needed:
                    raise self._taken() from None
                self.path = self.path.with_name(f"{self.path.name}.new")
                try:
                    self.number = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                except FileExistsError:
                    raise self._taken() from None
            except OSError as error:
                raise Failure(f"{self.path} can't be written: {error.strerror}.") from error
        return self._keep

    def _open(self, path: Path) -> int:
        if self._left_over(path):
            path.unlink(missing_ok=True)
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)

    def _left_over(self, path: Path) -> bool:
        """Whether a run that was killed left it: it holds nothing."""
        return self.again and path.is_file() and not path.is_symlink() and not path.stat().st_size

    def _taken(self) -> Failure:
        return Failure(f"{self.path} is there already: name another file for the secrets.")

    def _keep(self, secrets: Mapping[str, Any]) -> str:
        """Write them; the name of the file, "" when there is none."""
        if self.path is None:
            return ""
        try:
            with os.fdopen(self.number, "w", encoding="utf-8", closefd=False) as file:
                json.dump(secrets, file, indent=2)
                file.write("\n")
        except OSError as error:
            output.say(f"nunect: {self.path} can't be written: {error.strerror}.", err=True)
            return ""
        self.done = bool(secrets)
        return str(self.path) if self.done else ""

    def __exit__(self, *error: Any) -> None:
        if self.path is not None:
            os.close(self.number)
            if not self.done:
                self.path.unlink(missing_ok=True)
