"""A job while it goes on: a line for each step that is over, and what is waited for meanwhile."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime
from typing import Any

from nunect.cli import output
from nunect.cli.client import Answer, Client
from nunect.cli.progress import Waiting, tell_step
from nunect.cli.session import Session

RESTS = ("done", "failed", "cancelled", "rolled_back")  # goes on only when somebody wants it to
LOOK_S = 2  # how long one look waits for something new
PATIENCE_S = 15.0  # a job that nobody has begun for so long may have no worker
_OVER = {"done": ("✓", "green"), "skipped": ("·", "green"), "failed": ("✗", "red"), "undone": ("↶", "yellow")}


def follow(session: Session, number: int, limit_s: float = 0) -> dict[str, Any]:
    """The job when it rests, or as it stands after `limit_s` seconds (0: no limit); its steps on stderr."""
    deadline = time.monotonic() + limit_s if limit_s else None
    told: set[tuple[int, str]] = set()
    answer = _look(session.client, number)
    row: dict[str, Any] = answer.data
    began, warned = time.monotonic(), session.as_json
    with ExitStack() as stack:
        waiting, shown = None, ""
        while True:
            fresh = [step for step in _in_order(row["steps"]) if step["state"] in _OVER and _key(step) not in told]
            if fresh:
                stack.close()
                shown = ""
                for step in fresh:
                    told.add(_key(step))
                    if not session.as_json:
                        tell_step(*_OVER[step["state"]], step["name"], seconds_of(step), _said(row, step))
            left = deadline - time.monotonic() if deadline else LOOK_S
            if row["state"] in RESTS or left <= 0:
                return row
            if not warned and row["state"] == "queued" and time.monotonic() - began > PATIENCE_S:
                warned = True
                output.say("Nobody has begun it yet: `nunect doctor` says whether a worker runs.", err=True)
            what = doing(row)
            if waiting is None or what != shown:
                stack.close()
                shown, waiting = what, stack.enter_context(Waiting(what))
            answer = _look(session.client, number, min(LOOK_S, max(1, round(left))), answer.headers.get("etag", ""))
            row = answer.data or row


def doing(row: Mapping[str, Any]) -> str:
    """What a job does or waits for now, in words."""
    at = next((step for step in row["steps"] if step["name"] == row["step"]), None)
    what = str(at["title"] if at else row["title"])
    waits = str((at or {}).get("waits_for") or row["waits_for"] or "")
    return output.plain(f"{what}, waits for {waits}" if waits else what)


def seconds_of(step: Mapping[str, Any]) -> float:
    """How long a step has taken, 0 when it has not begun."""
    begun, ended = step["started_at"], step["ended_at"]
    if not begun or not ended:
        return 0.0
    return max(0.0, (datetime.fromisoformat(ended) - datetime.fromisoformat(begun)).total_seconds())


def verdict(row: Mapping[str, Any]) -> str:
    """A job's end, or where it stands, in one sentence."""
    number, state, problem = row["id"], row["state"], output.plain(str(row["problem"] or ""))
    if state == "done":
        return f"Job {number} is done."
    if state == "failed":
        again = f"`nunect job retry {number}`"
        ways = (
            "" if again in problem else f"{again} tries again, "
        ) + f"`nunect job roll-back {number}` takes it back."
        return f"Job {number} failed at “{output.plain(str(row['problem_step']))}”: {problem} {ways}"
    if state in ("cancelled", "rolled_back"):
        return f"Job {number} is {state.replace('_', ' ')}: what it had done is taken back."
    return f"Job {number} goes on ({doing(row)}); `nunect job follow {number}` watches it."


def _look(client: Client, number: int, wait_s: int = 0, unless: str = "") -> Answer:
    return client.get(f"jobs/{number}/", wait_s=wait_s, unless=unless)


def _in_order(steps: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """As they were done; those taken back the last one first."""
    return sorted(steps, key=lambda step: -int(step["number"]) if step["state"] == "undone" else int(step["number"]))


def _key(step: Mapping[str, Any]) -> tuple[int, str]:
    return int(step["number"]), str(step["state"])


def _said(row: Mapping[str, Any], step: Mapping[str, Any]) -> str:
    if step["state"] == "failed":
        return output.plain(str(row["problem"] or step["detail"]))
    return output.plain({"skipped": "not needed", "undone": "taken back"}.get(step["state"], str(step["detail"] or "")))
