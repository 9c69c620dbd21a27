"""A RabbitMQ node of our own with its management plugin, to hold an apply against its definitions import."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

from benchmarks.calls import Answer, Caller
from tests.ports import free_ports

PROGRAMS = ("/usr/lib/rabbitmq/bin/rabbitmq-server", "/usr/sbin/rabbitmq-server")


class NoRabbit(Exception):
    """It isn't installed, or doesn't start; the text says what it said."""


class Rabbit:
    """A node on the loopback with folders, ports and a name of its own, from start to stop a child of ours."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.process: subprocess.Popen[bytes] | None = None
        self.epmd: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Rabbit:
        """Raises NoRabbit."""
        program = next((each for each in PROGRAMS if Path(each).exists()), shutil.which("rabbitmq-server"))
        epmd = shutil.which("epmd")
        if program is None or epmd is None:
            raise NoRabbit("rabbitmq-server is not installed")
        self.folder.mkdir()
        amqp, self.port, dist, names = free_ports(4)
        conf, plugins = self.folder / "rabbitmq.conf", self.folder / "enabled_plugins"
        conf.write_text(
            f"listeners.tcp.1 = 127.0.0.1:{amqp}\nmanagement.tcp.ip = 127.0.0.1\nmanagement.tcp.port = {self.port}\n"
        )
        plugins.write_text("[rabbitmq_management].\n")
        self.env = os.environ | {
            "HOME": str(self.folder),
            "RABBITMQ_NODENAME": f"bench{os.getpid()}@localhost",
            "RABBITMQ_CONFIG_FILE": str(conf),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(plugins),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self.folder / "log"),
            "RABBITMQ_PID_FILE": str(self.folder / "pid"),
            "RABBITMQ_DIST_PORT": str(dist),
            "RABBITMQ_CONF_ENV_FILE": str(self.folder / "none"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            "ERL_EPMD_PORT": str(names),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
        }
        self.epmd = subprocess.Popen([epmd], env=self.env)
        with (self.folder / "output").open("wb") as output:
            self.process = subprocess.Popen(
                [program], env=self.env, cwd=self.folder, stdout=output, stderr=output, start_new_session=True
            )
        try:
            self._wait(60)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(20)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        if self.epmd is not None:
            self.epmd.terminate()
            self.epmd.wait()

    def call(self) -> Caller:
        signed = base64.b64encode(b"guest:guest").decode()
        return Caller(self.port, headers={"Authorization": f"Basic {signed}"})

    def version(self) -> str:
        return str(self.call().get("/api/overview").json()["rabbitmq_version"])

    def load(self, definitions: dict[str, Any]) -> Answer:
        return self.call().post("/api/definitions", definitions)

    def users(self) -> int:
        return len(self.call().get("/api/users").json())

    def processes(self) -> list[int]:
        """The node's process: the wrapper becomes it, or is in one session with it."""
        assert self.process is not None
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if os.getsid(int(entry.name)) == self.process.pid and "beam" in (entry / "comm").read_text():
                    found.append(int(entry.name))
        return found

    def _wait(self, seconds: float) -> None:
        assert self.process is not None
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            with contextlib.suppress(OSError, AssertionError):
                self.call().get("/api/overview")
                return
            time.sleep(0.3)
        raise NoRabbit("rabbitmq-server does not start: " + (self.folder / "output").read_text()[-800:].strip())


def definitions(users: int) -> dict[str, Any]:
    """Users with ready password hashes, a permission and a topic permission each, in the default virtual host."""
    names = [f"u{number:05}" for number in range(users)]
    salt = b"salt"
    hashed = base64.b64encode(salt + hashlib.sha256(salt + b"a password").digest()).decode()
    return {
        "users": [
            {"name": name, "password_hash": hashed, "hashing_algorithm": "rabbit_password_hashing_sha256", "tags": ""}
            for name in names
        ],
        "vhosts": [{"name": "/"}],
        "permissions": [
            {"user": name, "vhost": "/", "configure": "^$", "write": f"^{name}\\.", "read": f"^{name}\\."}
            for name in names
        ],
        "topic_permissions": [
            {"user": name, "vhost": "/", "exchange": "amq.topic", "write": f"^{name}\\.out\\.", "read": f"^{name}\\."}
            for name in names
        ],
    }
