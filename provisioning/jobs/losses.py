"""What taking a job back would lose, and what stays, in sentences, before it is done."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

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
    messages = int(stream.counts.get("messages") or 0)
    data = f"with {_count(messages, 'message')}, as last seen" if messages else "with its data"
    return f"{_called(stream)} is deleted {data}."


def _called(stream: Stream) -> str:
    word = _WHAT[stream.kind]
    return f"{word[0].upper()}{word[1:]} “{stream.bucket}” of account “{stream.account.name}”"


def _count(number: int, word: str) -> str:
    return f"{number:,} {word}{'' if number == 1 else 's'}"
