"""Who stops and starts nats-server while its store is moved: a person, a command of theirs, or nunect by a signal."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from accounts_app.models import System
from provisioning.errors import NotManaged, Unreachable
from provisioning.machine import find_process, listens
from provisioning.server import Fleet

SIGNALS = {"lame-duck": signal.SIGUSR2, "term": signal.SIGTERM}
_COMMAND_S = 120.0
_WORDS = 2000  # bytes of what a command says when it fails
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
_SHELL = re.compile(r"[$`|;&<>*~]")  # outside of quotes: somebody thinks that a shell reads it


def _unheard(_: str) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Service:
    """stop_command, start_command: "" where a person does it; signal: sent instead of the first. wait_s: how long each
    is waited for. say: tells the person what is waited for."""

    stop_command: str = ""
    start_command: str = ""
    signal: Literal["", "lame-duck", "term"] = ""
    wait_s: float = 600.0
    say: Callable[[str], None] = _unheard

    def stop(self, main: Path) -> None:
        """Have the server of this main file stopped, and wait until it is. Raises Unreachable when it is not."""
        process = find_process(main)
        if process is None:
            return
        if self.stop_command:
            self._run(self.stop_command, " Nothing was changed.")
        elif self.signal:
            self._signal(process.pid)
        else:
            self.say(f"Stop nats-server (process {process.pid}) now, so that nobody starts it again by itself.")
        deadline = time.monotonic() + self.wait_s
        while find_process(main) is not None:
            if time.monotonic() > deadline:
                raise Unreachable(f"nats-server was not stopped within {self.wait_s:g} s; nothing was changed.")
            time.sleep(0.02)

    def start(self) -> None:
        """Start it, or say that it is to be started."""
        if self.start_command:
            self._run(self.start_command)
        else:
            self.say("Start nats-server now.")

    def stays_stopped(self, main: Path) -> None:
        """Raise NotManaged when somebody has started it meanwhile."""
        process = find_process(main)
        if process is not None:
            raise NotManaged(
                f"nats-server (process {process.pid}) was started meanwhile, perhaps by a service manager: stop it by "
                "that (--stop-command), and run this again."
            )

    def wait_for(self, main: Path, system: System, digest: str) -> bool:
        """Whether the server of this main file came up with this digest in time."""
        deadline = time.monotonic() + self.wait_s
        while find_process(main) is None or not listens(system.url.split(",")[0].strip()):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        with Fleet(system) as fleet:
            while True:
                if any(one.config_digest == digest for one in fleet.see(1)):
                    return True
                if time.monotonic() > deadline:
                    return False
                time.sleep(0.05)
                fleet.connect()

    def _signal(self, pid: int) -> None:
        try:
            os.kill(pid, SIGNALS[self.signal])
        except OSError as error:
            raise Unreachable(f"nats-server (process {pid}) can't be signalled: {error.strerror}.") from error

    def _run(self, command: str, after: str = "") -> None:
        """after: a sentence for whoever reads that it failed."""
        with tempfile.TemporaryFile() as said:  # no pipe: what the command starts may hold it for ever
            try:
                done = subprocess.run(
                    shlex.split(command),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=said,
                    timeout=_COMMAND_S,
                    check=False,
                )
            except (OSError, ValueError, subprocess.TimeoutExpired) as error:
                why = getattr(error, "strerror", None) or f"it did not end within {_COMMAND_S:g} s"
                raise Unreachable(f"`{command}` can't be run: {why}.{after}") from error
            if done.returncode:
                said.seek(0)
                words = said.read(_WORDS).decode(errors="replace").strip()
                meant = _SHELL.search(_QUOTED.sub("", command))
                shell = " It was run without a shell: put what needs one into a script." if meant else ""
                raise Unreachable(f"`{command}` ended with {done.returncode}.{shell}{after}", words)
