"""Two real nats-servers that are joined and keep no streams, each with a main file of its own in one folder."""

from __future__ import annotations

import signal
import subprocess
import time

from provisioning.binary import binary
from provisioning.files import GENERATED
from provisioning.server import Fleet
from tests.ports import free_ports
from tests.provisioning.world import World


class Pair(World):
    """n1's main file is the folder's nats-server.conf, n2's is n2.conf beside it, and has more in it where asked."""

    def __init__(self, folder, settings):
        self.second, *self.routes = free_ports(3)
        self.other = None
        super().__init__(folder, settings)

    @property
    def urls(self):
        return f"nats://127.0.0.1:{self.port},nats://127.0.0.1:{self.second}"

    @property
    def n2(self):
        return self.folder / "n2.conf"

    def write_main(self, more=""):
        """more: what n2.conf has and nats-server.conf hasn't."""
        for number, port, path in ((1, self.port, self.folder / "nats-server.conf"), (2, self.second, self.n2)):
            path.write_text(
                f'''server_name: "n{number}"
listen: "127.0.0.1:{port}"
cluster {{ name: c, listen: "127.0.0.1:{self.routes[number - 1]}", routes: [
  "nats://127.0.0.1:{self.routes[0]}", "nats://127.0.0.1:{self.routes[1]}" ] }}
{more if number == 2 else ""}
authorization {{ timeout: 2, users: [ {{ nkey: "{self.system.guard_nkey}" }} ] }}
include "{GENERATED}"
'''
            )

    def start(self):
        self.other = subprocess.Popen(
            [binary(), "-c", str(self.n2), "-l", str(self.folder / "n2.log")], start_new_session=True
        )
        super().start()
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            with Fleet(self.system) as fleet:
                if [one.name for one in sorted(fleet.see(), key=lambda one: one.name)] == ["n1", "n2"]:
                    return self
            time.sleep(0.02)
        raise AssertionError((self.folder / "n2.log").read_text()[-2000:])

    def stop(self, *kind):
        super().stop(*kind)
        if self.other is not None:
            self.other.kill()
            self.other.wait(10)
            self.other = None

    def reload(self, *names):
        """What a person does who has edited a conf; returns once the servers have taken it."""
        for name, process, log in (("n1", self.process, "log"), ("n2", self.other, "n2.log")):
            if name not in names:
                continue
            log = self.folder / log
            before = log.read_text().count("Reloaded server configuration")
            process.send_signal(signal.SIGHUP)
            deadline = time.monotonic() + 10
            while log.read_text().count("Reloaded server configuration") == before:
                assert time.monotonic() < deadline, log.read_text()[-2000:]
                time.sleep(0.01)
