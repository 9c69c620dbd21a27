"""A real nats-server with JetStream for tests that hold the pure part against it: one of each kind for a module."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import subprocess
import time

import nats
import pytest

from provisioning.binary import binary
from tests.ports import free_ports

LIMITED = """
    max_mem: 16MiB, max_file: 64MiB, max_streams: 3, max_consumers: 4, max_ack_pending: 500,
    max_bytes_required: true, disk_max_stream_bytes: 32MiB
"""
FOLDER_IN_THE_WAY = 10049  # of a stream of that name which was deleted a moment ago


class Server:
    """One server. Account OPEN has no limits of JetStream, LIMITED has each of them, NOBODY has no JetStream."""

    def __init__(self, folder):
        self.folder, (self.port,) = folder, free_ports(1)
        conf = folder / "nats.conf"
        conf.write_text(
            f'''listen: "127.0.0.1:{self.port}"
jetstream {{ store_dir: "{folder}/js", max_mem: 64M, max_file: 256M }}
accounts {{
  OPEN: {{ jetstream: true, users: [{{user: OPEN, password: pw}}] }}
  NOBODY: {{ users: [{{user: NOBODY, password: pw}}] }}
  LIMITED: {{ jetstream: {{{LIMITED}}}, users: [{{user: LIMITED, password: pw}}] }}
}}
'''
        )
        self.process = subprocess.Popen([binary(), "-c", str(conf), "-l", str(folder / "log")])
        end = time.monotonic() + 20
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 0.5) as line:
                if line.recv(4):
                    return
            assert self.process.poll() is None and time.monotonic() < end, (folder / "log").read_text()[-2000:]
            time.sleep(0.02)

    def stop(self):
        self.process.kill()
        self.process.wait(10)

    def run(self, work, account="OPEN"):
        """What `work(client)` answers, over a connection of its own."""

        async def go():
            client = await nats.connect(f"nats://127.0.0.1:{self.port}", user=account, password="pw")
            try:
                return await work(client)
            finally:
                await client.close()

        return asyncio.run(go())

    def ask(self, subject, body=None, account="OPEN"):
        """The answer of JetStream's API; `error` is in it when it refuses."""

        async def work(client):
            data = json.dumps(body).encode() if body is not None else b""
            async with asyncio.timeout(20):
                while True:
                    answer = json.loads((await client.request(f"$JS.API.{subject}", data, timeout=20)).data)
                    if answer.get("error", {}).get("err_code") != FOLDER_IN_THE_WAY:
                        return answer

        return self.run(work, account)

    def clear(self, account="OPEN"):
        for stream in self.ask("STREAM.NAMES", account=account)["streams"] or ():
            self.ask(f"STREAM.DELETE.{stream}", account=account)


@pytest.fixture(scope="session")
def _server(tmp_path_factory):
    made = Server(tmp_path_factory.mktemp("jetstream"))
    yield made
    made.stop()


@pytest.fixture
def nats_server(_server):
    """A server without streams."""
    yield _server
    _server.clear()
    _server.clear("LIMITED")
