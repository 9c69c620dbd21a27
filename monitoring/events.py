"""What happened, in the words of people: one value for the feed, the archive and the socket. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

Kind = Literal["connect", "disconnect", "auth_error", "advisory", "server", "reload", "revision", "drift"]
KINDS: tuple[Kind, ...] = (
    "connect",
    "disconnect",
    "auth_error",
    "advisory",
    "server",
    "reload",
    "revision",
    "drift",
)
Level = Literal["info", "warning", "error"]


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened in a system. Fields that don't apply are empty.

    at: seconds since 1970; id: unique in its system, the same for the same happening (a repeat is no second
    event); user: the name in nunect's rows where the login is known, else the login as the server gave it;
    user_pk, account_pk, owner: of those rows; app: the name that the client gave itself; address: where it
    came from; reason: the server's own words; text: one sentence for people; revision: the one that its
    server ran at that moment, so the change that preceded it; detail: what else is worth keeping, JSON.
    """

    at: float
    id: str
    kind: Kind
    text: str
    level: Level = "info"
    server: str = ""
    account: str = ""
    account_pk: int | None = None
    user: str = ""
    user_pk: int | None = None
    owner: str = ""
    app: str = ""
    address: str = ""
    cid: int | None = None
    reason: str = ""
    revision: int | None = None
    detail: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """The event as frames and REST show it: `at` as ISO 8601 in UTC."""
        told: dict[str, Any] = {name: getattr(self, name) for name in self.__slots__}
        return {**told, "at": moment(self.at)}


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why somebody was refused. code: one word for programs; why, remedy: a sentence each; the rest says whose row
    it is, empty when there is none (user: then the login)."""

    code: str
    why: str
    remedy: str
    user_pk: int | None = None
    user: str = ""
    account: str = ""
    account_pk: int | None = None
    owner: str = ""


def moment(at: float) -> str:
    """Seconds since 1970 as ISO 8601 in UTC, to the millisecond."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
