"""What the server would refuse, or would lose data on, said before it is done."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from accounts_app.jetstream.differences import in_words
from accounts_app.jetstream.settings import settings_of
from accounts_app.jetstream.wire import FILLED, Config, complete, effective, to_server
from accounts_app.natsconf import subjects
from accounts_app.natsconf.specs import JetStreamSpec
from accounts_app.units import size

Severity = Literal["refused", "loses", "note"]
_FOR_GOOD = ("deny_delete", "deny_purge", "allow_msg_ttl", "sealed")
_NO_LIMITS = JetStreamSpec()


@dataclass(frozen=True, slots=True)
class Warning:
    """setting: the one it is about, "" for the object; sentence: for people; severity: what comes of it."""

    setting: str
    sentence: str
    severity: Severity

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class _Case:
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

    def called(self, key: str) -> str:
        """The setting that a key of the server's is in this kind, "" when it is none."""
        return self.names.get(key, "")

    @property
    def messages(self) -> int:
        return int(self.counts.get("messages") or 0)


def forecast(
    kind: str,
    name: str,
    wanted: Config | None,
    seen: Config | None = None,
    counts: Mapping[str, Any] | None = None,
    others: Mapping[str, Config] | None = None,
    account_limits: JetStreamSpec | None = None,
    servers: int | None = None,
    stream: Config | None = None,
) -> tuple[Warning, ...]:
    """What comes of `wanted` (a row's config; None: it is deleted with its data) on an object that is there as `seen`.

    counts: what it holds (messages, bytes, subjects, consumers; of a consumer pending, ack_pending). others: {name:
    the server's config} of the account's other streams or the stream's other consumers. account_limits None: unknown.
    servers: those with JetStream, None: unknown. stream: the server's config of a consumer's stream.
    """
    if wanted is None:
        return tuple(_deleted(kind, counts or {})) if seen is not None else ()
    case = _Case(
        kind,
        name,
        wanted,
        seen,
        None if seen is None else complete(kind, seen),
        effective(kind, wanted),
        to_server(kind, name, wanted, seen),
        counts or {},
        others or {},
        account_limits or _NO_LIMITS,
        servers,
        stream,
        {setting.key: setting.name for setting in settings_of(kind).values()},
    )
    found = [warning for look in _LOOKS[kind == "consumer"] for warning in look(case)]
    return tuple(dict.fromkeys(found))


def fixed_changes(kind: str, wanted: Config, seen: Config) -> dict[str, str]:
    """{setting: sentence} of what can't change any more on an object that is there as `seen`."""
    ours, theirs = effective(kind, wanted), complete(kind, seen)
    found = {}
    for name, setting in settings_of(kind).items():
        if ours[name] == theirs[name] or (name in FILLED and name not in wanted):
            continue
        if setting.fixed:
            found[name] = f"This can't change any more: it is {in_words(kind, name, theirs[name])} on the server."
        elif name in _FOR_GOOD and theirs[name]:
            found[name] = "This can't be taken back."
        elif name == "retention" and "workqueue" in (ours[name], theirs[name]):
            found[name] = "A work queue stays one, and nothing else becomes one."
        elif name == "mirror" and ours[name] and seen.get("mirror") != ours[name]:
            found[name] = (
                "What a stream mirrors can't change any more; without a mirror it becomes a stream of its own."
            )
        elif name == "deliver_subject" and not (ours[name] and theirs[name]):
            found[name] = "Pulling and pushing can't change any more."
    return found


def _deleted(kind: str, counts: Mapping[str, Any]) -> Iterator[Warning]:
    if kind == "consumer":
        yield Warning("", "Where its clients have got to is forgotten.", "loses")
        return
    if messages := int(counts.get("messages") or 0):
        told = f"Its {_many(messages, 'message')} ({size(int(counts.get('bytes') or 0))})"
        yield Warning("", f"{told} {_go(messages)}.", "loses")
    if consumers := int(counts.get("consumers") or 0):
        yield Warning("", f"Its {_many(consumers, 'consumer')} {_go(consumers)}, too.", "loses")


# --- streams and buckets ----------------------------------------------------------------------------------


def _fixed(case: _Case) -> Iterator[Warning]:
    if case.seen is None:
        if case.after.get("sealed"):
            yield Warning("sealed", "A stream can be sealed only once it is there.", "refused")
        return
    for setting, sentence in fixed_changes(case.kind, case.config, case.seen).items():
        yield Warning(setting, sentence, "refused")


