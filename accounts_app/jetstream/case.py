"""What a forecast is about, and what it says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from accounts_app.jetstream.wire import Config
from accounts_app.natsconf.specs import JetStreamSpec

Severity = Literal["refused", "loses", "note"]


@dataclass(frozen=True, slots=True)
class Warning:
    """setting: the one it is about, "" for the object; sentence: for people; severity: what comes of it."""

    setting: str
    sentence: str
    severity: Severity

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Case:
    """What a forecast is about. before: every setting as it is on the server, None when it isn't there; after: as it
    shall be; body: the same as the server has it."""

    kind: str
    name: str
    config: Config
    seen: Config | None
    before: Config | None
    after: Config
    body: Config
    counts: Mapping[str, Any]
    others: Mapping[str, Config]
    limits: JetStreamSpec
    servers: int | None
    stream: Config | None
    names: Mapping[str, str] = field(default_factory=dict)  # {the server's key: the setting's name}
    room: Mapping[str, int] = field(default_factory=dict)  # {storage: bytes of the largest server}

    def called(self, key: str) -> str:
        """The setting that a key of the server's is in this kind, "" when it is none."""
        return self.names.get(key, "")

    @property
    def messages(self) -> int:
        return int(self.counts.get("messages") or 0)


def go(count: int) -> str:
    return "goes" if count == 1 else "go"


def many(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
