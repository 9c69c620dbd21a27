"""What to ask the servers, and when: often what is cheap, large answers less often. Pure."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass, field

from monitoring.sysevents import ConnectionsSeen, StreamsSeen

PAGE = 1024  # connections in one answer; the server's own default
STREAMS_PAGE = 256  # accounts in one answer about JetStream
BYTES_S = 2_000_000  # of answers that may be read in a second, for each kind of question
Request = tuple[str, bytes, str]  # subject, body, label


@dataclass(slots=True)
class _Pace:
    """How often something is asked: every `least` seconds, or as seldom as its answers are large."""

    least: float
    due: float = 0.0
    every: float = 0.0

    def now(self, now: float) -> bool:
        if now < self.due:
            return False
        self.due = now + max(self.least, self.every)
        return True

    def answered(self, size: int) -> None:
        self.every = size / BYTES_S


@dataclass(slots=True)
class _Pages:
    """A look at one server, page by page. asked: when, by our clock; whole: whether one look has been ended."""

    pace: _Pace
    offset: int = 0
    asked: float = 0.0
    whole: bool = False


@dataclass(slots=True)
class Asking:
    """Requests that are due. Labels come back with the answers: "VARZ", or "CONNZ.<server id>.<number>"."""

    statsz: _Pace = field(default_factory=lambda: _Pace(1.0))
    varz: _Pace = field(default_factory=lambda: _Pace(1.0))
    statz: _Pace = field(default_factory=lambda: _Pace(1.0))
    connections: dict[str, _Pages] = field(default_factory=dict)
    streams: dict[str, _Pages] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=itertools.count)
    _open: dict[str, tuple[int, float]] = field(default_factory=dict)  # label: offset, asked

    def forget(self) -> None:
        """The connection is new: what was asked will not be answered, and all is to be seen anew."""
        self.connections.clear()
        self.streams.clear()
        self._open.clear()
        self.statsz.due = self.varz.due = self.statz.due = 0.0

    def due(self, now: float, server_ids: list[str]) -> list[Request]:
        """What to ask now. server_ids: of those that live."""
        requests: list[Request] = []
        if self.statsz.now(now):
            requests.append(("$SYS.REQ.SERVER.PING.STATSZ", b"", "STATSZ"))
        if self.varz.now(now):
            requests.append(("$SYS.REQ.SERVER.PING.VARZ", b"", "VARZ"))
        if self.statz.now(now):
            requests.append(("$SYS.REQ.ACCOUNT.PING.STATZ", b"", "STATZ"))
        for known in (self.connections, self.streams):
            for gone in known.keys() - set(server_ids):
                del known[gone]
        for server_id in server_ids:
            look = self.connections.setdefault(server_id, _Pages(_Pace(1.0)))
            if look.pace.now(now):
                body: dict[str, object] = {"auth": True, "limit": PAGE, "offset": look.offset}
                requests.append(self._page(server_id, "CONNZ", body, look, now))
            look = self.streams.setdefault(server_id, _Pages(_Pace(2.0)))
            if look.pace.now(now):
                body = {"accounts": True, "streams": True, "consumer": True, "config": True}
                body |= {"limit": STREAMS_PAGE, "offset": look.offset}
                requests.append(self._page(server_id, "JSZ", body, look, now))
        if len(self._open) > 1000:
            for label in list(self._open)[:500]:
                del self._open[label]
        return requests

    def _page(self, server_id: str, what: str, body: dict[str, object], look: _Pages, now: float) -> Request:
        label = f"{what}.{server_id}.{next(self._numbers)}"
        self._open[label] = (look.offset, now)
        return (f"$SYS.REQ.SERVER.{server_id}.{what}", json.dumps(body).encode(), label)

    def offset_of(self, label: str) -> tuple[int, float] | None:
        """(offset, when it was asked) of a page, once; None when nobody waits for it."""
        return self._open.pop(label, None)

    def answered(self, reply: ConnectionsSeen | StreamsSeen, size: int) -> None:
        """How large an answer was; where the next page begins."""
        known = self.connections if isinstance(reply, ConnectionsSeen) else self.streams
        count = len(reply.connections if isinstance(reply, ConnectionsSeen) else reply.accounts)
        look = known.get(reply.server.id)
        if look is None:
            return
        look.pace.answered(size)
        look.offset = reply.offset + count if reply.more else 0
        if reply.more and not look.whole:
            look.pace.due = 0.0  # the first look hurries
        look.whole = look.whole or not reply.more

    def accounts_answered(self, size: int) -> None:
        """How large the answer about all accounts was."""
        self.statz.answered(size)