def _for_good(case: _Case) -> Iterator[Warning]:
    for name in _FOR_GOOD:
        if case.after.get(name) and not (case.before or {}).get(name):
            yield Warning(name, "This can't be taken back later.", "note")
    if case.before and case.before.get("mirror") and not case.after.get("mirror"):
        yield Warning("mirror", "It stops mirroring and becomes a stream of its own.", "note")


def _overlaps(case: _Case) -> Iterator[Warning]:
    stored, there = case.body.get("subjects") or [], (case.seen or {}).get("subjects") or []
    for other, config in case.others.items():
        for subject in (each for each in stored if each not in there):
            theirs = next((each for each in config.get("subjects") or () if subjects.overlaps(subject, each)), None)
            if theirs is not None:
                told = f"“{subject}” overlaps with “{theirs}” of stream {other}, which stores it already."
                yield Warning(case.called("subjects"), told, "refused")
                break
    for subject in there:
        if not any(subjects.covers(each, subject) for each in stored):
            yield Warning("subjects", f"New messages of “{subject}” are stored no more.", "note")


def _replicas(case: _Case) -> Iterator[Warning]:
    wanted = case.after["replicas"]
    if case.servers is not None and wanted > case.servers:
        there = "is one server" if case.servers == 1 else f"are {case.servers} servers"
        told = f"There {there} with JetStream, too few for {wanted} replicas."
        yield Warning("replicas", told, "refused")
    elif wanted in (2, 4):
        yield Warning("replicas", f"{wanted} replicas survive no more losses than {wanted - 1}.", "note")
    if case.before and wanted < case.before["replicas"]:
        yield Warning("replicas", "Fewer servers keep a copy from then on.", "note")


def _shrinks(case: _Case) -> Iterator[Warning]:
    """Messages that go because a limit becomes narrower than what is there."""
    if case.seen is None or not case.messages:
        return
    before, after, held = case.seen, case.body, case.messages
    stays = after.get("discard") == "new"  # what is there stays (measured); only new messages are refused
    over, stored = {}, int(case.counts.get("bytes") or 0)
    if 0 < (most := after.get("max_msgs", -1)) < held:
        over["max_msgs"] = f"{held - most:,}"
    if 0 < (most := after.get("max_bytes", -1)) < stored:
        over["max_bytes"] = f"About {max(1, round(held * (stored - most) / stored)):,}"
    for setting, share in over.items():
        if _narrower(setting, before, after):
            full = "It is full then: what is there stays, and new messages are refused."
            gone = f"{share} of {_many(held, 'message')} go, the oldest ones."
            yield Warning(setting, full if stays else gone, "note" if stays else "loses")
    if _narrower("max_age", before, after, none=0):
        name = case.called("max_age")
        age = in_words(case.kind, name, after["max_age"])
        yield Warning(name, f"Of {_many(held, 'message')}, those go that are older than {age}.", "loses")
    most = after.get("max_msgs_per_subject", -1)
    if most < held and _narrower("max_msgs_per_subject", before, after):
        name, only = case.called("max_msgs_per_subject"), "the last one" if most == 1 else f"the last {most:,}"
        of = "key" if case.kind == "kv" else "subject"
        yield Warning(name, f"Of each {of}, only {only} of its messages stay{'s' if most == 1 else ''}.", "loses")
    if after.get("retention") == "interest" and before.get("retention") == "limits":
        told = f"Of {_many(held, 'message')}, those go that every consumer has; without consumers all do."
        yield Warning("retention", told, "loses")


def _size_of_messages(case: _Case) -> Iterator[Warning]:
    name = case.called("max_msg_size")
    if case.seen is not None and name and _narrower("max_msg_size", case.seen, case.body):
        yield Warning(name, "Larger ones that are stored already stay; new ones are refused.", "note")


def _narrower(key: str, before: Config, after: Config, none: int = -1) -> bool:
    new, old = after.get(key, none), before.get(key) or none
    return new > 0 and (old <= 0 or new < old)


def _account(case: _Case) -> Iterator[Warning]:
    limits, most = case.limits, case.after["max_bytes"]
    if case.seen is None and 0 < (limits.max_streams or 0) <= len(case.others):
        told = f"The account has {_many(len(case.others), 'stream')}, as many as it may."
        yield Warning("name", told, "refused")
    if limits.max_bytes_required and most <= 0:
        told = "The account wants every stream to say how large it may become."
        yield Warning("max_bytes", told, "refused")
    memory = case.after["storage"] == "memory"
    one = (limits.mem_max_stream_bytes if memory else limits.disk_max_stream_bytes) or 0
    if 0 < one < most:
        yield Warning("max_bytes", f"The account allows one stream {size(one)}.", "refused")
    yield from _reserved(case, memory)


