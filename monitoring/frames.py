"""The frames of `/ws/live/`, both ways: docs/protocol.md in code. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from monitoring.events import moment

TOPICS = ("overview", "events", "tables", "changes", "jobs")  # of a whole system
ACCOUNT = "account:"  # and account:NAME of one account
JOB = "job:"  # and job:ID of one job
MOST_TOPICS = 50
MOST_BYTES = 8192  # of one frame from a client
_ACCOUNT = re.compile(r"account:[$A-Za-z0-9_-]{1,64}")
_JOB = re.compile(r"job:[1-9][0-9]{0,17}")


def of_one(topic: str) -> bool:
    """Whether it is about one account or one job, so that only the database can tell who may watch it."""
    return topic.startswith((ACCOUNT, JOB))


def is_job(topic: str) -> bool:
    """Whether it is about one job."""
    return bool(_JOB.fullmatch(topic))


def of_jobs(topic: str) -> bool:
    """Whether it is made of the rows of jobs, by each web process for itself; the others are the relay's."""
    return topic == "jobs" or topic.startswith(JOB)


class Wrong(Exception):
    """A client's frame that can't be taken; the text is the sentence for it."""


@dataclass(frozen=True, slots=True)
class Ack:
    """All frames up to this seq have arrived."""

    seq: int


@dataclass(frozen=True, slots=True)
class Watch:
    """These topics, and no others, from now on."""

    topics: tuple[str, ...]


def snapshot(topic: str, system: str, epoch: str, seq: int, at: float, data: dict[str, Any]) -> bytes:
    """The whole state of a topic; the next one replaces it."""
    told = {"type": "snapshot", "topic": topic, "system": system, "epoch": epoch, "seq": seq, "at": moment(at)}
    return json.dumps({**told, "data": data}, separators=(",", ":"), ensure_ascii=False).encode()


def hello(system: str, epoch: str, topics: Sequence[str], at: float, ack_s: float) -> str:
    """First of all, and again when the rights have changed."""
    told = {"type": "hello", "seq": 0, "at": moment(at), "system": system, "epoch": epoch}
    return _text({**told, "topics": list(topics), "ack_s": ack_s})


def state(system: str, at: float, live: bool, since: float, detail: str) -> str:
    """Whether what is shown is what is there; detail: why not."""
    told = {"type": "state", "seq": 0, "at": moment(at), "system": system}
    return _text({**told, "live": live, "since": moment(since), "detail": detail})


def error(at: float, detail: str) -> str:
    """Why a frame of the client could not be taken, or why the socket is about to be closed."""
    return _text({"type": "error", "seq": 0, "at": moment(at), "detail": detail})


def _text(told: dict[str, Any]) -> str:
    return json.dumps(told, separators=(",", ":"), ensure_ascii=False)


def read(text: str | None) -> Ack | Watch:
    """What a client says. Raises Wrong."""
    if text is None or len(text) > MOST_BYTES:
        raise Wrong(f"A frame is a JSON text of at most {MOST_BYTES} bytes.")
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        raise Wrong("This frame is no JSON.") from None
    if not isinstance(told, dict) or len(told) != 1:
        raise Wrong('A frame holds one of "ack" and "watch".')
    if "ack" in told:
        return Ack(_seq(told["ack"]))
    if "watch" in told:
        return Watch(_topics(told["watch"]))
    raise Wrong('A frame holds one of "ack" and "watch".')


def _seq(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**53:
        raise Wrong("ack: this must be the seq of a frame.")
    return value


def _topics(value: Any) -> tuple[str, ...]:
    topics = value.get("topics") if isinstance(value, dict) and len(value) == 1 else None
    if not isinstance(topics, list) or len(topics) > MOST_TOPICS:
        raise Wrong(f'watch: this must be {{"topics": […]}} with at most {MOST_TOPICS} topics.')
    for topic in topics:
        if not isinstance(topic, str) or not (topic in TOPICS or _ACCOUNT.fullmatch(topic) or is_job(topic)):
            raise Wrong(f"watch: the topics are {', '.join(TOPICS)}, account:NAME and job:ID.")
    return tuple(dict.fromkeys(topics))
