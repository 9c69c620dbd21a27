"""Percentiles, and tables that a person can read and paste."""

from __future__ import annotations

import contextlib
import os
import platform
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path

PART_OF_PROCESS = {
    "nats-server": "nats-server",
    "valkey": "Valkey",
    "daphne": "web (daphne)",
    "celery": "worker (celery)",
    "manage.py up": "up (supervisor)",
    "django up": "up (supervisor)",
}


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that at least `percent` of all values don't exceed."""
    ordered = sorted(values)
    return ordered[max(0, int(-(-len(ordered) * percent // 100)) - 1)]


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def ms(seconds: float) -> str:
    return f"{seconds * 1000:,.1f}"


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table, its columns aligned."""
    texts = [[str(cell) for cell in row] for row in (head, *rows)]
    widths = [max(len(row[column]) for row in texts) for column in range(len(head))]

    def line(row: Sequence[str]) -> str:
        return "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"

    return "\n".join(
        [line(texts[0]), "|" + "|".join("-" * (width + 2) for width in widths) + "|", *map(line, texts[1:])]
    )


def machine() -> str:
    """What the figures were taken on."""
    model, memory = platform.machine(), 0.0
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemTotal"):
            memory = int(line.split()[1]) / 2**20
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return (
        f"{os.cpu_count()} cores ({model}), {memory:.0f} GiB, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}, load {load}"
    )


def cpu(pids: Iterable[int]) -> float:
    """Seconds of processor time that these processes and their ended children have used."""
    ticks = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            ticks += sum(map(int, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def memory(processes: dict[int, str]) -> list[tuple[str, float, float]]:
    """(what, RSS in MiB, PSS in MiB) of each process. PSS counts a shared page once, RSS in every process."""
    found = []
    for pid, command in processes.items():
        part = next((name for mark, name in PART_OF_PROCESS.items() if mark in command), command[:30])
        sizes = {"Rss:": 0.0, "Pss:": 0.0}
        try:
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                key, *rest = line.split()
                if key in sizes:
                    sizes[key] = int(rest[0]) / 1024
        except OSError:
            continue  # it has ended
        if sizes["Rss:"]:
            found.append((part, sizes["Rss:"], sizes["Pss:"]))
    return sorted(found)
