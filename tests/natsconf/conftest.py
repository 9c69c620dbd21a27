"""Real nats-servers for the core's tests, and a client that hears each answer of the server."""

import base64
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

BINARY = Path(sys.executable).with_name("nats-server")


class Judge:
    """`nats-server -t`: is this conf valid, and what is its digest?"""

    def __init__(self, folder):
        self.folder = folder

    def __call__(self, text):
        """Return (digest, "") of a valid conf, else ("", errors)."""
        path = self.folder / "probe.conf"
        path.write_text(text, encoding="utf-8", newline="\n")
        run = subprocess.run([BINARY, "-t", "-c", path], capture_output=True, text=True, timeout=60)
        found = re.search(r"is valid \((sha256:[0-9a-f]{64})\)", run.stderr)
        return (found[1], "") if run.returncode == 0 and found else ("", run.stderr)


class Server:
    """A nats-server of this test, on ports of its own choice."""

    def __init__(self, folder, text, files=None):
        self.folder = folder
        self.conf = folder / "nats-server.conf"
        self.log = folder / "log"
        self.write(text, files)
        self.process = subprocess.Popen(
            [
                BINARY,
                "-a",
                "127.0.0.1",
                "-p",
                "-1",
                "--ports_file_dir",
                folder,
                "-c",
                self.conf,
                "-l",
                self.log,
            ]
        )
        ports = folder / f"nats-server_{self.process.pid}.ports"
        self._wait(lambda: ports.exists() and ports.read_text().endswith("}"))
        url = json.loads(ports.read_text())["nats"][0]
        self.port = int(url.rsplit(":", 1)[1])

    def write(self, text, files=None):
        for name, content in {self.conf.name: text, **(files or {})}.items():
            (self.folder / name).write_text(content, encoding="utf-8", newline="\n")

    def reload(self, text=None, files=None):
        """Return True when the server took the new conf, False when it refused."""
        done = self._outcomes()
        self.write(text if text is not None else self.conf.read_text(encoding="utf-8"), files)
        os.kill(self.process.pid, signal.SIGHUP)
        self._wait(lambda: len(self._outcomes()) > len(done))
        return self._outcomes()[-1] == "Reloaded"

    def connect(self, **options):
        return Client(self.port, **options)

    def lets_in(self, **options):
        try:
            Client(self.port, **options).close()
        except PermissionError:
            return False
        return True

    def stop(self):
        self.process.terminate()
        self.process.wait(10)

    def _outcomes(self):
        return re.findall(r"(Reloaded|Failed to reload) server configuration", self.log.read_text())

    def _wait(self, ready):
        until = time.monotonic() + 10
        while not ready():
            if time.monotonic() > until or self.process.poll() is not None:
                raise AssertionError(self.log.read_text() if self.log.exists() else "no nats-server")
            time.sleep(0.005)


class Client:
    """The NATS protocol by hand: each call waits for PONG, so each refusal has been heard."""

    def __init__(self, port, signer=None, **options):
        self.socket = socket.create_connection(("127.0.0.1", port), 10)
        self.file = self.socket.makefile("rb")
        nonce = json.loads(self._line().removeprefix("INFO ")).get("nonce", "")
        if signer:
            options["sig"] = base64.urlsafe_b64encode(signer.sign(nonce.encode())).decode().rstrip("=")
        options = {"verbose": False, "pedantic": False, "headers": True, "no_responders": True, **options}
        self.sid = 0
        errors = self.say(f"CONNECT {json.dumps(options)}\r\n")
        if any("Authorization" in error for error in errors):
            raise PermissionError(errors)

    def say(self, text):
        """Send protocol lines and return what came before the PONG: errors, else messages."""
        heard = []
        self.socket.sendall(text.encode() + b"PING\r\n")
        while (line := self._line()) != "PONG":
            if not line:
                raise PermissionError(heard or "closed")
            if line.startswith("-ERR"):
                heard.append(line)
            elif line.startswith(("MSG", "HMSG")):
                self.file.read(int(line.rsplit(" ", 1)[1]) + 2)
                heard.append(line)
            if "Authorization Violation" in line:
                return heard
        return heard

    def may_publish(self, subject, reply=""):
        return not self._refused(f"PUB {subject} {reply} 0\r\n\r\n")

    def may_subscribe(self, subject, queue=""):
        self.sid += 1
        return not self._refused(f"SUB {subject} {queue} {self.sid}\r\n")

    def subscribe(self, subject, queue=""):
        assert self.may_subscribe(subject, queue)
        return self

    def heard(self):
        return [line.split(" ")[1] for line in self.say("") if line.startswith(("MSG", "HMSG"))]

    def close(self):
        self.socket.close()

    def _refused(self, text):
        return any("Permissions Violation" in line for line in self.say(text))

    def _line(self):
        return self.file.readline().decode().rstrip("\r\n")


@pytest.fixture
def judge(tmp_path):
    return Judge(tmp_path)


@pytest.fixture
def nats_node(tmp_path):
    """Start a server with a conf text; it is stopped after the test."""
    started = []

    def start(text, files=None):
        folder = tmp_path / f"node{len(started)}"
        folder.mkdir()
        started.append(Server(folder, text, files))
        return started[-1]

    yield start
    for server in started:
        server.stop()
