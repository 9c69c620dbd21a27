"""What taking a job back or retiring an account would lose, and what stays, in sentences, before it is done."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet

from accounts_app.jetstream.differences import differences
from accounts_app.models import Account, NatsUser, Stream
from provisioning.jobs import found, kept
from provisioning.models import Job, JobStep

_WHAT = {"stream": "stream", "kv": "KV bucket", "object": "object bucket"}


@dataclass(frozen=True, slots=True)
class Loss:
    """One sentence about an account. lost: whether something goes that can't be had again."""

    account: str
    text: str
    lost: bool = True

    def as_change(self) -> dict[str, Any]:
        """As previews tell changes; `stays` for what is no change."""
        told = {"account": self.account, "text": self.text, "removes_access": self.lost}
        return told if self.lost else {**told, "stays": True}


def losses(job: Job) -> list[str]:
    """What taking the job back now would delete, what is lost with it first, then what stays."""
    return [each.text for each in told(job)]


def told(job: Job) -> list[Loss]:
    """The same with the accounts. Counts of messages are those of the last sweep."""
    if job.kind != Job.Kind.PROVISION:
        return []
    step = job.steps.filter(name="rows").exclude(state=JobStep.State.UNDONE).first()
    if step is None or "wanted" not in step.result or "back" in step.result:
        return []
    return sorted(_of(job, step), key=lambda each: not each.lost)


def retired(account: Account, data: str, streams: QuerySet[Stream]) -> list[Loss]:
    """What becomes of its streams and buckets when an account is retired, what is lost first.

    data: "delete" or "keep"; streams: those that the person may see. Counts of messages are those of the last sweep.
    """
    rows = list(streams.select_related("account").order_by("name"))
    found = [Loss(account.name, _goes(row)) for row in rows] if data == "delete" else [_is_kept(row) for row in rows]
    if account.jetstream and not account.jetstream_control:
        becomes = "is deleted" if data == "delete" else "stays in the servers' store"
        told = f"What else account “{account.name}” keeps {becomes}: nunect doesn't see what that is."
        found.append(Loss(account.name, told, lost=data == "delete"))
    return sorted(found, key=lambda each: not each.lost)


def holding(stream: Stream) -> str:
    """A stream or bucket with what it holds, for who hasn't said yet what shall become of it."""
    memory = "; kept in memory: lost in any case" if _in_memory(stream) else ""
    messages = int(stream.counts.get("messages") or 0)
    return f"{_WHAT[stream.kind]} “{stream.bucket}” with {_count(messages, 'message')}, as last seen{memory}"


def _is_kept(stream: Stream) -> Loss:
    if _in_memory(stream):
        return Loss(stream.account.name, f"{_called(stream)} is kept in memory: it is lost {_data(stream)}.")
    return Loss(stream.account.name, f"{_called(stream)} stays in the servers' store {_data(stream)}.", lost=False)


def _in_memory(stream: Stream) -> bool:
    return (stream.seen or stream.config).get("storage") == "memory"


def _of(job: Job, step: JobStep) -> Iterator[Loss]:
    made, there = set(step.result["made"]), found.read(job)
    before = kept.known(step.undo)
    for account in Account.objects.filter(system=job.system_id, name__in=step.result["wanted"].keys()).order_by("name"):
        new = account.name in made
        users = NatsUser.objects.filter(account=account)
        gone = users if new else users.exclude(pk__in=before["accounts_app.NatsUser"])
        count = gone.count()
        if new:
            yield Loss(account.name, f"Account “{account.name}” is deleted with its {_count(count, 'user')}.")
        else:
            yield Loss(account.name, f"Account “{account.name}” stays, and gets back what it said before.", lost=False)
            if count:
                yield Loss(account.name, f"Of account “{account.name}” {_count(count, 'new user')} deleted.")
        streams = account.streams.order_by("name")
        for stream in streams if new else streams.exclude(pk__in=before["accounts_app.Stream"]):
            if stay := _stays(stream, there, new=new):
                yield Loss(account.name, stay, lost=False)
            elif stream.managed and not stream.done and stream.seen is None:
                yield Loss(account.name, f"{_called(stream)} is forgotten: no server has made it.")
            else:
                yield Loss(account.name, _goes(stream))
        known = set(streams.values_list("name", flat=True))
        if new and (rest := sorted(set(there.accounts.get(account.name) or ()) - known)):
            shown = ", ".join(rest[: found.NAMED]) + (" and more" if len(rest) > found.NAMED else "")
            yield Loss(account.name, f"In the store of account “{account.name}” stays: {shown}.", lost=False)


def _stays(stream: Stream, there: found.Found, *, new: bool) -> str:
    """Why it stays, "" when it doesn't."""
    account, called = stream.account.name, _called(stream)
    if there.has(account, stream.name):
        before = there.configs.get((account, stream.name, ""))
        changed = before is not None and bool(differences(stream.kind, stream.config, before))
        settings = ", and gets back its settings" if changed and stream.done else ""
        return f"{called} stays with its messages{settings}: it was there before."
    if stream.drift and stream.done == 0:
        return f"{called} stays: somebody else has made it."
    if not stream.managed and (not new or account not in there.empty([account])):
        return f"{called} stays: the job hasn't made it."
    return ""


def _goes(stream: Stream) -> str:
    return f"{_called(stream)} is deleted {_data(stream)}."


def _data(stream: Stream) -> str:
    messages = int(stream.counts.get("messages") or 0)
    return f"with {_count(messages, 'message')}, as last seen" if messages else "with its data"


def _called(stream: Stream) -> str:
    word = _WHAT[stream.kind]
    return f"{word[0].upper()}{word[1:]} “{stream.bucket}” of account “{stream.account.name}”"


def _count(number: int, word: str) -> str:
    return f"{number:,} {word}{'' if number == 1 else 's'}"
