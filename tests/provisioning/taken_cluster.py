"""Three servers that somebody has set up by hand, each with a main file of its own, and JetStream over all of them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nats

from provisioning.binary import binary
from tests.ports import free_ports, with_ports
from tests.provisioning.taken_place import _HASHES, CONFS, HASH, PASSWORD, Member, Place

TEAM = "accounts { A: { users: [ { user: a, password: b, permissions: { publish: 'x' } } ] } }\n"
MEMBERS = [("orders", PASSWORD), ("screen", PASSWORD), ("press", "hunter-two")]


class Plant(Place):
    """tests/confs/takeover/cluster in a folder of its own. n1's main file is nats-server.conf, n2's stands beside it,
    n3's in a folder below."""

    NAMES = ("n1", "n2", "n3")

    def __init__(self, folder):
        self.folder, self.processes = folder, {}
        files = ("nats-server.conf", "n2.conf", "n3/nats-server.conf")
        self.mains = {name: folder / file for name, file in zip(self.NAMES, files, strict=True)}
        self.main, *others = self.mains.values()
        self.others = others
        taken = free_ports(8)
        self.ports = dict(zip(self.NAMES, taken[:3], strict=True))
        self.routes = dict(zip(self.NAMES, taken[3:6], strict=True))
        self.http = dict(zip(("n1", "n3"), taken[6:], strict=True))
        self.port, self.environ = self.ports["n1"], {**os.environ, "HALL": "hall-2"}
        words = {"4222": "n1", "4223": "n2", "4224": "n3"}
        turned = {text: self.ports[name] for text, name in words.items()}
        turned |= {text.replace("42", "62", 1): self.routes[name] for text, name in words.items()}
        turned |= {"8222": self.http["n1"], "8224": self.http["n3"]}
        for source in (CONFS / "cluster").rglob("*.conf"):
            text = with_ports(_HASHES.sub(lambda _: HASH, source.read_text()), turned)
            path = folder / source.relative_to(CONFS / "cluster")
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        self.before = self.files()

    def files(self):
        """{path: bytes} of every conf; the stores beside are full of files that come and go."""
        found = sorted([*self.folder.glob("*.conf"), *self.folder.glob("n3/*.conf")])
        return {str(path.relative_to(self.folder)): path.read_bytes() for path in found}

    def start(self, *names):
        for name in names or self.NAMES:
            self.processes[name] = subprocess.Popen(
                [binary(), "-c", self.mains[name].relative_to(self.folder), "-l", f"{name}.log"],
                cwd=self.folder,
                env=self.environ if name == "n2" else None,
            )
        self.until_led()
        return self

    def stop(self, *names):
        for name in names or list(self.processes):
            process = self.processes.pop(name)
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait(10)

    def signal(self, name, kind):
        """Send one a signal; whoever sends SIGSTOP goes on once it has stopped."""
        self.processes[name].send_signal(kind)
        stat = Path(f"/proc/{self.processes[name].pid}/stat")
        while kind == signal.SIGSTOP and stat.read_text().rpartition(")")[2].split()[0] != "T":
            time.sleep(0.005)

    def restart(self, *names):
        self.stop(*names)
        return self.start(*names)

    def starts(self):
        """Whether the server's binary takes what stands on disk now, for each of them."""
        runs = [
            subprocess.run([binary(), "-t", "-c", main], cwd=self.folder, env=self.environ, capture_output=True)
            for main in self.mains.values()
        ]
        return all(run.returncode == 0 for run in runs)

    def until_led(self):
        """Wait until JetStream answers at each of those that run, when they are a majority."""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            for name, process in self.processes.items():
                assert process.poll() is None, (self.folder / f"{name}.log").read_text()[-2000:]
            with contextlib.suppress(OSError):
                if all(self._settled(name) for name in self.processes):
                    return
            time.sleep(0.05)
        raise AssertionError("the servers did not find each other")

    def _settled(self, name):
        if not Member(self.ports[name], *MEMBERS[0]).alive() or len(self.processes) < 2:
            return len(self.processes) < 2
        answer = self.ask("$JS.API.INFO", name=name, timeout_s=0.5)
        return bool(answer) and "error" not in answer

    def ask(self, subject, body=None, *, name="n1", timeout_s=5.0):
        """What JetStream's API answers the user `orders` at this server; {} when nobody does."""

        async def work():
            url = f"nats://127.0.0.1:{self.ports[name]}"
            client = await nats.connect(url, user="orders", password=PASSWORD, allow_reconnect=False)
            try:
                answer = await client.request(subject, json.dumps(body or {}).encode(), timeout=timeout_s)
                return json.loads(answer.data)
            except (TimeoutError, nats.errors.Error):
                return {}
            finally:
                await client.close()

        try:
            with ThreadPoolExecutor(1) as thread:  # where a browser is driven this one has a loop already
                return thread.submit(asyncio.run, work()).result()
        except nats.errors.Error:
            return {}

    def members(self):
        """Three clients at each server."""
        return [Member(port, *who) for port in self.ports.values() for who in MEMBERS]

    def anonymous_gets_in(self):
        """Whether any of them lets in who has no credential."""
        for port in self.ports.values():
            with contextlib.suppress(OSError):
                if Member(port).alive():
                    return True
        return False


def until(is_so, timeout_s=10):
    """Wait for it."""
    deadline = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.05)
