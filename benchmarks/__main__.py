"""`make bench`: the product against the bare server. Prints ratios; absolute times are of this machine."""

from __future__ import annotations

import argparse
import json
import shutil
import time
from pathlib import Path
from typing import Any

from benchmarks.figures import machine, median, memory, ms, percentile, table
from benchmarks.running import Running, interleaved, scratch, subjects_in

STEPS = ("snapshot", "plan", "validate", "write", "reload", "verify", "record")
SIZES = {  # name: (accounts, users, rounds, target of the ratio of the medians)
    "1,000 users in 10 accounts": (10, 1_000, 60, 1.5),
    "10,000 users in 100 accounts": (100, 10_000, 30, 1.2),
    "10,000 users in 1 account": (1, 10_000, 25, None),
}
STARTS, BURST = 3, 5_000


def latency(running: Running, rounds: int) -> dict[str, Any]:
    """save → enforced against write + RELOAD, in turn."""
    running.begin()
    interleaved(running.floor, running.save, rounds=2)  # warm
    since = running.ask("state")["number"]
    floors, saves = interleaved(running.floor, running.save, rounds=rounds)
    steps = running.ask("timings", since)
    running.end()
    before = ("snapshot", "plan", "validate", "write", "reload")
    rest = [
        save["enforced"] * 1000 - sum(step.get(name, 0) for name in before)
        for save, step in zip(saves, steps, strict=True)
    ]
    return {
        "bytes": running.conf.stat().st_size,
        "floor": [refused for refused, _ in floors],
        "answered": [answered for _, answered in floors],
        "save": [save["enforced"] for save in saves],
        "saving": [save["saving"] for save in saves],
        "recorded": [save["recorded"] for save in saves],
        "steps": {name: median([step.get(name, 0.0) for step in steps]) for name in STEPS},
        "way": median(rest),
        "sweep": median([running.ask("sweep") for _ in range(3)]),
    }


def burst(running: Running, floor_s: float) -> dict[str, Any]:
    """Saves as fast as the rows allow: none lost, and no more reloads than the time has room for."""
    before = running.reloads()
    stamps = running.ask("burst", BURST)
    seconds = running.settle(300) - stamps["began"]
    time.sleep(1)
    reloads = running.reloads() - before
    wanted = {f"burst.n{number}.x" for number in range(BURST)}
    conf = Path(running.ask("who", running.nkey)["conf"])
    return {
        "saves_per_s": BURST / (stamps["ended"] - stamps["began"]),
        "seconds": seconds,
        "lost": len(wanted - subjects_in(conf.read_text())),
        "reloads": reloads,
        "allowed": int(seconds / floor_s + 2),
    }


def starts(folder: Path) -> dict[str, list[float]]:
    """Seconds to ready of the first start in an empty folder, and of the second."""
    found: dict[str, list[float]] = {"first": [], "second": []}
    for number in range(STARTS):
        running = Running(folder / f"start{number}")
        try:
            found["first"].append(running.start())
            running.stop()
            found["second"].append(running.start())
        finally:
            running.__exit__()
    return found


def measure(folder: Path, quick: bool, kept: Path | None = None) -> dict[str, Any]:
    """All figures. kept: a file that holds what is known so far, whatever happens later."""
    found: dict[str, Any] = {"machine": machine(), "starts": starts(folder)}
    for number, (name, (accounts, users, rounds, _)) in enumerate(SIZES.items()):
        with Running(folder / f"size{number}") as running:
            if number == 0:
                running.stop_saver()
                time.sleep(6)
                found["idle"] = memory(running.product.processes())
            imported = running.fill(accounts, users)
            one = found[name] = {"import": imported, **latency(running, 5 if quick else rounds)}
            print(f"… {name}: {median(one['save']) / median(one['floor']):.2f} ×", flush=True)
            if number == 1:
                running.stop_saver()
                found["full"] = memory(running.product.processes())
            if number == 0:
                found["burst"] = burst(running, median(one["floor"]))
        if kept:
            kept.write_text(json.dumps(found, indent=1))
    return found


def tell(found: dict[str, Any]) -> str:
    """The figures as Markdown."""
    latencies, steps, imports = [], [], []
    for name, (_, _, _, target) in SIZES.items():
        if (one := found.get(name)) is None:
            continue
        floor, save = one["floor"], one["save"]
        ratio = median(save) / median(floor)
        p99 = percentile(save, 99) / percentile(floor, 99)
        verdict = "—" if target is None else f"≤ {target:.1f} × {'met' if ratio <= target else 'MISSED'}"
        cells = [ms(value(times)) for times in (floor, save) for value in (median, lambda each: percentile(each, 99))]
        latencies.append(
            (name, f"{one['bytes'] / 1e6:.2f}", len(save), *cells, f"{ratio:.2f} ×", f"{p99:.2f} ×", verdict)
        )
        around = (ms(median(one["saving"])), ms(median(one["recorded"])), ms(one["sweep"]))
        steps.append((name, f"{one['way']:.1f}", *(f"{one['steps'][step]:.1f}" for step in STEPS), *around))
        taken = one["import"]
        imports.append((name, f"{taken['command']:.1f}", f"{taken['enforced']:.1f}", taken["reloads"]))
    rush, begun = found["burst"], found["starts"]
    parts = [
        found["machine"],
        "## Save → enforced, against writing ready bytes + RELOAD (ms)",
        table(
            ("size", "MB", "n", "floor p50", "floor p99", "save p50", "save p99", "p50 ratio", "p99 ratio", "target"),
            latencies,
        ),
        "## Where a save's time goes (medians, ms)",
        table(("size", "hint's way", *STEPS, "the save itself", "recorded after", "sweep, nothing to do"), steps),
        f"## {BURST:,} saves as fast as the rows allow, 1,000 users",
        table(
            ("saves/s", "seconds to done", "lost", "reloads", "allowed (seconds ÷ floor + 2)"),
            [(f"{rush['saves_per_s']:.0f}", f"{rush['seconds']:.1f}", rush["lost"], rush["reloads"], rush["allowed"])],
        ),
        "## Import (seconds)",
        table(("size", "the command", "until enforced", "reloads"), imports),
        "## Time to ready of `up` (seconds, median)",
        table(("first start", "second start"), [[f"{median(begun[key]):.1f}" for key in ("first", "second")]]),
        "## Memory of every process (MiB)",
    ]
    for key, what in (("idle", "idle, fresh"), ("full", "10,000 users in 100 accounts")):
        rows = [(name, f"{rss:.0f}", f"{pss:.0f}") for name, rss, pss in found[key]]
        rows.append(("all", "", f"{sum(pss for *_, pss in found[key]):.0f}"))
        parts += [f"### {what}", table(("process", "RSS", "PSS"), rows)]
    return "\n\n".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few rounds: to see that it works, not to quote")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every single figure")
    options = parser.parse_args()
    folder = scratch()
    try:
        found = measure(folder, options.quick, options.json)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print("\n" + tell(found))


if __name__ == "__main__":
    main()
