"""Refused logins, grouped by who, from where and why. Pure."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

from monitoring.events import Event, Refusal, moment
from monitoring.sysevents import Refused

MOST = 1000  # groups that are kept, the newest
SHOWN_S = 86_400.0
Key = tuple[str, str, str]  # login, address, reason


_NOT_YET = Refusal("", "", "")


@dataclass(slots=True)
class Group:
    """The refusals of one login from one address for one reason."""

    first: float
    last: float
    count: int
    app: str
    server: str
    kind: str
    refusal: Refusal | None = None  # None: not looked up yet
    asked: float = 0.0


@dataclass(slots=True)
class Failures:
    """{(login, address, reason): group}, the newest last."""

    groups: OrderedDict[Key, Group] = field(default_factory=OrderedDict)

    def take(self, event: Refused) -> None:
        """One more."""
        peer = event.peer
        key = (peer.login, peer.address, event.reason)
        group = self.groups.get(key)
        if group is None:
            group = self.groups[key] = Group(event.at, event.at, 0, peer.app, event.server.name, peer.kind)
            if len(self.groups) > MOST:
                self.groups.popitem(last=False)
        else:
            self.groups.move_to_end(key)
        group.last, group.app, group.server = event.at, peer.app or group.app, event.server.name
        group.count += 1

    def restore(self, event: Event) -> None:
        """Know again a refusal that the relay before has told, oldest first."""
        key = (str(event.detail.get("login", event.user)), event.address, event.reason)
        refusal = Refusal(
            str(event.detail.get("code", "")),
            str(event.detail.get("why", "")),
            str(event.detail.get("remedy", "")),
            event.user_pk,
            event.user,
            event.account,
            event.account_pk,
            event.owner,
        )
        kind = str(event.detail.get("kind", ""))
        group = self.groups.setdefault(
            key, Group(event.at, event.at, 0, event.app, event.server, kind, refusal, event.at)
        )
        self.groups.move_to_end(key)
        group.last, group.app, group.server, group.refusal = event.at, event.app or group.app, event.server, refusal
        group.count += 1
        if len(self.groups) > MOST:
            self.groups.popitem(last=False)

    def forget(self, now: float) -> None:
        """Drop what is older than a day."""
        while self.groups and next(iter(self.groups.values())).last < now - SHOWN_S:
            self.groups.popitem(last=False)

    def unexplained(self, since: float) -> list[tuple[Key, Group]]:
        """Groups whose reason is not known, or was looked up before `since` and has happened again after it."""
        return [
            (key, group)
            for key, group in self.groups.items()
            if group.refusal is None or (group.asked < since and group.last >= group.asked)
        ]

    def rows(self) -> list[list[Any]]:
        """The table `failures`."""
        rows = []
        for (login, address, words), group in self.groups.items():
            told = group.refusal or _NOT_YET
            rows.append(
                [
                    told.user or login,
                    told.user_pk,
                    told.account,
                    told.owner,
                    address,
                    group.app,
                    group.server,
                    words,
                    told.why,
                    told.remedy,
                    told.code,
                    group.count,
                    moment(group.first),
                    moment(group.last),
                ]
            )
        return rows
