"""REST against plain Django and RabbitMQ: `python -m benchmarks.rest`. Prints ratios, all taken in one run."""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from accounts_app import credentials
from benchmarks.calls import Answer, Caller
from benchmarks.figures import cpu, machine, median, ms, percentile, table
from benchmarks.rabbit import NoRabbit, Rabbit, definitions
from benchmarks.running import Running, interleaved, scratch
from benchmarks.wire import Wire
from tests.ports import free_ports
from tests.whole.product import ROOT

FILLER = "benchmarks.filler"
NO_LIMIT = {"NUNECT_API_RATE": "1000000000"}  # requests a minute: what is measured is not the throttle
USERS, ACCOUNTS, LIMIT = 100_000, 1_000, 100
DEEP = USERS - LIMIT  # the thousandth page starts after this row
APPLIED, APPLIED_ACCOUNTS, SINGLES = 10_000, 100, 200
HOME = "SINGLES"
LISTS = {  # what is asked for: (order, column of the order, the other parameters)
    "by id": ("id", "pk", {}),
    "by name": ("name", "name", {}),
    "by id, filter `enabled=true`": ("id", "pk", {"enabled": "true"}),
    "by name, filter `enabled=true`": ("name", "name", {"enabled": "true"}),
    "newest first, `ordering=-created_at`": ("-created_at", "created_at", {}),
    "by id, `search=A0` (finds all)": ("id", "pk", {"search": "A0"}),
    "by name, `search=A0` (finds all)": ("name", "name", {"search": "A0"}),
}
SPARSE = {  # lists that have no thousandth page
    "one account, `account=A00999`, all its 100 users": {"account": "A00999"},
    "one account, by name": {"account": "A00999", "ordering": "name"},
    "`search=A00999.u00042`, finds 1 of 100,000": {"search": "A00999.u00042"},
}


# --- the list page ----------------------------------------------------------------


