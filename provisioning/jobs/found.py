"""What JetStream kept of a job's accounts before the job made anything there; that stays."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db.models import F

from accounts_app.models import Account, Consumer, Stream
from provisioning.errors import ProvisioningError
from provisioning.jetstream.client import JetStream
from provisioning.jetstream.errors import NotShown
from provisioning.jetstream.sightings import config_of
from provisioning.jobs.lease import fence
from provisioning.models import Job

STEP = "enforced"  # the first moment in which servers can be asked, and the last before anything is made
NAMED = 10
Path = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Found:
    """accounts: {account: its streams, None where they could not be seen}; an account without JetStream, or that no
    server knew yet, is not among them. consumers: {account: {stream: its consumers}}. configs: {(account, stream,
    consumer, "" for the stream): the server's config} of what the job's rows are about to take over."""

    accounts: Mapping[str, Collection[str] | None]
    consumers: Mapping[str, Mapping[str, Collection[str]]]
    configs: Mapping[Path, Mapping[str, Any]] = field(default_factory=dict)

    def has(self, account: str, stream: str, consumer: str = "") -> bool:
        """Whether this was there before."""
        if consumer:
            return consumer in self.consumers.get(account, {}).get(stream, ())
        return stream in (self.accounts.get(account) or ())

    def empty(self, names: Iterable[str]) -> list[str]:
        """Those of the accounts of which nothing was there."""
        return [name for name in names if name in self.accounts and self.accounts[name] == []]

    def stays(self, names: Iterable[str]) -> list[str]:
        """What stays of these accounts in the store once they are gone, a sentence each."""
        told = []
        for name in (name for name in names if self.accounts.get(name) != []):
            if streams := self.accounts.get(name):
                shown = ", ".join(sorted(streams)[:NAMED])
                more = f" and {len(streams) - NAMED} more" if len(streams) > NAMED else ""
                told.append(f"What was in the store before the job stays there, for account {name}: {shown}{more}.")
            elif name in self.accounts:
                told.append(
                    f"What account {name} keeps in the store stays: nunect could not see what was there before."
                )
        return told


def read(job: Job) -> Found:
    """What was found; nothing as long as nobody has looked."""
    step = job.steps.filter(name=STEP).first()
    undo = json.loads(step.undo) if step is not None else {}
    configs = {(account, stream, consumer): config for account, stream, consumer, config in undo.get("configs", ())}
    return Found(undo.get("found", {}), undo.get("consumers", {}), configs)


def looked(job: Job) -> bool:
    return job.steps.filter(name=STEP, result__has_key="looked").exists()


def look(job: Job, *, late: bool = False) -> None:
    """Ask the servers once, and write it down. Until then nobody makes a stream of what the job's rows say.

    late: on the way back, where an account that can't be asked is one that could not be seen. Raises Unreachable.
    """
    if looked(job):
        return
    rows = Account.objects.filter(system=job.system_id, name__in=job.accounts, enabled=True, jetstream=True)
    rows = rows.filter(done__gt=0)
    streams: dict[str, list[str] | None] = dict.fromkeys(rows.values_list("name", flat=True))
    shown = list(rows.filter(jetstream_control=True).order_by("name").values_list("name", flat=True))
    consumers: dict[str, dict[str, list[str]]] = {}
    configs: list[tuple[str, str, str, Mapping[str, Any]]] = []
    if shown:
        with JetStream(job.system) as client:
            for name in shown:
                try:
                    streams[name] = client.run(client.api.stream_names(name))
                    infos = _consumers(job, client, name, streams[name] or ())
                    consumers[name] = {each: [_name(info) for info in many] for each, many in infos.items()}
                    configs += _configs(job, client, name, streams[name] or (), infos)
                except NotShown:
                    if not late:
                        raise
    step = job.steps.get(name=STEP)
    with fence(job):
        step.result = {**step.result, "looked": True}
        seen = {"found": streams, "consumers": consumers, "configs": configs}
        step.undo = json.dumps({**json.loads(step.undo or "{}"), **seen})
        step.save(update_fields=["result", "undo"])


def _consumers(job: Job, client: JetStream, account: str, streams: Collection[str]) -> dict[str, list[dict[str, Any]]]:
    """Of the streams for which the job's rows name consumers that nobody has brought to a server yet."""
    new = Consumer.objects.filter(stream__account__system=job.system_id, stream__account__name=account)
    named = set(new.filter(managed=True, done__lt=F("wanted")).values_list("stream__name", flat=True))
    return {each: client.consumers(account, each) for each in sorted(named & set(streams))}


def _configs(
    job: Job, client: JetStream, account: str, streams: Collection[str], consumers: Mapping[str, list[dict[str, Any]]]
) -> Iterator[tuple[str, str, str, Mapping[str, Any]]]:
    """What is there where rows of the job, which nobody has brought to a server yet, say that something shall be."""
    new = Stream.objects.filter(account__system=job.system_id, account__name=account, managed=True)
    there = sorted(set(new.filter(done__lt=F("wanted")).values_list("name", flat=True)) & set(streams))
    for info in client.found([(account, each) for each in there]):
        if isinstance(info, ProvisioningError):
            raise info
        if info is not None:
            yield account, info["config"]["name"], "", config_of(info["config"])
    named = Consumer.objects.filter(stream__account__system=job.system_id, stream__account__name=account, managed=True)
    wanted = set(named.filter(stream__name__in=consumers).values_list("stream__name", "name"))
    for stream, infos in consumers.items():
        for info in infos:
            if (stream, _name(info)) in wanted:
                yield account, stream, _name(info), config_of(info["config"])


def _name(info: Mapping[str, Any]) -> str:
    return str(info["name"])
