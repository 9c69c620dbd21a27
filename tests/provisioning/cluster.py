"""Several real nats-servers on loopback that share one conf folder, each with a main file and a store of its own."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import time

import nats

from provisioning.binary import binary
from provisioning.files import GENERATED, MAIN
from provisioning.server import Fleet
from tests.ports import free_ports
from tests.provisioning.world import PASSWORD, World


class Cluster(World):
    """A system of `count` servers, n1, n2 and so on. All include the one accounts.conf of the folder.

    n1's main file is the folder's nats-server.conf; the others have n2.conf and so on beside it.
    """

    def __init__(self, folder, settings, count=3):
        self.names = [f"n{number}" for number in range(1, count + 1)]
        self.ports = dict(zip(self.names, free_ports(count), strict=True))
        self.routes = dict(zip(self.names, free_ports(count), strict=True))
        self.processes = {}
        super().__init__(folder, settings)
        self.port = self.ports["n1"]

    @property
    def urls(self):
        return ",".join(self.url_of(name) for name in self.names)

    def write_main(self, more=""):
        routes = ", ".join(f'"nats://127.0.0.1:{port}"' for port in self.routes.values())
        for name in self.names:
            self.main_of(name).write_text(
                f'''listen: "127.0.0.1:{self.ports[name]}"
server_name: "{name}"
pid_file: "{self.folder}/{name}.pid"
jetstream {{ store_dir: "{self.store_of(name)}", max_mem: 64M, max_file: 1G }}
cluster {{ name: "c", listen: "127.0.0.1:{self.routes[name]}", routes: [{routes}], no_advertise: true }}
{more}
authorization {{ timeout: 2, users: [ {{ nkey: "{self.system.guard_nkey}" }} ] }}
include "{GENERATED}"
'''
            )

    def main_of(self, name):
        return self.folder / (MAIN if name == "n1" else f"{name}.conf")

    def store_of(self, name):
        return self.folder / f"js-{name}"

    def log_of(self, name):
        return self.folder / f"{name}.log"

    # --- the servers --------------------------------------------------------

    def start(self, *names):
        """Start these servers, or all; returns when they have found each other and one leads JetStream."""
        for name in names or self.names:
            self.processes[name] = subprocess.Popen(
                [binary(), "-c", str(self.main_of(name)), "-l", str(self.log_of(name))], start_new_session=True
            )
        self.until_led()
        return self

    def stop(self, *names, kind=signal.SIGKILL):
        for name in names or list(self.processes):
            process = self.processes.pop(name)
            process.send_signal(signal.SIGCONT)
            process.send_signal(kind)
            process.wait(20)

    def kill(self, *names):
        self.stop(*names)

    def restart(self, *names):
        self.stop(*names)
        return self.start(*names)

    def signal(self, kind, name="n1"):
        self.processes[name].send_signal(kind)

    def reloads(self):
        """How often a server has re-read its conf: the most of any of them."""
        return max(self.log_of(name).read_text().count("Reloaded server configuration") for name in self.names)

    def until_led(self, timeout_s=30):
        """Wait until every running server is in touch with the leader of JetStream, if a majority runs."""
        running = set(self.processes)
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            for name, process in self.processes.items():
                assert process.poll() is None, self.log_of(name).read_text()[-2000:]
            with Fleet(self.system) as fleet:
                if self._settled(fleet, running):
                    return
            time.sleep(0.05)
        raise AssertionError("the servers did not find a leader")

    def followers(self):
        """Names of running servers that don't lead JetStream: when one of them goes, nobody has to choose anew."""
        with Fleet(self.system) as fleet:
            (answer, *_) = fleet._runner.run(fleet._gather("$SYS.REQ.SERVER.PING.JSZ", b"{}", 1))
        leader = answer["data"]["meta_cluster"]["leader"]
        return sorted(set(self.processes) - {leader})

    def _settled(self, fleet, running):
        if not fleet.connected:
            return False
        answers = fleet._runner.run(fleet._gather("$SYS.REQ.SERVER.PING.JSZ", b"{}", len(running)))
        metas = {answer["server"]["name"]: (answer.get("data") or {}).get("meta_cluster") or {} for answer in answers}
        if metas.keys() != running:
            return False
        if 2 * len(running) <= len(self.names):
            return True
        leaders = {meta.get("leader", "") for meta in metas.values()}
        return len(leaders) == 1 and leaders <= running

    def url_of(self, name):
        return f"nats://127.0.0.1:{self.ports[name]}"

    def ask(self, subject, body=None, user="svc", name=None):
        """What JetStream's API answers a user of an account."""

        async def work():
            at = self.url_of(name or next(iter(self.processes)))
            client = await nats.connect(at, user=user, password=PASSWORD, connect_timeout=20)
            try:
                answer = await client.request(subject, json.dumps(body or {}).encode(), timeout=20)
                return json.loads(answer.data)
            finally:
                await client.close()

        return asyncio.run(work())