@contextlib.contextmanager
def plain(running: Running, **more: str) -> Iterator[tuple[int, int]]:
    """A daphne of the plain view beside a product; its port and process."""
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "daphne", "-b", "127.0.0.1", "-p", str(port), "benchmarks.plain:application"]
    with (running.folder / f"plain{port}.log").open("wb") as log:
        daphne = subprocess.Popen(command, cwd=ROOT, env={**running.env(), **more}, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 60
        while True:
            with contextlib.suppress(OSError):
                Caller(port).get("/users/?limit=1")
                break
            assert time.monotonic() < deadline, (running.folder / f"plain{port}.log").read_text()[-2000:]
            time.sleep(0.1)
        yield port, daphne.pid
    finally:
        daphne.terminate()
        daphne.wait(20)


def seconds_of(caller: Caller, path: str) -> Callable[[], float]:
    """One GET of the path; how long it took."""
    return lambda: caller.get(path).seconds


def lists(folder: Path, rounds: int) -> dict[str, Any]:
    """A page against the plain view, the first page against the thousandth, and statements a page."""
    with Running(folder / "lists", FILLER, **NO_LIMIT) as running, contextlib.ExitStack() as stack:
        found: dict[str, Any] = {"rows": running.ask("fill", ACCOUNTS, USERS)}
        bare = running.ask("token", True)
        caller = called(running, bare)
        (port, plain_pid), (bare_port, bare_pid) = (
            stack.enter_context(plain(running, **more)) for more in ({}, {"BENCH_PLAIN": "bare"})
        )
        alone, naked = Caller(port), Caller(bare_port)
        pages = {name: _pages(running, *asked) for name, asked in LISTS.items()}
        _same(caller.get(pages["by id"][0]), alone.get(f"/users/?limit={LIMIT}"))
        for path in pages.values():
            caller.get(path[1])  # warm
        first = pages["by id"][0]
        acts = (seconds_of(caller, first), seconds_of(alone, f"/users/?limit={LIMIT}"))
        interleaved(*acts, rounds=5)
        pids, turns = (web(running), plain_pid, bare_pid), rounds * 4
        before = [cpu([pid]) for pid in pids]
        found["view"] = interleaved(*acts, seconds_of(naked, f"/users/?limit={LIMIT}"), rounds=turns)
        found["view_cpu"] = [(cpu([pid]) - was) / turns for pid, was in zip(pids, before, strict=True)]
        print(f"… list page: {median(found['view'][1]) / median(found['view'][0]):.2f} × a plain view", flush=True)
        found["pages"] = {
            name: interleaved(seconds_of(caller, near), seconds_of(caller, far), rounds=rounds)
            for name, (near, far) in pages.items()
        }
        found["sparse"] = {
            name: [caller.get(_path(**asked)).seconds for _ in range(max(5, rounds // 4))]
            for name, asked in SPARSE.items()
        }
        found["queries"] = _queries(running, bare, pages)
        found["tried"] = [running.ask("tried", "A00999", 20) for _ in range(max(3, rounds // 6))]
        return found


def called(running: Running, bare: str) -> Caller:
    return Caller(running.product.ports["NUNECT_PORT"], headers={"Authorization": f"Bearer {bare}"})


def _path(**params: Any) -> str:
    return f"/api/v1/users/?{urlencode({'limit': LIMIT, **params})}"


def _pages(running: Running, order: str, column: str, more: dict[str, str]) -> tuple[str, str]:
    """Addresses of the first page of a list and of its thousandth."""
    cursor = running.ask("cursor", order, column, DEEP)
    asked = {**more, "ordering": order} if order != "id" else more
    return _path(**asked), _path(**asked, cursor=cursor)


def _same(ours: Answer, theirs: Answer) -> None:
    """Both must tell the same users with the same permissions, or the ratio says nothing."""
    rows, plain_rows = ours.json()["results"], theirs.json()["results"]
    assert [row["id"] for row in rows] == [row["id"] for row in plain_rows], "other rows"
    assert len(rows) == LIMIT and all(len(row["permissions"]) == 3 for row in rows), rows[0]
    assert [row["permissions"] for row in rows] == [row["permissions"] for row in plain_rows], "other permissions"


def _queries(running: Running, bare: str, pages: dict[str, tuple[str, str]]) -> dict[str, int]:
    """Statements of one page by who asks for how much; the most of all lists."""
    few = running.ask("token", False)
    one = running.ask("token", False, "A00001")
    paths = [path for pair in pages.values() for path in pair]
    return {
        "an administrator's token, any list": max(running.ask("queries", path, bare) for path in paths),
        "limit=1": running.ask("queries", _path(limit=1), bare),
        "limit=1000": running.ask("queries", _path(limit=1000), bare),
        "a token of somebody with single rights": running.ask("queries", _path(), few),
        "a token for one account": running.ask("queries", _path(), one),
    }


# --- apply ------------------------------------------------------------------------


def document(accounts: int, users: int, last: str) -> dict[str, Any]:
    """As people keep it in Git: every user with its public nkey and three permissions.

    last: public nkey of the last one, by which a client signs in.
    """
    told = {
        "accounts": [
            {
                "name": f"A{account:05}",
                "users": [
                    {
                        "name": (name := f"A{account:05}.u{number:05}"),
                        "credential": "nkey",
                        "nkey": credentials.new_nkey()[0],
                        "permissions": [
                            f"allow publish {name}.out.>",
                            f"allow subscribe {name}.in.>",
                            f"deny publish {name}.out.audit",
                        ],
                    }
                    for number in range(users // accounts)
                ],
            }
            for account in range(accounts)
        ]
    }
    told["accounts"][-1]["users"][-1]["nkey"] = last
    return told


def rules(name: str) -> list[dict[str, str]]:
    return [
        {"action": action, "effect": effect, "subject": f"{name}.{tail}"}
        for action, effect, tail in (
            ("publish", "allow", "out.>"),
            ("subscribe", "allow", "in.>"),
            ("publish", "deny", "out.audit"),
        )
    ]


class Watch(threading.Thread):
    """Looks at the counter of the system beside a request, and notes when it was raised and when it was met."""

    def __init__(self, database: Path) -> None:
        super().__init__(daemon=True)
        self.database = database
        self.written = self.enforced = math.nan
        self._over = threading.Event()
        self._began_at = self._look()[0]

    def run(self) -> None:
        while not self._over.wait(0.02):
            wanted, done = self._look()
            now = time.monotonic()
            if wanted > self._began_at and math.isnan(self.written):
                self.written = now
            if wanted > self._began_at and done >= wanted:
                self.enforced = now
                return

    def end(self) -> None:
        self.join(60)
        self._over.set()

    def _look(self) -> tuple[int, int]:
        with contextlib.closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as connection:
            wanted, done = connection.execute("SELECT wanted, done FROM accounts_app_system").fetchone()
        return wanted, done


def web(running: Running) -> int:
    """The web process."""
    return next(pid for pid, command in running.product.processes().items() if "nunect.asgi" in command)


def web_memory(running: Running, *, anew: bool = False) -> tuple[float, float]:
    """(RSS, the most it ever was) of the web process in MiB. anew: from now on."""
    pid = web(running)
    if anew:
        Path(f"/proc/{pid}/clear_refs").write_text("5")
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    sizes = {line.split(":")[0]: int(line.split()[1]) / 1024 for line in lines if line.startswith("Vm")}
    return sizes["VmRSS"], sizes["VmHWM"]


def apply_once(folder: Path, rabbit: Rabbit | None, singles: int) -> dict[str, Any]:
    """A new product: users one by one, then 10,000 in one document, then the same document, and RabbitMQ's import."""
    with Running(folder, FILLER, **NO_LIMIT) as running:
        caller = called(running, running.ask("token", True))
        running.ask("account", HOME)
        running.settle()
        found: dict[str, Any] = {}
        began = time.monotonic()
        found["one"] = [
            caller.post(
                "/api/v1/users/",
                {"account": HOME, "name": f"one{number}", "credential": "nkey", "permissions": rules(f"one{number}")},
            ).seconds
            for number in range(singles)
        ]
        found["one_enforced"] = running.settle() - began
        time.sleep(1)
        nkey, seed = credentials.new_nkey()
        wanted = document(APPLIED_ACCOUNTS, APPLIED, nkey)
        ready = json.dumps(wanted).encode()
        found["bytes"], before = len(ready), running.reloads()
        web_memory(running, anew=True)
        found["rss_before"] = web_memory(running)[0]
        watch, processes = Watch(running.product.state / "nunect.sqlite3"), list(running.product.processes())
        spent = cpu(processes)
        began = time.monotonic()
        watch.start()
        answer = caller.post("/api/v1/apply/", ready, Prefer="wait=60")
        found["cpu"] = cpu(processes) - spent
        _enforced(running, wanted["accounts"][-1]["users"][-1]["name"], nkey, seed)
        watch.end()
        told = answer.json()
        assert told["created"] == {"account": APPLIED_ACCOUNTS, "user": APPLIED, "permission": 3 * APPLIED}, told
        assert answer.status == 200 and told["sync"]["state"] == "applied", (answer.status, told["sync"])
        found |= {"written": watch.written - began, "enforced": watch.enforced - began, "answered": answer.seconds}
        found["rss_peak"] = web_memory(running)[1]
        running.settle()
        time.sleep(2)
        found["reloads"] = running.reloads() - before
        was, before = running.ask("counts"), running.reloads()
        again = caller.post("/api/v1/apply/", ready, Prefer="wait=60")
        time.sleep(2)
        now = running.ask("counts")
        found |= {"again": again.seconds, "again_reloads": running.reloads() - before}
        found["again_written"] = {name: now[name] - was[name] for name in was}
        again_told = again.json()
        assert not (again_told["created"] or again_told["updated"] or again_told["deleted"]), again_told
    if rabbit is not None:
        found["rabbit"] = import_once(rabbit)
    return found


def _enforced(running: Running, name: str, nkey: str, seed: str) -> None:
    """A client signs in as this user, may do what the document says, and nothing else."""
    client = Wire(running.product.ports["NATS_PORT"], nkey, lambda nonce: credentials.sign(seed, nonce))
    client.subscribe(f"{name}.in.x", "elsewhere.x")
    client.until_refused("elsewhere.x", 10)
    assert set(client.refused) == {"elsewhere.x"}, client.refused
    client.close()


def import_once(rabbit: Rabbit) -> dict[str, float]:
    """Seconds of a definitions import into a new node, and of the same again."""
    with rabbit:
        rabbit.load(definitions(10))  # warm
        spent = cpu(rabbit.processes())
        first = rabbit.load(definitions(APPLIED))
        spent = cpu(rabbit.processes()) - spent
        assert rabbit.users() == APPLIED + 1, rabbit.users()
        again = rabbit.load(definitions(APPLIED))
        return {"seconds": first.seconds, "again": again.seconds, "cpu": spent}


def applies(folder: Path, rounds: int, singles: int) -> dict[str, Any]:
    found: dict[str, Any] = {"rabbit": "", "rounds": []}
    try:
        with Rabbit(folder / "rabbit") as rabbit:
            found["rabbit"], usable = f"RabbitMQ {rabbit.version()}", True
    except NoRabbit as missing:
        found["rabbit"], usable = str(missing), False
    for number in range(rounds):
        rabbit = Rabbit(folder / f"rabbit{number}") if usable else None
        one = apply_once(folder / f"apply{number}", rabbit, singles)
        found["rounds"].append(one)
        print(f"… apply {number + 1}: {one['answered']:.1f} s, {one['reloads']} reload(s)", flush=True)
    return found


# --- single writes ----------------------------------------------------------------


def posts(folder: Path, rounds: int, block: int = 20) -> dict[str, list[float]]:
    """Seconds a user of POST, of POST with a key, and of `services.create_user`, in turn by blocks."""
    with Running(folder / "posts", FILLER, **NO_LIMIT) as running:
        caller = called(running, running.ask("token", True))
        running.ask("account", HOME)
        running.settle()
        names = (f"p{number}" for number in range(10**9))

        def posted(with_key: bool) -> float:
            taken = 0.0
            for name in (next(names) for _ in range(block)):
                more = {"Idempotency_Key": f"key-{name}"} if with_key else {}
                taken += caller.post(
                    "/api/v1/users/", {"account": HOME, "name": name, "credential": "nkey"}, **more
                ).seconds
            running.settle()
            return taken / block

        def created() -> float:
            taken = running.ask("create", HOME, [next(names) for _ in range(block)]) / block
            running.settle()
            return float(taken)

        acts = (lambda: posted(False), lambda: posted(True), created)
        interleaved(*acts, rounds=1)  # warm
        plain_posts, keyed, saves = interleaved(*acts, rounds=rounds)
        print(f"… POST: {median(saves) / median(plain_posts):.2f} × create_user", flush=True)
        tries = [running.ask("tried", HOME, 20) for _ in range(max(3, rounds // 2))]
        return {"post": plain_posts, "keyed": keyed, "create": saves, "tried": tries}


# --- all of it --------------------------------------------------------------------


def measure(folder: Path, quick: bool, kept: Path | None = None, only: str = "") -> dict[str, Any]:
    """All figures. kept: a file that holds what is known so far, whatever happens later."""
    found: dict[str, Any] = {"machine": machine()}
    parts: dict[str, Callable[[], Any]] = {
        "lists": lambda: lists(folder, 10 if quick else 60),
        "applies": lambda: applies(folder, 1 if quick else 3, 50 if quick else SINGLES),
        "posts": lambda: posts(folder, 3 if quick else 15),
    }
    for name, part in parts.items():
        if not only or name == only:
            found[name] = part()
            if kept:
                kept.write_text(json.dumps(found, indent=1))
    return found


def verdict(met: bool, target: str) -> str:
    return f"{target} {'met' if met else 'MISSED'}"


def tell(found: dict[str, Any]) -> str:
    """The figures as Markdown."""
    parts = [found["machine"]]
    for name, part in (("lists", tell_lists), ("applies", tell_applies), ("posts", tell_posts)):
        if name in found:
            parts += part(found[name])
    if "lists" in found and "posts" in found:
        few, many = median(found["posts"]["tried"]), median(found["lists"]["tried"])
        parts.append(
            f"`services.create_user` alone: {ms(few)} ms in a small system, {ms(many)} ms at {USERS:,} users "
            f"({many / few:.1f} ×)."
        )
    return "\n\n".join(parts)


def rate(seconds: list[float]) -> str:
    return f"{1 / median(seconds):,.0f}"


def tell_lists(found: dict[str, Any]) -> list[str]:
    ours, spent = found["view"][0], found["view_cpu"][0]
    views = []
    for name, times, cost in zip(VIEWS, found["view"], found["view_cpu"], strict=True):
        ratio = median(times) / median(ours)
        told = verdict(ratio >= 0.5, "≥ 0.5 ×") if name == "plain view" else ""
        cells = (rate(times), ms(median(times)), ms(percentile(times, 99)), f"{ratio:.2f} ×")
        views.append((name, *cells, told, ms(cost), f"{cost / spent:.2f} ×"))
    pages, least = [], median(found["pages"]["by id"][0])
    for name, (near, far) in found["pages"].items():
        slower = median(far) / median(near)
        pages.append(
            (
                name,
                ms(median(near)),
                ms(median(far)),
                f"{slower:.2f} ×",
                verdict(slower <= SAME, f"≤ {SAME} ×"),
                f"{median(near) / least:.1f} ×",
            )
        )
    queries = [(name, count, verdict(count <= 6, "≤ 6")) for name, count in found["queries"].items()]
    return [
        f"## A page of {LIMIT} users at {USERS:,} users in {ACCOUNTS:,} accounts",
        table(
            ("", "pages/s", "p50 ms", "p99 ms", "nunect's speed ÷ its", "target", "processor ms", "its ÷ nunect's"),
            views,
        ),
        "## Page 1 against page 1,000 (medians, ms)",
        table(("list", "page 1", "page 1,000", "page 1,000 ÷ page 1", "target", "page 1 ÷ by id's"), pages),
        "## Lists with little to find (medians, ms)",
        table(("list", "ms"), [(name, ms(median(times))) for name, times in found["sparse"].items()]),
        "## SQL statements a page, sign-in included",
        table(("who asks", "statements", "target"), queries),
    ]


VIEWS = ("nunect", "plain view", "plain view, no middleware")
SAME = 1.1  # so much noise two runs of the very same page differ by, too


def tell_applies(found: dict[str, Any]) -> list[str]:
    rounds = found["rounds"]

    def of(name: str) -> float:
        return float(median([one[name] for one in rounds]))

    singly = median([second for one in rounds for second in one["one"]])
    by_one = sum(sum(one["one"]) / len(one["one"]) for one in rounds) / len(rounds) * APPLIED
    faster, reloads = by_one / of("answered"), [one["reloads"] for one in rounds]
    nothing = all(not any(one["again_written"].values()) for one in rounds)
    quiet = not any(one["again_reloads"] for one in rounds)
    rows: list[tuple[object, ...]] = [
        ("nunect: until written", f"{of('written'):.1f}", "", ""),
        ("nunect: until enforced", f"{of('enforced'):.1f}", "", ""),
        (
            "nunect: until answered (`Prefer: wait=60`)",
            f"{of('answered'):.1f}",
            f"1 × ({', '.join(map(str, reloads))} reload)",
            verdict(set(reloads) == {1}, "one reload"),
        ),
        (
            f"one by one: {len(rounds[0]['one'])} × POST, × {APPLIED // len(rounds[0]['one'])}, until written",
            f"{by_one:.0f} ({singly * 1000:.1f} ms each)",
            f"{faster:.1f} ×",
            verdict(faster >= 10, "≥ 10 ×"),
        ),
    ]
    if "rabbit" in rounds[0]:
        seconds = median([one["rabbit"]["seconds"] for one in rounds])
        rows.append((f"{found['rabbit']}, definitions", f"{seconds:.1f}", f"{seconds / of('answered'):.2f} ×", "told"))
    rows.append(
        (
            "nunect: the same document again",
            f"{of('again'):.1f}",
            f"{of('again') / of('answered'):.2f} of the first",
            verdict(nothing and quiet, "no row, no reload"),
        )
    )
    if "rabbit" in rounds[0]:
        again = median([one["rabbit"]["again"] for one in rounds])
        rows.append((f"{found['rabbit']}, the same again", f"{again:.1f}", f"{again / of('again'):.2f} ×", "told"))
    spent = f"Processor time of all its processes until enforced: {of('cpu'):.1f} s"
    if "rabbit" in rounds[0]:
        theirs = median([one["rabbit"]["cpu"] for one in rounds])
        spent += f"; RabbitMQ's: {theirs:.1f} s ({theirs / of('cpu'):.2f} ×)"
    note = [] if "rabbit" in rounds[0] else [f"Not held against RabbitMQ: {found['rabbit']}."]
    return [
        f"## {APPLIED:,} users with 3 permissions each in one document ({rounds[0]['bytes'] / 1e6:.1f} MB)",
        table(("what", "seconds", "÷ nunect's apply", "target"), rows),
        *note,
        f"{spent}.",
        f"Memory of the web process: {of('rss_before'):.0f} MiB before, {of('rss_peak'):.0f} MiB at the most.",
    ]


def tell_posts(found: dict[str, Any]) -> list[str]:
    saves = median(found["create"])
    rows = [
        (name, rate(found[key]), ms(median(found[key])), f"{saves / median(found[key]):.2f} ×")
        for name, key in (
            ("`services.create_user` in a loop, no HTTP", "create"),
            ("POST /api/v1/users/", "post"),
            ("POST with an Idempotency-Key", "keyed"),
        )
    ]
    return ["## One user, one nkey", table(("", "users/s", "p50 ms", "speed ÷ create_user's"), rows)]


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.rest", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few rounds: to see that it works, not to quote")
    parser.add_argument("--only", choices=("lists", "applies", "posts"), default="", help="one part alone")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every single figure")
    options = parser.parse_args()
    folder = scratch()
    try:
        found = measure(folder, options.quick, options.json, options.only)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print("\n" + tell(found))


if __name__ == "__main__":
    main()
