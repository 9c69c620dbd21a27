"""Credentials that come once: picked up by a link's token, shown, or kept in a folder."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from nunect.cli import output
from nunect.cli.client import Client, Failure
from nunect.cli.progress import Waiting

Users = Mapping[str, Mapping[str, Any]]
_SAFE = re.compile(r"[^A-Za-z0-9._-]")


def pick_up(client: Client, token: str) -> dict[str, Any]:
    """{user: {"kind", "secret", "connect"}} behind a link; it opens nothing any more afterwards."""
    with Waiting("Picking up the credentials"):
        answer = client.call("POST", "hand-overs/open/", body={"token": token})
    found: dict[str, Any] = answer.data["users"]
    return found


def show(users: Users) -> None:
    """The secrets on stdout, alone; how a client connects beside them."""
    output.say("Told once, keep them now:", err=True)
    rows = [{"user": user, "kind": one["kind"], "secret": one["secret"]} for user, one in users.items()]
    output.table(rows, ("user", "kind", "secret"))
    help_ = next((one["connect"] for one in users.values() if one.get("connect")), None)
    if help_ and len(users) == 1:
        output.say(click.style("Python", bold=True), err=True)
        for line in help_["snippet"].rstrip("\n").split("\n"):
            output.say(f"  {output.plain(line)}".rstrip(), err=True)
    elif help_:
        output.say(f"They connect to {output.plain(help_['url'])}; --creds-to FOLDER writes a file for each.", err=True)


class Folder:
    """A new folder for credentials that only its owner can read: a context of `nats`, its files and an environment
    for each user, and all of it as one JSON file."""

    def __init__(self, name: str) -> None:
        self.path = Path(name)

    def check(self) -> None:
        """Make it before anything is asked for. Raises Failure when it holds something already."""
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            if any(self.path.iterdir()):
                raise Failure(f"{self.path} is not empty: name another folder for the credentials.")
            self.path.chmod(0o700)
        except OSError as error:
            raise Failure(f"{self.path} can't be made: {error.strerror}.") from error

    def keep(self, users: Users) -> str:
        """Write them; the name of the folder. What can't be written is printed, since it comes only once."""
        try:
            self._write("credentials.json", json.dumps(users, indent=2, ensure_ascii=False) + "\n")
            for user, one in users.items():
                self._keep_one(_SAFE.sub("_", user) or "user", one.get("connect") or {})
        except OSError as error:
            output.say(f"nunect: {self.path} can't be written: {error.strerror}.", err=True)
            show(users)
            return ""
        return str(self.path)

    def _keep_one(self, name: str, connect: Mapping[str, Any]) -> None:
        files: Mapping[str, str] = connect.get("files") or {}
        for file, content in files.items():
            self._write(Path(file).name, content)
        if connect:
            context = dict(connect["context"])
            for key, value in context.items():  # the files stand here, not where a home may be
                if isinstance(value, str) and Path(value).name in files:
                    context[key] = str((self.path / Path(value).name).resolve())
            self._write(f"{name}.json", json.dumps(context, indent=2, ensure_ascii=False) + "\n")
            self._write(f"{name}.env", connect["env"])

    def _write(self, name: str, text: str) -> None:
        number = os.open(self.path / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(number, "w", encoding="utf-8") as file:
            file.write(text)
