"""The product as `up` starts it, full of users, with somebody who saves and somebody who is refused."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from accounts_app import credentials
from benchmarks.confs import READY, conf
from benchmarks.wire import Wire
from tests.whole.product import ROOT, Product

NO_SWEEP = {"PROVISIONING_SWEEP_SECONDS": "86400"}  # a floor's bytes are not nunect's: a sweep would mend them
SUBJECTS = 400


class Running:
    """A started product. `fill` imports users; afterwards `floor` and `save` can be measured in turn."""

    def __init__(self, folder: Path, saver: str = "benchmarks.saver", **more: str) -> None:
        """saver: the module of the process beside it; more: variables of both."""
        folder.mkdir(parents=True)
        self.folder = folder
        self.product = Product(folder, sys.executable)
        self.product.env |= {**NO_SWEEP, **more}
        self.module = saver
        self.nkey, self.seed = credentials.new_nkey()
        self.saver: subprocess.Popen[str] | None = None
        self._turn = 0

    def __enter__(self) -> Running:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop_saver()
        self.product.kill()

    # --- parts --------------------------------------------------------------

    def start(self) -> float:
        """Seconds until it says that it is ready."""
        began = time.monotonic()
        self.product.start()
        took = time.monotonic() - began
        self.settle()
        return took

    def stop(self) -> None:
        self.stop_saver()
        self.product.stop()

    def env(self) -> dict[str, str]:
        """What a process needs to be one of this product's."""
        lines = (self.product.state / "secrets.env").read_text().splitlines()
        secrets = dict(line.split("=", 1) for line in lines if "=" in line)
        return {**secrets, **self.product.env, "DJANGO_SETTINGS_MODULE": "nunect.settings"}

    def ask(self, *command: object) -> Any:
        """Let the saver do something; its answer."""
        if self.saver is None:
            self.saver = subprocess.Popen(
                [sys.executable, "-m", self.module],
                cwd=ROOT,
                env=self.env(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=(self.folder / "saver.log").open("a"),
                text=True,
            )
        assert self.saver.stdin and self.saver.stdout
        self.saver.stdin.write(json.dumps(command) + "\n")
        self.saver.stdin.flush()
        answer = self.saver.stdout.readline()
        if not answer:
            raise AssertionError((self.folder / "saver.log").read_text()[-3000:])
        return json.loads(answer)

    def stop_saver(self) -> None:
        if self.saver is not None:
            self.saver.stdin.close()
            self.saver.wait(10)
            self.saver = None

    def settle(self, seconds: float = 120) -> float:
        """Wait until the servers hold what the rows say; when that was seen."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            state = self.ask("state")
            if state["wanted"] == state["done"]:
                return time.monotonic()
            time.sleep(0.005)
        raise AssertionError(f"it does not settle: {state}\n{self.product.logs()}")

    def reloads(self) -> int:
        return (self.product.state / "logs" / "nats-server.log").read_text().count("Reloaded server configuration")

    # --- filling ------------------------------------------------------------

    def fill(self, accounts: int, users: int) -> dict[str, float]:
        """Import a conf of this size; seconds of the command, seconds until enforced, reloads."""
        self.settle()
        source = self.folder / "theirs.conf"
        source.write_text(conf(accounts, users, self.nkey))
        before, began = self.reloads(), time.monotonic()
        done = self.product.run("import", str(source))
        imported = time.monotonic() - began
        if done.returncode:
            raise AssertionError(done.stdout[-2000:] + done.stderr[-2000:])
        enforced = self.settle() - began
        time.sleep(1)
        return {"command": imported, "enforced": enforced, "reloads": self.reloads() - before}

    def begin(self) -> None:
        """Sign the victim and the control user in."""
        self.who = self.ask("who", self.nkey)
        port = self.product.ports["NATS_PORT"]
        self.conf = Path(self.who["conf"])
        self.control = Wire(port, self.who["nkey"], lambda nonce: credentials.sign(self.who["seed"], nonce))
        self.victim = Wire(port, self.nkey, lambda nonce: credentials.sign(self.seed, nonce))
        self.victim.subscribe(*(f"{kind}.n{number}" for number in range(SUBJECTS) for kind in ("probe", "floor")))
        assert not self.victim.errors, self.victim.errors
        self.settle()

    def end(self) -> None:
        self.control.close()
        self.victim.close()

    # --- what is compared ---------------------------------------------------

    def floor(self) -> tuple[float, float]:
        """Write ready bytes and ask for a reload; seconds until the victim is refused, and until the answer.

        Nothing is rendered, checked, synced or written down. Afterwards the former bytes are back and enforced.
        """
        self._turn += 1
        subject = f"floor.n{self._turn}"
        former = self.conf.read_bytes()
        ready = former.replace(READY.encode(), subject.encode())
        assert ready != former
        began = time.monotonic()
        answered = self._write_and_reload(ready)
        refused = self.victim.until_refused(subject)
        self._write_and_reload(former)
        return refused - began, answered - began

    def _write_and_reload(self, text: bytes) -> float:
        self.conf.write_bytes(text)
        answered, answer = self.control.request(f"$SYS.REQ.SERVER.{self.victim.server_id}.RELOAD")
        assert not answer.get("error"), answer
        return answered

    def save(self) -> dict[str, float]:
        """Save a row that takes a right of the victim; seconds from the commit (and of the save itself)."""
        self._turn += 1
        subject = f"probe.n{self._turn}"
        stamps = self.ask("save", self.who["user"], subject)
        refused = self.victim.until_refused(subject)
        settled = self.settle()
        time.sleep(0.03)  # the run lets go of its lock
        return {
            "saving": stamps["returned"] - stamps["began"],
            "returned": stamps["returned"] - stamps["committed"],
            "enforced": refused - stamps["committed"],
            "recorded": settled - stamps["committed"],
        }


def interleaved(*acts: Callable[[], Any], rounds: int) -> list[list[Any]]:
    """The results of each act, taken in turn, so that all of them meet the same noise."""
    results: list[list[Any]] = [[] for _ in acts]
    for _ in range(rounds):
        for act, found in zip(acts, results, strict=True):
            found.append(act())
    return results


def subjects_in(text: str) -> set[str]:
    return set(re.findall(r"burst\.n\d+\.x", text))


def scratch() -> Path:
    """A folder for products; short, since sockets live in it."""
    import tempfile

    return Path(tempfile.mkdtemp(prefix="nunect-bench-", dir=os.environ.get("NUNECT_BENCH_DIR")))