def _reserved(case: _Case, memory: bool) -> Iterator[Warning]:
    """The sizes that streams of an account may reach count as used."""
    whole = (case.limits.max_mem if memory else case.limits.max_file) or 0
    if whole <= 0 or (case.before and _same_room(case.before, case.after)):
        return
    alike = [each for each in case.others.values() if (each.get("storage") == "memory") == memory]
    taken = sum(max(each.get("max_bytes") or 0, 0) * (each.get("num_replicas") or 1) for each in alike)
    asked = max(case.after["max_bytes"], 0) * case.after["replicas"]
    if taken + max(asked, 1) > whole:
        where = "in memory" if memory else "on disk"
        told = f"The account may keep {size(whole)} {where}, and its other streams have {size(taken)} of it."
        yield Warning("max_bytes", told, "refused")


def _same_room(before: Config, after: Config) -> bool:
    return bool(after["max_bytes"] <= before["max_bytes"] and after["replicas"] <= before["replicas"])


def _origins(case: _Case) -> Iterator[Warning]:
    mirror = [("mirror", case.after.get("mirror"))] if case.after.get("mirror") else []
    for setting, source in (*mirror, *(("sources", each) for each in case.after.get("sources") or ())):
        if source.get("external"):
            continue
        there = case.others.get(source["name"])
        if there is None:
            told = f"There is no stream {source['name']} in the account yet: nothing is copied until there is."
            yield Warning(setting, told, "note")
            continue
        theirs, ours = there.get("max_msg_size") or -1, case.body.get("max_msg_size") or -1
        if 0 < ours < theirs:
            told = f"Stream {source['name']} takes messages of {size(theirs)}, more than this one."
            yield Warning(case.called("max_msg_size") or setting, told, "refused")


# --- consumers --------------------------------------------------------------------------------------------


def _of_work_queue(case: _Case) -> Iterator[Warning]:
    if case.stream is None or case.stream.get("retention") != "workqueue":
        return
    if case.after["ack_policy"] != "explicit":
        yield Warning("ack_policy", "A work queue needs acknowledgements: explicit.", "refused")
    if case.after["deliver_policy"] != "all" and case.seen is None:
        yield Warning("deliver_policy", "A consumer of a work queue begins with all messages.", "refused")
    mine = case.after["filter_subjects"] or [">"]
    for other, config in case.others.items():
        theirs = complete("consumer", config)["filter_subjects"] or [">"]
        met = next((one for one in mine if any(subjects.overlaps(one, each) for each in theirs)), None)
        if met is not None:
            told = f"In a work queue each message is one consumer's, and {other} takes some of “{met}” already."
            yield Warning("filter_subjects", told, "refused")
            return


def _within_stream(case: _Case) -> Iterator[Warning]:
    if case.stream is None:
        return
    copies, stored = case.stream.get("num_replicas") or 1, case.stream.get("subjects") or []
    if case.after["replicas"] > copies:
        yield Warning("replicas", f"The stream has {_many(copies, 'replica')}, and a consumer no more.", "refused")
    elif case.stream.get("retention") in ("interest", "workqueue") and case.after["replicas"] not in (0, copies):
        told = f"With this retention of the stream a consumer has as many replicas: {copies}, or 0."
        yield Warning("replicas", told, "refused")
    to = case.after["deliver_subject"]
    if to and any(subjects.overlaps(to, subject) for subject in stored):
        yield Warning("deliver_subject", "The stream would store what it delivers, round and round.", "refused")
    for subject in case.after["filter_subjects"]:
        if stored and not any(subjects.overlaps(subject, each) for each in stored):
            yield Warning("filter_subjects", f"The stream stores nothing of “{subject}”.", "note")


def _consumers_limits(case: _Case) -> Iterator[Warning]:
    most = (case.stream or {}).get("max_consumers") or -1
    most = most if most > 0 else (case.limits.max_consumers or -1)
    if case.seen is None and 0 < most <= len(case.others):
        yield Warning("name", f"The stream has {_many(len(case.others), 'consumer')}, as many as it may.", "refused")
    pending = case.limits.max_ack_pending or 0
    if 0 < pending < case.config.get("max_ack_pending", 0):
        yield Warning("max_ack_pending", f"The account allows {pending:,}.", "refused")


_LOOKS: dict[bool, tuple[Callable[[_Case], Iterator[Warning]], ...]] = {
    False: (
        _fixed, _account, _overlaps, _replicas, _shrinks, _origins, _size_of_messages, _for_good
    ),
    True: (_fixed, _of_work_queue, _within_stream, _consumers_limits),
}  # fmt: skip


def _go(count: int) -> str:
    return "goes" if count == 1 else "go"


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
