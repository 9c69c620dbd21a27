"""A system with a real nats-server, and strangers who try its door."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

import nats
from django.db import connections

from accounts_app import credentials
from accounts_app.models import Account, NatsUser, SubjectPermission, System
from provisioning import pipeline, steps, workshop
from provisioning.binary import binary
from provisioning.bootstrap import ensure_system, settle_files
from provisioning.files import GENERATED, MAIN
from tests.ports import free_ports

PASSWORD = "correct-horse-battery"


class World:
    """One system, its folder and its server. `apply()` runs the pipeline in this process."""

    def __init__(self, folder, settings):
        self.folder, (self.port,) = folder, free_ports(1)
        self.pid_file = folder / "nats-server.pid"
        settings.NATS_PID_FILE = self.pid_file
        settings.NATS_CONNECT_TIMEOUT = 0.5
        settings.NATS_REQUEST_TIMEOUT = 1.0
        settings.NATS_RELOAD_TIMEOUT = 5.0
        self.process = None
        self.system = ensure_system()
        self.system.conf_dir, self.system.nats_url = str(folder), self.urls
        self.system.save()
        workshop.forget(self.system.pk)
        self.write_main()
        settle_files(self.system)

    @property
    def urls(self):
        return f"nats://127.0.0.1:{self.port}"

    def write_main(self, more=""):
        (self.folder / MAIN).write_text(
            f'''listen: "127.0.0.1:{self.port}"
server_name: "n1"
pid_file: "{self.pid_file}"
jetstream {{ store_dir: "{self.folder}/js", max_mem: 64M, max_file: 1G }}
{more}
authorization {{ timeout: 2, users: [ {{ nkey: "{self.system.guard_nkey}" }} ] }}
include "{GENERATED}"
'''
        )

    # --- the server ---------------------------------------------------------

    def start(self):
        self.process = subprocess.Popen(
            [binary(), "-c", str(self.folder / MAIN), "-l", str(self.folder / "log")], start_new_session=True
        )
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 0.5) as line:
                if line.recv(4):
                    return self
            if self.process.poll() is not None:
                raise AssertionError((self.folder / "log").read_text()[-2000:])
            time.sleep(0.02)
        raise AssertionError("nats-server did not start")

    def stop(self, kind=signal.SIGKILL):
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.process.pid, signal.SIGCONT)
                os.kill(self.process.pid, kind)
            self.process.wait(10)
            self.process = None

    def restart(self):
        self.stop()
        return self.start()

    def signal(self, kind):
        """Send it a signal; whoever sends SIGSTOP goes on once it has stopped."""
        os.kill(self.process.pid, kind)
        stat = Path(f"/proc/{self.process.pid}/stat")
        while kind == signal.SIGSTOP and stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "T":
            time.sleep(0.005)

    def reloads(self):
        return (self.folder / "log").read_text().count("Reloaded server configuration")

    @property
    def conf(self):
        return self.folder / GENERATED

    def digest_on_disk(self):
        """What the server's own binary says of what stands on disk; None when it refuses it."""
        answer = subprocess.run([binary(), "-t", "-c", str(self.folder / MAIN)], capture_output=True, text=True)
        found = re.search(r"is valid \((sha256:[0-9a-f]+)\)", answer.stderr)
        return found[1] if found and answer.returncode == 0 else None

    # --- the rows -----------------------------------------------------------

    def apply(self, **options):
        return pipeline.apply(self.system.pk, **options)

    def account(self, name="ACME", **fields):
        return Account.objects.create(system=self.system, name=name, **fields)

    def user(self, account, name="svc", *permissions, **fields):
        """permissions: "publish orders.>" or "deny publish orders.secret"."""
        fields.setdefault("credential", "password")
        fields.setdefault("password_hash", credentials.hash_password(PASSWORD, chosen=False))
        user = NatsUser.objects.create(account=account, name=name, **fields)
        for text in permissions:
            self.permit(user, text)
        return user

    def permit(self, user, text):
        effect, _, rest = text.partition(" ") if text.startswith("deny ") else ("allow", "", text)
        action, subject = rest.split(" ", 1)
        return SubjectPermission.objects.create(user=user, action=action, effect=effect, subject=subject)

    def many_users(self, account, count, prefix="u"):
        """`count` nkey users with a permission each, by bulk."""
        users = NatsUser.objects.bulk_create(
            NatsUser(
                system=self.system,
                account=account,
                name=f"{prefix}{number}",
                credential="nkey",
                nkey=credentials.new_nkey()[0],
            )
            for number in range(count)
        )
        SubjectPermission.objects.bulk_create(
            SubjectPermission(user=user, action="publish", subject=f"{user.name}.>") for user in users
        )
        return users

    def state(self):
        """(wanted, done) of the system as the tables have it now."""
        return System.objects.values_list("wanted", "done").get(pk=self.system.pk)

    # --- strangers ----------------------------------------------------------

    def may(self, subject, user="svc", password=PASSWORD):
        """Whether a client of that name may publish; None when it may not even sign in."""
        return asyncio.run(self._may(subject, user, password))

    async def _may(self, subject, user, password):
        refused = []

        async def on_error(error):
            refused.append(error)

        try:
            client = await nats.connect(
                f"nats://127.0.0.1:{self.port}",
                user=user,
                password=password,
                allow_reconnect=False,
                connect_timeout=20,
                error_cb=on_error,
            )
        except Exception:
            return None
        try:
            await client.publish(subject, b"")
            await client.flush(20)
        except nats.errors.Error:
            return None
        await asyncio.sleep(0.01)
        with contextlib.suppress(Exception):
            await client.close()
        return not any("permissions violation" in str(error).lower() for error in refused)

    def anonymous_gets_in(self):
        """Whether somebody without a credential is let in; False also when nobody listens."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as line:
                line.settimeout(2)
                line.recv(4096)
                line.sendall(b'CONNECT {"verbose":false,"pedantic":false}\r\nPING\r\n')
                answer = b""
                while b"\r\n" not in answer:
                    more = line.recv(4096)
                    if not more:
                        return False
                    answer += more
                return answer.startswith(b"PONG")
        except OSError:
            return False


class Intruder(threading.Thread):
    """Tries the door without a credential, all the while."""

    def __init__(self, world):
        super().__init__(daemon=True)
        self.world, self.over, self.tries, self.got_in = world, threading.Event(), 0, 0

    def run(self):
        while not self.over.wait(0.01):
            self.tries += 1
            self.got_in += self.world.anonymous_gets_in()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.join(5)
        assert self.tries > 0
        assert self.got_in == 0, f"an anonymous client got in {self.got_in} times of {self.tries}"


def dies_at(step, act):
    """Run `act` in a child process that is killed with SIGKILL as `step` ends; True when it was.

    The child is a fork, so it is the same code on the same database; nothing of it runs afterwards.
    """
    connections.close_all()
    child = os.fork()
    if child == 0:
        try:
            steps.reached.connect(
                lambda sender, **seen: os.kill(os.getpid(), signal.SIGKILL) if seen["step"] == step else None,
                weak=False,
            )
            act()
        finally:
            os._exit(7)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL


def metadata(world):
    """nunect's own mark in what stands on disk: (revision, sha256)."""
    text = world.conf.read_text()
    found = re.search(r'nunect_revision: "(\d+)", nunect_sha256: "([0-9a-f]+)"', text)
    return json.loads(found[1]), found[2]
