"""The last look at what an account keeps in JetStream, before it goes and its data stay."""

from __future__ import annotations

import json
from typing import Any

from accounts_app.jetstream.names import bucket_of
from accounts_app.jetstream.wire import kind_of
from accounts_app.models import Account, Stream
from provisioning import left_behind
from provisioning.errors import ProvisioningError
from provisioning.jetstream.client import JetStream
from provisioning.jetstream.sightings import config_of, counts_of
from provisioning.jobs.lease import fence
from provisioning.left_behind import LeftStream
from provisioning.models import Job, JobStep

NAMED = 100
_WHAT = {"stream": "stream", "kv": "KV bucket", "object": "object bucket"}


def remember(job: Job, step: JobStep) -> None:
    """Look once and write it down, for whoever makes the account again."""
    if "kept" in step.result:
        return
    found = {name: _look(job, name) for name in job.accounts}
    behind = {
        name: None if streams is None else {each: streams[each].as_dict() for each in sorted(streams)}
        for name, streams in found.items()
    }
    told = [line for _, streams in sorted(found.items()) for line in _told(streams or {})]
    with fence(job):
        step.result = {**step.result, "kept": told}
        step.undo = json.dumps({**json.loads(step.undo or "{}"), left_behind.KEY: behind})
        step.save(update_fields=["result", "undo"])


def _look(job: Job, name: str) -> dict[str, LeftStream] | None:
    """{stream: as it is}, by the last sweep where nobody answers now; None: nunect can't see into the account."""
    account = Account.objects.filter(system=job.system_id, name=name, jetstream=True).first()
    if account is None:
        return {}
    if account.enabled and account.jetstream_control and account.done:
        try:
            return _asked(job, name)
        except ProvisioningError:
            return _by_rows(account)
    return _by_rows(account) or None


def _asked(job: Job, account: str) -> dict[str, LeftStream]:
    found = {}
    with JetStream(job.system) as client:
        for info in client.streams(account):
            config, consumers = config_of(info["config"]), {}
            if counts_of(info)["consumers"]:
                seen = client.consumers(account, config["name"])
                consumers = {each["name"]: config_of(each["config"]) for each in seen if _stays(each)}
            found[config["name"]] = LeftStream(kind_of(config), config, counts_of(info), consumers)
    return found


def _stays(info: dict[str, Any]) -> bool:
    return bool(info["config"].get("durable_name"))


def _by_rows(account: Account) -> dict[str, LeftStream]:
    found = {}
    for row in Stream.objects.filter(account=account, seen__isnull=False).prefetch_related("consumers"):
        consumers = {each.name: each.seen for each in row.consumers.all() if each.seen is not None}
        found[row.name] = LeftStream(row.kind, row.seen or {}, row.counts, consumers)
    return found


def _told(streams: dict[str, LeftStream]) -> list[str]:
    lines = [_line(name, stream) for name, stream in streams.items()]
    more = len(lines) - NAMED
    return lines[:NAMED] + ([f"and {more:,} more"] if more > 0 else [])


def _line(name: str, stream: LeftStream) -> str:
    named = f"{_WHAT[stream.kind]} {bucket_of(stream.kind, name)}"
    messages = f"{stream.messages:,} message{'' if stream.messages == 1 else 's'}"
    return f"{named} was in memory: {messages} lost" if stream.in_memory else f"{named} with {messages}"
