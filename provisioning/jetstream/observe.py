"""The look at what is there: what servers tell of streams and consumers, into the rows that tell people."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone

from accounts_app.jetstream.differences import differences
from accounts_app.models import Account, Asset, Consumer, Stream, System
from provisioning.errors import ProvisioningError, Unreachable
from provisioning.jetstream.client import JetStream
from provisioning.jetstream.noting import Change, Newcomer, Notes, forget_hidden, write
from provisioning.jetstream.sightings import Sighting, config_of, counts_of, look_around
from provisioning.server import Fleet
from provisioning.strangers import ways_in

logger = logging.getLogger(__name__)

CONFIRMED = 200  # objects of a look that the API is asked for one by one, because something is not as it was
CONFIRM_TIMEOUT_S = 2.0
_COLUMNS = ("pk", "name", "managed", "leaving", "config", "wanted", "done", "seen", "counts", "drift")
Path = tuple[str, ...]  # (account, stream) or (account, stream, consumer)


def observe(system_id: int) -> None:
    """Write what is there into the rows of a system's streams and consumers, and make rows of what has none.

    A managed row at rest that differs gets its differences as drift, for a person to answer. Only accounts that show
    their JetStream to nunect are looked at. A server that is away takes nothing with it, and a leader's lag is no
    drift: both count only when the API says so, too. Raises Unreachable when nobody answers.
    """
    system = System.objects.get(pk=system_id)
    forget_hidden(system_id)
    rows = _Rows.read(system)
    if not rows.accounts or not ways_in(system)[0]:
        return
    with Fleet(system) as fleet:
        if not fleet.connected:
            raise Unreachable(fleet.problem)
        around = look_around(fleet)
    look = _Look(system, rows, around)
    look.compare()
    look.confirm()
    write(look.notes())


@dataclass(slots=True)
class _Rows:
    """What the tables say before the look. accounts: {name: primary key} of those that show their JetStream.

    streams, consumers: {path: columns}; keeping: streams (primary keys) with consumers that nunect manages.
    """

    accounts: dict[str, int]
    streams: dict[Path, dict[str, Any]]
    consumers: dict[Path, dict[str, Any]]
    keeping: frozenset[int]

    @classmethod
    def read(cls, system: System) -> _Rows:
        shown = Account.objects.filter(system=system, enabled=True, jetstream=True, jetstream_control=True)
        streams = QuerySet[Stream](Stream).filter(account__in=shown).order_by()
        consumers = QuerySet[Consumer](Consumer).filter(stream__account__in=shown).order_by()
        found = list(consumers.values(*_COLUMNS, "stream_id", "stream__name", "stream__account__name"))
        return cls(
            dict(shown.values_list("name", "pk")),
            {(row["account__name"], row["name"]): row for row in streams.values(*_COLUMNS, "kind", "account__name")},
            {(row["stream__account__name"], row["stream__name"], row["name"]): row for row in found},
            frozenset(row["stream_id"] for row in found if row["managed"]),
        )


@dataclass(slots=True)
class _Look:
    """One look: the rows before it, what was seen, and what follows from that."""

    system: System
    rows: _Rows
    around: dict[str, dict[str, Sighting]]
    changes: dict[type[Asset], list[Change]] = field(default_factory=lambda: {Stream: [], Consumer: []})
    doubts: list[tuple[type[Asset], Path, dict[str, Any]]] = field(default_factory=list)
    vanished: dict[type[Asset], list[int]] = field(default_factory=lambda: {Stream: [], Consumer: []})

    def compare(self) -> None:
        """Hold each row against what was seen of it; what is gone or has begun to differ is a doubt."""
        for path, row in self.rows.streams.items():
            found = self._of(path)
            self._compare(Stream, path, row, found.info if found else None)
        for path, row in self.rows.consumers.items():
            found = self._of(path)
            self._compare(Consumer, path, row, found.consumers.get(path[2]) if found else None)

    def _of(self, path: Path) -> Sighting | None:
        return self.around.get(path[0], {}).get(path[1])

    def _compare(self, model: type[Asset], path: Path, row: dict[str, Any], info: dict[str, Any] | None) -> None:
        if info is None:
            if row["seen"] is not None and (not _is_moving(row) or _is_stranger(row)):
                self.doubts.append((model, path, row))
            return
        if row["managed"] and row["done"] == 0 and row["seen"] is None:
            return  # whose it is, only the one who is about to make it finds out
        seen = config_of(info["config"])
        drift = _drift(model, row, seen)
        if drift and drift != row["drift"]:
            self.doubts.append((model, path, row))
        else:
            self.changes[model].append(Change(row, seen, counts_of(info), drift))

    def confirm(self) -> None:
        """Ask the API, which doesn't lag and knows of servers that are away; what it can't tell stays as it is."""
        doubts = self.doubts[:CONFIRMED]
        if not doubts:
            return
        try:
            with JetStream(self.system, timeout_s=CONFIRM_TIMEOUT_S) as client:
                answers = client.found([path for _, path, _ in doubts])
        except ProvisioningError as error:
            logger.warning("nobody says what became of streams", extra={"detail": error.detail})
            return
        for (model, _, row), info in zip(doubts, answers, strict=True):
            if not isinstance(info, ProvisioningError):
                self._take(model, row, info)

    def _take(self, model: type[Asset], row: dict[str, Any], info: dict[str, Any] | None) -> None:
        if info is not None:
            seen = config_of(info["config"])
            self.changes[model].append(Change(row, seen, counts_of(info), _drift(model, row, seen)))
        elif row["managed"] or (row["pk"] in self.rows.keeping and model is Stream):
            drift = [] if _is_stranger(row) else _drift(model, row, None)
            self.changes[model].append(Change(row, None, {}, drift, forgiven=_is_stranger(row)))
        else:
            self.vanished[model].append(row["pk"])

    def notes(self) -> Notes:
        """What to write: only what is other than it was."""
        changes = {model: [each for each in found if each.is_one] for model, found in self.changes.items()}
        streams, consumers = [], []
        for account in sorted(self.rows.accounts.keys() & self.around.keys()):
            pk = self.rows.accounts[account]
            for name, sighting in self.around[account].items():
                if (account, name) not in self.rows.streams:
                    streams.append(Newcomer(pk, name, name, sighting.info))
                consumers += [
                    Newcomer(pk, name, each, info)
                    for each, info in sighting.consumers.items()
                    if (account, name, each) not in self.rows.consumers
                ]
        return Notes(changes, self.vanished, streams, consumers)


def _is_moving(row: dict[str, Any]) -> bool:
    """Whether somebody is about to bring it to the servers: what is there now says nothing."""
    return row["managed"] and (row["leaving"] or row["wanted"] != row["done"])


def _is_stranger(row: dict[str, Any]) -> bool:
    """Whether one that isn't the row's stands in its place."""
    return row["managed"] and row["done"] == 0 and bool(row["drift"])


def _drift(model: type[Asset], row: dict[str, Any], seen: dict[str, Any] | None) -> list[dict[str, Any]]:
    """How what is there differs from the row, if it is at rest; a stranger is compared all the while."""
    if not row["managed"]:
        return []
    if _is_moving(row) and not _is_stranger(row):
        return list(row["drift"])
    kind = row["kind"] if model is Stream else "consumer"
    return [each.as_dict() for each in differences(kind, row["config"], seen, now=timezone.now())]
