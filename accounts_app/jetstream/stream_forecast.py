"""What the server would refuse of a stream or bucket, or would lose of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from accounts_app.jetstream.case import Case, Warning, many
from accounts_app.jetstream.differences import in_words
from accounts_app.jetstream.fixed import FOR_GOOD
from accounts_app.jetstream.wire import Config
from accounts_app.natsconf import subjects
from accounts_app.units import size

Look = Callable[[Case], Iterator[Warning]]


def _for_good(case: Case) -> Iterator[Warning]:
    for name in FOR_GOOD:
        if case.after.get(name) and not (case.before or {}).get(name):
            yield Warning(name, "This can't be taken back later.", "note")
    if case.before and case.before.get("mirror") and not case.after.get("mirror"):
        yield Warning("mirror", "It stops mirroring and becomes a stream of its own.", "note")


def _overlaps(case: Case) -> Iterator[Warning]:
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


def _replicas(case: Case) -> Iterator[Warning]:
    wanted = case.after["replicas"]
    if case.servers is not None and wanted > case.servers:
        there = "is one server" if case.servers == 1 else f"are {case.servers} servers"
        told = f"There {there} with JetStream, too few for {wanted} replicas."
        yield Warning("replicas", told, "refused")
    elif wanted in (2, 4):
        yield Warning("replicas", f"{wanted} replicas survive no more losses than {wanted - 1}.", "note")
    if case.before and wanted < case.before["replicas"]:
        yield Warning("replicas", "Fewer servers keep a copy from then on.", "note")


def _shrinks(case: Case) -> Iterator[Warning]:
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
            gone = f"{share} of {many(held, 'message')} go, the oldest ones."
            yield Warning(setting, full if stays else gone, "note" if stays else "loses")
    if _narrower("max_age", before, after, none=0):
        name = case.called("max_age")
        age = in_words(case.kind, name, after["max_age"])
        yield Warning(name, f"Of {many(held, 'message')}, those go that are older than {age}.", "loses")
    most = after.get("max_msgs_per_subject", -1)
    if most < held and _narrower("max_msgs_per_subject", before, after):
        name, only = case.called("max_msgs_per_subject"), "the last one" if most == 1 else f"the last {most:,}"
        of = "key" if case.kind == "kv" else "subject"
        yield Warning(name, f"Of each {of}, only {only} of its messages stay{'s' if most == 1 else ''}.", "loses")
    if after.get("retention") == "interest" and before.get("retention") == "limits":
        told = f"Of {many(held, 'message')}, those go that every consumer has; without consumers all do."
        yield Warning("retention", told, "loses")


def _size_of_messages(case: Case) -> Iterator[Warning]:
    name = case.called("max_msg_size")
    if case.seen is not None and name and _narrower("max_msg_size", case.seen, case.body):
        yield Warning(name, "Larger ones that are stored already stay; new ones are refused.", "note")


def _narrower(key: str, before: Config, after: Config, none: int = -1) -> bool:
    new, old = after.get(key, none), before.get(key) or none
    return new > 0 and (old <= 0 or new < old)


def _account(case: Case) -> Iterator[Warning]:
    limits, most = case.limits, case.after["max_bytes"]
    if case.seen is None and 0 < (limits.max_streams or 0) <= len(case.others):
        told = f"The account has {many(len(case.others), 'stream')}, as many as it may."
        yield Warning("name", told, "refused")
    if limits.max_bytes_required and most <= 0:
        told = "The account wants every stream to say how large it may become."
        yield Warning("max_bytes", told, "refused")
    memory = case.after["storage"] == "memory"
    one = (limits.mem_max_stream_bytes if memory else limits.disk_max_stream_bytes) or 0
    if 0 < one < most:
        yield Warning("max_bytes", f"The account allows one stream {size(one)}.", "refused")
    yield from _reserved(case, memory)


def _reserved(case: Case, memory: bool) -> Iterator[Warning]:
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


def _fits(case: Case) -> Iterator[Warning]:
    """A server reserves what a stream may reach, so that none takes what is larger than itself."""
    storage, most = case.after["storage"], case.after["max_bytes"]
    largest = case.room.get(storage, 0)
    if 0 < largest < most and not (case.before and most <= case.before["max_bytes"]):
        where = "in memory" if storage == "memory" else "on disk"
        yield Warning("max_bytes", f"No server has room for it: the largest keeps {size(largest)} {where}.", "refused")


def _same_room(before: Config, after: Config) -> bool:
    return bool(after["max_bytes"] <= before["max_bytes"] and after["replicas"] <= before["replicas"])


def _origins(case: Case) -> Iterator[Warning]:
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


LOOKS: tuple[Look, ...] = (_account, _fits, _overlaps, _replicas, _shrinks, _origins, _size_of_messages, _for_good)
