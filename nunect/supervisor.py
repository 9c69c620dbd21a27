"""Keeps child processes running: starts in order, restarts what dies, stops in reverse order."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

DEATHS, WITHIN_S = 5, 60.0  # so many deaths in so many seconds, and a child is given up
STOP_S = 10.0  # a child that has not ended so long after SIGTERM is killed
LOG_BYTES = 5_000_000  # a log file this large is put aside at the next start of its child
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


class GaveUp(Exception):
    """A child would not stay alive; the text names it and its log."""


@dataclass(slots=True)
class Child:
    """One process to keep alive. `ready` answers True once it can do its work; without a vital one all end."""

    name: str
    command: Sequence[str]
    ready: Callable[[], Awaitable[bool]]
    env: Mapping[str, str] = field(default_factory=dict)
    stop_signal: int = signal.SIGTERM
    vital: bool = False
    process: asyncio.subprocess.Process | None = None
    deaths: deque[float] = field(default_factory=lambda: deque(maxlen=DEATHS))


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent dies, so that nothing is left behind (Linux)."""
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Supervisor:
    """Runs children until `stop` is set. Their output goes to `<logs>/<name>.log`; say() tells a person."""

    def __init__(self, logs: Path, say: Callable[[str], None]) -> None:
        self._logs, self._say = logs, say
        self._children: list[Child] = []
        self._watchers: list[asyncio.Task[None]] = []
        self.stop = asyncio.Event()
        self.failed = ""
        self._were_ready = False

    async def start(self, *children: Child) -> None:
        """Start children side by side and watch them."""
        for child in children:
            self._children.append(child)
            await self._spawn(child)
            self._watchers.append(asyncio.create_task(self._watch(child)))

    async def wait_ready(self, timeout_s: float) -> None:
        """Until every child is ready. Raises GaveUp when one is not in time."""
        deadline = time.monotonic() + timeout_s
        for child in self._children:
            while not self.stop.is_set():
                with contextlib.suppress(OSError, asyncio.TimeoutError):
                    if await child.ready():
                        break
                if time.monotonic() > deadline:
                    raise GaveUp(f"{child.name} was not ready within {timeout_s:g} s: see {self._log(child)}.")
                await asyncio.sleep(0.1)
        if self.failed:
            raise GaveUp(self.failed)
        self._were_ready = True

    async def run(self) -> None:
        """Until somebody sets `stop`, or a child would not stay alive (then raises GaveUp)."""
        await self.stop.wait()
        if self.failed:
            raise GaveUp(self.failed)

    async def shut_down(self) -> None:
        """Stop all children, the last started first."""
        self.stop.set()
        for watcher in self._watchers:
            watcher.cancel()
        for child in reversed(self._children):
            await self._end(child)

    async def _spawn(self, child: Child) -> None:
        log = self._log(child)
        if log.exists() and log.stat().st_size > LOG_BYTES:
            log.replace(log.with_suffix(".log.1"))
        with log.open("ab") as output:
            child.process = await asyncio.create_subprocess_exec(
                *child.command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**os.environ, **child.env},
                start_new_session=True,
                preexec_fn=die_with_parent,
            )

    async def _watch(self, child: Child) -> None:
        while child.process is not None:
            code = await child.process.wait()
            if self.stop.is_set():
                return
            now = time.monotonic()
            child.deaths.append(now)
            recent = [death for death in child.deaths if now - death < WITHIN_S]
            how = f"was killed by signal {-code}" if code < 0 else f"ended with {code}"
            if len(recent) >= DEATHS:
                self._give_up(
                    child, f"{child.name} {how}, {len(recent)} times within a minute: see {self._log(child)}."
                )
                return
            pause = 0.2 * 2 ** (len(recent) - 1)
            self._say(f"{child.name} {how}; starting it again in {pause:g} s.")
            await asyncio.sleep(pause)
            await self._spawn(child)

    def _give_up(self, child: Child, why: str) -> None:
        """Before all are ready nothing is of use yet, so all end; later the others go on without it, if they can."""
        child.process = None
        if self._were_ready and not child.vital:
            self._say(f"{why} It is left down; the others go on. Mend it, then stop and start nunect.")
            return
        self.failed = why
        self.stop.set()

    async def _end(self, child: Child) -> None:
        process = child.process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(child.stop_signal)
        try:
            await asyncio.wait_for(process.wait(), STOP_S)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)  # what a child started and did not wait for

    def _log(self, child: Child) -> Path:
        return self._logs / f"{child.name}.log"
