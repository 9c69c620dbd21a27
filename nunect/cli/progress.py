"""A line on stderr while something takes longer than a second, and one for each step of what takes many."""

from __future__ import annotations

import contextlib
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import TracebackType

import click

from nunect.cli import output

PATIENCE_S, EVERY_S, ASK_EVERY_S = 1.0, 0.1, 2.0
_TURNS = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_BAR = 24  # columns


class Waiting:
    """Shows what is waited for and for how long, only to a terminal. The work goes on in the caller's thread.

    ask: what to add to the line, asked every two seconds; it may fail.
    """

    def __init__(self, what: str, ask: Callable[[], str] | None = None) -> None:
        self.what, self.ask = what, ask
        self._told = ""
        self._done, self._of = 0, 0
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []

    def at(self, done: int, of: int = 0, told: str = "") -> None:
        """How far the work is: `done` of `of`, which draws a bar; told: the same in words."""
        self._done, self._of, self._told = done, of, told

    def __enter__(self) -> Waiting:
        if sys.stderr.isatty():
            acts = [self._draw, self._keep_asking] if self.ask else [self._draw]
            self._threads = [threading.Thread(target=act, daemon=True) for act in acts]
            for thread in self._threads:
                thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._over.set()
        for thread in self._threads[:1]:  # one that still asks must not keep the command
            thread.join()

    def _draw(self) -> None:
        began, turn, drawn = time.monotonic(), 0, False
        while not self._over.wait(EVERY_S):
            seconds = time.monotonic() - began
            if seconds < PATIENCE_S:
                continue
            turn, drawn = turn + 1, True
            sys.stderr.write(f"\r\033[K{self._line(turn, seconds)}")
            sys.stderr.flush()
        if drawn:
            sys.stderr.write("\r\033[K")
            sys.stderr.flush()

    def _line(self, turn: int, seconds: float) -> str:
        told = f" ({self._told})" if self._told else ""
        bar = ""
        if self._of:
            full = min(_BAR, _BAR * self._done // self._of)
            bar = f"{'█' * full}{'░' * (_BAR - full)} {min(100, 100 * self._done // self._of):3d} %  "
        text = f"{_TURNS[turn % len(_TURNS)]} {bar}{self.what}{told} … {seconds:.0f} s"
        return text[: shutil.get_terminal_size().columns - 1]  # a second line could not be taken back

    def _keep_asking(self) -> None:
        while self.ask and not self._over.wait(ASK_EVERY_S):
            try:
                self._told = self.ask()
            except Exception:
                self._told = ""
                return


@dataclass(slots=True)
class Step:
    """One step under way. said: what came of it; good: whether it came to its end."""

    waiting: Waiting
    said: str = ""
    good: bool = True


class Steps:
    """A line on stderr for each step that is done, with how long it took. silent: for programs."""

    def __init__(self, silent: bool = False) -> None:
        self.silent = silent

    @contextlib.contextmanager
    def step(self, name: str, what: str, ask: Callable[[], str] | None = None) -> Iterator[Step]:
        """name: at the head of the line; what: shown while it is waited for. A step that fails says so."""
        began = time.monotonic()
        with contextlib.ExitStack() as stack:
            step = Step(stack.enter_context(Waiting(what, ask)))
            try:
                yield step
            except BaseException:
                stack.close()
                self._tell("✗", "red", name, "", began)
                raise
        self._tell(*(("✓", "green") if step.good else ("!", "yellow")), name, step.said, began)

    def _tell(self, mark: str, colour: str, name: str, said: str, began: float) -> None:
        if not self.silent:
            tell_step(mark, colour, name, time.monotonic() - began, said)


def tell_step(mark: str, colour: str, name: str, seconds: float, said: str) -> None:
    """A line on stderr for a step that is over."""
    took = click.style(f"{seconds:6.1f} s", dim=True)
    output.say(f"{click.style(mark, fg=colour)} {name:11} {took}  {said}".rstrip(), err=True)
