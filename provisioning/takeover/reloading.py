"""Having servers read their files again, and seeing that they have: the new ones, and the former ones."""

from __future__ import annotations

import copy
import os
import signal
import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from django.conf import settings

from accounts_app.models import System
from provisioning.errors import NotVerified, ProvisioningError, Unreachable
from provisioning.machine import Process, ask_http, find_process, monitoring_url
from provisioning.server import Fleet, Seen
from provisioning.signin import urls_of
from provisioning.takeover.journal import Journal, Main, step
from provisioning.takeover.seeing import see

Running = Mapping[str, Process]  # {main file: the server that was started with it}


def running_of(journal: Journal) -> Running:
    """The servers of a take-over that run on this machine."""
    found = {main.path: find_process(Path(main.path)) for main in journal.mains}
    return {path: process for path, process in found.items() if process is not None}


def reload(journal: Journal, running: Running, system: System, mark: str, waits_s: float, *, joined: bool) -> None:
    """Signal each, and wait until each says itself that it runs its new conf. Raises Unreachable, NotVerified.

    mark: sha256 in the generated file's own metadata; waits_s: that a reload takes; joined: there may be neighbours,
    of whom none may be left out.
    """
    for path, process in running.items():
        _signal(process)
        if path != journal.main:
            step(f"takeover reload {journal.named(path)}")
    step("takeover reload")
    expected = [main for main in journal.mains if main.path in running]
    deadline = time.monotonic() + settings.NATS_REQUEST_TIMEOUT * 5 + 3 * waits_s
    with Fleet(system, own=True) as fleet:
        while True:
            seen = fleet.see(len(expected))
            if not _behind(expected, seen, mark):
                break
            if time.monotonic() > deadline:
                raise _why(expected, fleet.see(), mark, fleet.problem)
            time.sleep(0.05)
            fleet.connect()
        strangers = list(_strangers(expected, fleet.see())) if joined else []
    if strangers:
        raise NotVerified(
            f"{strangers[0]} belongs to these servers and isn't among them: it would keep the former accounts. Name "
            "its main file, too."
        )
    step("takeover verify")


def bring_back(journal: Journal) -> None:
    """Have every server that runs read the former files again; one that has gone reads them when it starts."""
    for process in running_of(journal).values():
        with suppress(Unreachable):
            _signal(process)


def proofs_of_undoing(journal: Journal, running: Running, system: System | None) -> Iterator[str]:
    """Wait until each server runs its former conf, as far as anybody can know, and say how that is known."""
    urls = urls_of(system.url) if system is not None else ()
    each_its_own = len(urls) == len(journal.mains) > 1
    for number, main in enumerate(journal.mains):
        who = "nats-server" if not journal.others else f"nats-server of {main.path}"
        if main.path not in running:
            yield "No nats-server runs with it." if not journal.others else f"No nats-server runs with {main.path}."
            continue
        there = copy.copy(system)
        if there is not None and each_its_own:
            there.nats_url = urls[number]
        yield f"{who} {_proof(main, there)}"


def _proof(main: Main, system: System | None) -> str:
    url = monitoring_url(see(Path(main.path)).parsed.tree)
    deadline = time.monotonic() + settings.NATS_REQUEST_TIMEOUT * 5
    reports = ""
    while time.monotonic() < deadline:
        varz = ask_http(url, "varz")
        reports = str((varz or {}).get("config_digest") or reports)
        if reports == main.digest_before:
            return f"runs the former configuration: it reports {main.digest_before}."
        if not url and system is not None:
            with Fleet(system, own=True) as fleet:
                if fleet.unauthorized:
                    return "runs the former configuration: it no longer knows nunect."
        time.sleep(0.05)
    if reports:
        return f"still runs another configuration, {reports}: its log says why it took no other; restart it."
    return "was signalled; look into its log whether it runs the former configuration."


def _signal(process: Process) -> None:
    try:
        os.kill(process.pid, signal.SIGHUP)
    except OSError as error:
        raise Unreachable(f"nats-server (process {process.pid}) can't be signalled: {error.strerror}.") from error


def _behind(expected: Collection[Main], seen: Collection[Seen], mark: str) -> list[Main]:
    """Those of whom nobody reports the digest that was judged."""
    told = Counter(one.config_digest for one in seen if one.sha256 == mark)
    behind = []
    for main in expected:
        if told[main.digest_after] > 0:
            told[main.digest_after] -= 1
        else:
            behind.append(main)
    return behind


def _strangers(expected: Collection[Main], seen: Collection[Seen]) -> Iterator[str]:
    """Servers that answer and are none of these."""
    known = Counter(main.digest_after for main in expected)
    for one in seen:
        if known[one.config_digest] > 0:
            known[one.config_digest] -= 1
        else:
            yield f"{one.name} at {one.host}"


def _why(expected: Collection[Main], seen: Collection[Seen], mark: str, problem: str) -> ProvisioningError:
    """The error of servers that did not follow in time."""
    behind = _behind(expected, seen, mark)
    judged = {main.digest_after for main in expected}
    other = next((one for one in seen if one.sha256 == mark and one.config_digest not in judged), None)
    if len(expected) == 1 and other is not None:  # one that began with files half written has the mark before
        return NotVerified(f"nats-server reports {other.config_digest}, and {behind[0].digest_after} was judged.")
    which = "" if len(expected) == 1 else f" of {', '.join(main.path for main in behind)}"
    if other is not None:
        return NotVerified(
            f"nats-server{which} reports {other.config_digest}, and {behind[0].digest_after} was judged."
        )
    why = problem or ("It still runs the former configuration." if seen else "It doesn't answer.")
    return Unreachable(f"nats-server{which} did not take the new files: {why}")
