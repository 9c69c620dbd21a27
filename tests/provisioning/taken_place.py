"""A server that somebody has set up by hand, with their files, their environment and their clients."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from accounts_app import credentials
from provisioning.binary import binary
from tests.ports import free_ports, with_ports

CONFS = Path(__file__).parents[1] / "confs/takeover"
PASSWORD = "correct-horse-battery"
HASH = credentials.hash_password(PASSWORD, chosen=False)
_HASHES = re.compile(r"\$2a\$04\$[A-Za-z0-9./]{53}")
ENVIRON = {"HOST_NAME": "h1", "APP_USER": "app", "APP_PASSWORD": "pass-one", "WORKER_PASSWORD": "pass-two"}


class Place:
    """One of tests/confs/takeover in a folder of its own, on free ports; every hash is of PASSWORD."""

    def __init__(self, folder, name):
        self.folder, self.main = folder, folder / "nats-server.conf"
        self.port, self.http, self.websocket, self.leaves = free_ports(4)
        ports = {"4222": self.port, "8222": self.http, "7443": self.websocket, "7422": self.leaves}
        for source in (CONFS / name).rglob("*.conf"):
            text = with_ports(_HASHES.sub(lambda _: HASH, source.read_text()), ports)
            path = folder / source.relative_to(CONFS / name)
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        self.environ = {**os.environ, **ENVIRON} if name == "environment" else dict(os.environ)
        if name == "tls":
            make_certificate(folder)
        self.before = self.files()
        self.process = None

    def files(self):
        """{path: bytes} of every conf, without what a take-over leaves beside for good."""
        return {
            str(path.relative_to(self.folder)): path.read_bytes()
            for path in sorted(self.folder.rglob("*"))
            if path.is_file() and path.suffix == ".conf"
        }

    def start(self, *flags):
        self.process = subprocess.Popen(
            [binary(), "-c", self.main.name, "-l", "log", *flags], cwd=self.folder, env=self.environ
        )
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 0.5) as line:
                if line.recv(4):
                    return self
            if self.process.poll() is not None:
                raise AssertionError((self.folder / "log").read_text()[-2000:])
            time.sleep(0.01)
        raise AssertionError("nats-server did not start")

    def stop(self):
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.process.pid, signal.SIGKILL)
            self.process.wait(10)
            self.process = None

    def restart(self):
        self.stop()
        return self.start()

    def starts(self):
        """Whether the server's binary takes what stands on disk now."""
        run = subprocess.run([binary(), "-t", "-c", self.main], cwd=self.folder, env=self.environ, capture_output=True)
        return run.returncode == 0

    def listens(self):
        """Whether somebody says hello at its port."""
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 0.5) as line:
            return bool(line.recv(4))
        return False

    def wait(self):
        """Wait until a server that somebody else starts says hello."""
        deadline = time.monotonic() + 10
        while not self.listens():
            assert time.monotonic() < deadline, "nobody has started it"
            time.sleep(0.02)

    def anonymous_gets_in(self):
        """Whether somebody without a credential is let in; False also when nobody listens."""
        try:
            return Member(self.port).alive()
        except OSError:
            return False


def make_certificate(folder):
    """A certificate for "localhost" that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "server.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "server-key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


class Member:
    """A client by hand, whose connection is never made anew."""

    def __init__(self, port, user="", password=PASSWORD, ca=None, pair=None):
        """ca: a file; with it the connection is encrypted. pair: files of a certificate and its key, to be shown."""
        self.socket = socket.create_connection(("127.0.0.1", port), 20)
        if ca is None:
            self.file = self.socket.makefile("rb")
            self.file.readline()
        else:
            while self.socket.recv(1) != b"\n":
                pass
            context = ssl.create_default_context(cafile=ca)
            if pair is not None:
                context.load_cert_chain(*pair)
            self.socket = context.wrap_socket(self.socket, server_hostname="localhost")
            self.file = self.socket.makefile("rb")
        options = {"verbose": False, "pedantic": False, **({"user": user, "pass": password} if user else {})}
        self.socket.sendall(f"CONNECT {json.dumps(options)}\r\n".encode())

    def alive(self):
        """Whether the server still answers on this very connection."""
        try:
            self.socket.sendall(b"PING\r\n")
            while line := self.file.readline():
                if line.startswith(b"PONG"):
                    return True
                if line.startswith(b"-ERR"):
                    return False
        except OSError:
            pass
        return False

    def close(self):
        self.socket.close()
