"""The servers of a system as they are seen. Pure: what comes in is decoded, the time is an argument."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from monitoring.events import Event, Level, moment
from monitoring.relay.rates import Rates
from monitoring.sysevents import Leaving, Speaker, Stats, Var

SILENT_S = 3.5  # a server that has said nothing for so long is not reachable
GONE_S = 86_400.0  # one that was stopped is shown for a day
COUNTERS = ("in_msgs", "out_msgs", "in_bytes", "out_bytes", "slow_consumers")


@dataclass(frozen=True, slots=True)
class Intended:
    """What the rows' last revision is, and whether a run is under way."""

    revision: int | None = None
    sha256: str = ""
    pending: bool = False
    too_old: frozenset[str] = frozenset()  # versions that report no digest


@dataclass(slots=True)
class Seen:
    """One server. heard: when it last said something, by our clock."""

    speaker: Speaker
    stats: Stats
    heard: float
    rates: Rates
    digest: str = ""
    loaded: str = ""
    leaving: str = ""
    lost: bool = False


@dataclass(slots=True)
class Servers:
    """All servers of one system, by their name: an id is new at each start."""

    by_name: dict[str, Seen] = field(default_factory=dict)
    began: bool = False  # the first look is no event

    def take_stats(self, stats: Stats, now: float) -> Iterator[Event]:
        """What a server says of itself; yields what is new about that."""
        name, former = stats.server.name, self.by_name.get(stats.server.name)
        counters = [getattr(stats, each) for each in COUNTERS]
        if former is None:
            self.by_name[name] = Seen(stats.server, stats, now, Rates(stats.at, counters, stats.start))
            if self.began:
                yield _event(stats.server, stats.at, "up", f"{name} is there.")
            return
        started, lost = former.stats.start != stats.start, former.lost
        if started:
            former.leaving, former.digest, former.loaded = "", "", ""
        former.rates.take(stats.at, counters, stats.start)
        former.speaker, former.stats, former.heard, former.lost = stats.server, stats, now, False
        if started:
            yield _event(stats.server, stats.at, "up", f"{name} was started.")
        elif lost:
            yield _event(stats.server, stats.at, "heard", f"{name} answers again.")

    def take_var(self, var: Var, now: float) -> Iterator[Event]:
        """Its digest, and whether it has read its configuration anew."""
        seen = self.by_name.get(var.server.name)
        if seen is None:
            return
        if seen.loaded and var.loaded != seen.loaded and var.server.id == seen.speaker.id:
            what = f"revision {var.server.revision}" if var.server.revision is not None else "one that is not nunect's"
            text = f"{var.server.name} read its configuration anew: {what}."
            yield Event(
                at=var.at,
                id=f"{var.server.id}:{var.loaded}:reload",
                kind="reload",
                text=text,
                server=var.server.name,
                revision=var.server.revision,
                detail={"digest": var.digest},
            )
        seen.digest, seen.loaded, seen.speaker, seen.heard = var.digest, var.loaded, var.server, now

    def take_leaving(self, leaving: Leaving) -> Iterator[Event]:
        """A server says that it goes."""
        seen = self.by_name.get(leaving.server.name)
        if seen is None or seen.leaving == "shutdown":
            return
        name = leaving.server.name
        if leaving.lame_duck:
            seen.leaving = "lame_duck"
            yield _event(leaving.server, leaving.at, "lame_duck", f"{name} sends its clients away.", "warning")
        else:
            seen.leaving = "shutdown"
            yield _event(leaving.server, leaving.at, "shutdown", f"{name} was stopped.", "warning")

    def look(self, now: float, *, reloading: bool, blind: bool) -> Iterator[Event]:
        """Who has fallen silent. reloading: a run is under way, which silence may mean; blind: we hear nobody."""
        for name, seen in list(self.by_name.items()):
            quiet = now - seen.heard
            if quiet > GONE_S:
                del self.by_name[name]
            elif quiet > SILENT_S and not seen.lost and not blind and not (reloading and quiet < 60):
                seen.lost = True
                if seen.leaving != "shutdown":
                    yield _event(seen.speaker, now, "lost", f"{name} doesn't answer.", "error")

    def living(self, now: float) -> list[Seen]:
        """Those that have been heard of lately."""
        return [seen for seen in self.by_name.values() if now - seen.heard <= SILENT_S and not seen.leaving]

    def state(self, seen: Seen, intended: Intended, now: float) -> tuple[str, str]:
        """(state, a sentence for what is not in order) as the table shows it."""
        if seen.leaving == "shutdown":
            return "unreachable", "It was stopped."
        if now - seen.heard > SILENT_S:
            if intended.pending and now - seen.heard < 60:
                return "reloading", "It is silent while it re-reads its configuration."
            return "unreachable", f"It has not answered since {moment(seen.heard)}."
        if seen.leaving:
            return "lame_duck", "It sends its clients away and will stop."
        if seen.speaker.version in intended.too_old:
            return "too_old", f"Version {seen.speaker.version} reports no digest: upgrade it to 2.11 or newer."
        if not seen.speaker.sha256:
            return "foreign", "It runs a configuration that nunect has not written."
        if seen.speaker.sha256 == intended.sha256:
            return "in_sync", ""
        return "pending", "" if intended.pending else "It runs another configuration than the last revision."

    def rows(self, intended: Intended, now: float) -> list[list[Any]]:
        """The table `servers`."""
        return [self._row(self.by_name[name], intended, now) for name in sorted(self.by_name)]

    def _row(self, seen: Seen, intended: Intended, now: float) -> list[Any]:
        stats, speaker = seen.stats, seen.speaker
        state, detail = self.state(seen, intended, now)
        dead = state == "unreachable"
        rates: list[float | None] = [None] * 4 if dead else list(seen.rates.values[:4])
        return [
            speaker.name,
            speaker.id,
            speaker.cluster,
            speaker.version,
            speaker.host,
            state,
            detail,
            speaker.revision,
            intended.revision,
            seen.digest,
            stats.start,
            moment(seen.heard),
            None if dead else stats.cpu,
            stats.cores,
            None if dead else stats.rss,
            None if dead else stats.connections,
            stats.total_connections,
            None if dead else stats.subscriptions,
            *rates,
            stats.slow_consumers,
            stats.js_storage,
            stats.js_max_storage,
            stats.js_memory,
            stats.js_max_memory,
        ]


def _event(speaker: Speaker, at: float, what: str, text: str, level: Level = "info") -> Event:
    return Event(
        at=at,
        id=f"{speaker.id}:{at:.3f}:{what}",
        kind="server",
        text=text,
        level=level,
        server=speaker.name,
        revision=speaker.revision,
        detail={"what": what},
    )
