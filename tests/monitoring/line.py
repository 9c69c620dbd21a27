"""A client that signs in and stays, without a library."""

from __future__ import annotations

import contextlib
import json
import socket

from tests.provisioning.world import PASSWORD


class Line:
    def __init__(self, port, user="svc", password=PASSWORD, name="app"):
        self.socket = socket.create_connection(("127.0.0.1", port), 30)
        self.file = self.socket.makefile("rb")
        self.cid = json.loads(self.file.readline().removeprefix(b"INFO "))["client_id"]
        told = {"user": user, "pass": password, "name": name, "lang": "test", "verbose": False, "protocol": 1}
        self.say(f"CONNECT {json.dumps(told)}", "PING")

    def say(self, *lines):
        self.socket.sendall("".join(f"{line}\r\n" for line in lines).encode())

    def read(self):
        """The next line that is no INFO."""
        while (line := self.file.readline()).startswith(b"INFO"):
            pass
        return line.decode().strip()

    def is_out(self, seconds=30):
        """Whether the server closes the connection within so many seconds."""
        self.socket.settimeout(seconds)
        try:
            while self.socket.recv(4096):
                pass
        except TimeoutError:
            return False
        except ConnectionError:
            pass
        return True

    def close(self):
        """Go as a client that means to: what is still unread would make the kernel break the connection."""
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)
            while self.file.read(4096):
                pass
        self.file.close()
        self.socket.close()
