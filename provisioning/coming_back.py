"""What a retired account left comes back when it is made again: said before it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.utils import timezone

from accounts_app.asset_changes import Moment, Seen, Warned, quoted
from accounts_app.jetstream.case import Warning, go, many
from accounts_app.jetstream.forecast import forecast
from accounts_app.jetstream.names import bucket_of
from accounts_app.jetstream.wire import to_server
from accounts_app.natsconf.specs import AccountSpec
from provisioning.jetstream.strangers import named
from provisioning.jetstream.taking_over import weigh
from provisioning.left_behind import Left, LeftStream, left_by

NAMED = 10
_WHAT = {"stream": "stream", "kv": "KV bucket", "object": "object bucket"}
_UNITS = ((86400, "day"), (3600, "hour"), (60, "minute"))

Config = Mapping[str, Any]


def told(system_id: int, made: Mapping[str, AccountSpec], after: Moment) -> list[Warned]:
    """What is known of the data of accounts that are about to be made, a sentence for each object.

    made: {name: what it will be}; after: what its rows of streams and consumers will say.
    """
    names = [name for name, spec in made.items() if spec.jetstream is not None]
    left = left_by(system_id, names) if names else {}
    return [each for name, by in left.items() for each in _Return(name, by, after).told()]


@dataclass(frozen=True, slots=True)
class _Return:
    """One account that comes back."""

    account: str
    left: Left
    after: Moment

    def told(self) -> Iterator[Warned]:
        streams = self.left.streams
        if streams is None:
            told = f"They were kept when {self._since()}, and come back. nunect could not see what there is."
            yield self._note("data", told)
            return
        wanted = self._wanted()
        for name in sorted(wanted):
            if name in streams:
                yield self._again(name, streams[name])
                yield from self._consumers(name, streams[name])
            else:
                yield from self._in_its_way(name)
        rest = {name: each for name, each in streams.items() if name not in wanted and not each.in_memory}
        if rest:
            shown = ", ".join(f"{_called(name, each)} {_holds(each)}" for name, each in sorted(rest.items())[:NAMED])
            more = f" and {len(rest) - NAMED} more" if len(rest) > NAMED else ""
            told = f"They were kept when {self._since()}: {shown}{more}."
            yield self._note("data", f"{told} What nobody asks for comes back, too, and is observed.")

    def _wanted(self) -> dict[str, Config]:
        """{stream: the server's config} that the rows will ask for."""
        rows = ((key, row) for key, row in self.after.rows.items() if key[0] == self.account and not key[2])
        return {key[1]: to_server(row.kind, key[1], row.config) for key, row in rows if row.wanted}

    def _again(self, name: str, stream: LeftStream) -> Warned:
        """One that was kept, and that the account shall have."""
        row = self.after.rows[(self.account, name, "")]
        called = quoted((self.account, name, ""), row)
        if stream.in_memory:
            gone = f"its {many(stream.messages, 'message')} {'is' if stream.messages == 1 else 'are'} lost"
            return self._note(called, f"It was in memory when {self._since()}: {gone}.")
        told = f"It was kept with its data when {self._since()}: it comes back {_holds(stream, self.left)}"
        again = ", unless that has changed since: the account was there again after that" if self.left.again else ""
        seen = self._forecast(name, row, {**self._left(), **self._wanted()}, stream)
        return self._note(called, f"{told}{again}.{self._differs(row, stream.config, seen)}")

    def _consumers(self, name: str, stream: LeftStream) -> Iterator[Warned]:
        """Its consumers, where they are to be otherwise."""
        for key, row in sorted(self.after.rows.items(), key=lambda item: item[0]):
            before = stream.consumers.get(key[2])
            if key[:2] != (self.account, name) or before is None or not row.wanted:
                continue
            if differs := self._differs(row, before, forecast("consumer", row.name, row.config, before)):
                yield self._note(quoted(key, row), f"It comes back with its stream.{differs}")

    def _in_its_way(self, name: str) -> Iterator[Warned]:
        """What the server would refuse of a new one because of those that come back."""
        row, wanted = self.after.rows[(self.account, name, "")], self._wanted()
        alone = self._forecast(name, row, wanted)
        for each in self._forecast(name, row, {**self._left(), **wanted}):
            if each.severity == "refused" and each not in alone:
                yield self._note(quoted((self.account, name, ""), row), each.sentence, each.setting)

    def _left(self) -> dict[str, Config]:
        return {name: each.config for name, each in (self.left.streams or {}).items() if not each.in_memory}

    def _forecast(
        self, name: str, row: Seen, around: Mapping[str, Config], there: LeftStream | None = None
    ) -> tuple[Warning, ...]:
        return forecast(
            row.kind,
            name,
            row.config,
            there.config if there else None,
            there.counts if there else None,
            {each: config for each, config in around.items() if each != name},
            self.after.limits.get(self.account),
            self.after.servers,
            room=self.after.room,
        )

    def _differs(self, row: Seen, seen: Config, told: tuple[Warning, ...]) -> str:
        taking, called = weigh(row.kind, row.name, row.config, seen, told), named(row.kind, self.account, row.name)
        if not taking.found:
            return ""
        if taking.harmless:
            return f" Its settings become these: {taking.words()}."
        words = f" Its settings differ: {taking.words()}. It stays as it is, and a job stops there, until you answer"
        if taking.possible:
            return f"{words}: `nunect drift adopt {called}` keeps it so, `nunect drift revert {called}` changes it."
        return f"{words}: `nunect drift adopt {called}` keeps it so."

    def _since(self) -> str:
        ago = _ago((timezone.now() - self.left.at).total_seconds())
        return f"{self.account} was retired (job {self.left.job}, {ago})"

    def _note(self, called: str, sentence: str, setting: str = "") -> Warned:
        return Warned(self.account, called, Warning(setting, sentence, "note"))


def _called(name: str, stream: LeftStream) -> str:
    return f"{_WHAT[stream.kind]} “{bucket_of(stream.kind, name)}”"


def _holds(stream: LeftStream, left: Left | None = None) -> str:
    """left: tells whether the messages have grown too old meanwhile."""
    if not stream.messages:
        return "without messages"
    told = f"with its {many(stream.messages, 'message')}"
    age = int(stream.config.get("max_age") or 0)
    if left is not None and age and left.at + timedelta(microseconds=age / 1000) < timezone.now():
        return f"{told}, which {go(stream.messages)} at once: past the age that its messages may reach"
    return told


def _ago(seconds: float) -> str:
    for size, word in _UNITS:
        if count := int(seconds // size):
            return f"{many(count, word)} ago"
    return "just now"
