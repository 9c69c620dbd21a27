"""`manage.py up` as a person starts it, on ports and folders of its own."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

from nunect import install
from nunect.tables import STAMP, stamp_of
from tests.ports import free_ports

ROOT = Path(__file__).resolve().parent.parent.parent
PORTS = ("NUNECT_PORT", "NATS_PORT", "NATS_HTTP_PORT", "NATS_WS_PORT")


class Product:
    """tables: an SQLite file with empty tables to begin from. Without one it starts from nothing, which takes longer:
    it migrates, and begins once more when it has made its secrets."""

    def __init__(self, folder, python, tables=None):
        self.state, self.config, self.python, self.tables = folder / "var", folder / "config", python, tables
        self.ports = dict(zip(PORTS, free_ports(4), strict=True))
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("NUNECT_", "NATS_"))}
        for key in ("SECRET_KEY", "DATABASE_URL", "REDIS_URL", "DJANGO_SETTINGS_MODULE"):
            kept.pop(key, None)
        self.env = {
            **kept,
            **{name: str(port) for name, port in self.ports.items()},
            "NUNECT_STATE_DIR": str(self.state),
            "NUNECT_CONFIG_DIR": str(self.config),
        }
        self.process, self.output = None, folder / "output"

    def start(self, wait=True, **more):
        if self.tables and not self.state.exists():
            self.state.mkdir(mode=0o700, parents=True)
            database = self.state / "nunect.sqlite3"
            database.touch(0o600)
            shutil.copyfile(self.tables, database)
            stamp = stamp_of({"ENGINE": "django.db.backends.sqlite3", "NAME": database})
            install.write_private(self.state / STAMP, stamp)
            install.make_secrets(self.state)
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [self.python, str(ROOT / "manage.py"), "up"],
                cwd=ROOT,
                env={**self.env, **more},
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        if wait:
            self.wait_for("is ready", 180)  # on a machine with much to do; the product itself says when it gives up
        return self

    def said(self):
        return self.output.read_text() if self.output.exists() else ""

    def wait_for(self, words, seconds):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if words in self.said():
                return self.said()
            if self.process.poll() is not None and words not in self.said():
                raise AssertionError(f"it ended: {self.said()}\n{self.logs()}")
            time.sleep(0.05)
        raise AssertionError(f"never said {words!r}: {self.said()}\n{self.logs()}")

    def logs(self):
        return "\n".join(f"== {log.name}\n{log.read_text()[-1500:]}" for log in (self.state / "logs").glob("*.log"))

    def run(self, *command, **more):
        """One manage.py command beside the running product."""
        return subprocess.run(
            [self.python, str(ROOT / "manage.py"), *command],
            cwd=ROOT,
            env={**self.env, **more},
            capture_output=True,
            text=True,
            timeout=120,
        )

    def nunect(self, *arguments, **more):
        """One command of `nunect` beside the running product, on its database unless `more` says where."""
        return subprocess.run(
            [self.python, "-m", "nunect.cli", *arguments],
            cwd=ROOT,
            env={**self.env, **more},
            capture_output=True,
            text=True,
            timeout=300,
        )

    def runs(self):
        return self.process is not None and self.process.poll() is None

    def end(self):
        """Run to its end by itself; (exit code, what it said)."""
        return self.process.wait(30), self.said()

    def stop(self, kind=signal.SIGINT, seconds=30):
        self.process.send_signal(kind)
        return self.process.wait(seconds)

    def kill(self):
        if self.runs():
            self.process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(20)
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def processes(self):
        """{pid: command} of every process with this product's state folder in its environment, and their children.

        Valkey writes its title over its environment, so it is found as a child.
        """
        mark = f"NUNECT_STATE_DIR={self.state}".encode()
        found, parents = {}, {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdecimal() and int(entry.name) != os.getpid():
                with contextlib.suppress(OSError):
                    pid = int(entry.name)
                    command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                    parents[pid] = (int((entry / "stat").read_text().rpartition(")")[2].split()[1]), command)
                    if mark in (entry / "environ").read_bytes().split(b"\0"):
                        found[pid] = command
        found |= {pid: command for pid, (parent, command) in parents.items() if parent in found and command}
        return found

    def get(self, path):
        """(status, body) of a page of the web process."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.ports['NUNECT_PORT']}{path}", timeout=15) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def ready(self):
        status, body = self.get("/readyz")
        return status, json.loads(body)

    def until_ready(self, wanted=200, seconds=40):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                if self.ready()[0] == wanted:
                    return self.ready()[1]
            time.sleep(0.2)
        raise AssertionError(f"/readyz never answered {wanted}: {self.ready()}\n{self.logs()}")

    def password(self):
        return re.search(r"admin / (\S+)", self.said())[1]
