"""The way back of settings: what was there before a job, and was brought to its document, is as it was again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from accounts_app.forecasting import forecast_of
from accounts_app.jetstream.wire import from_server, kind_of, to_server
from accounts_app.models import Account, Consumer, Stream
from provisioning.jetstream.client import JetStream
from provisioning.jetstream.errors import JetStreamError
from provisioning.jetstream.sightings import config_of, counts_of
from provisioning.jetstream.taking_over import same, weigh
from provisioning.jobs.found import Found, Path
from provisioning.models import Job

Config = Mapping[str, Any]


def give_back(job: Job, there: Found) -> list[str]:
    """Give streams and consumers that the job's rows have let go their former settings.

    A sentence for each that can't have them without a loss, and keeps those of now. Streams first, then consumers.
    Safe to call twice. Raises Unreachable.
    """
    paths = sorted(there.configs, key=_streams_first)
    rows = {path: row for path in paths if (row := _let_go(job, path, there.configs[path])) is not None}
    if not rows:
        return []
    with JetStream(job.system) as client:
        told = [_one(client, path, row, there.configs[path]) for path, row in rows.items()]
    return [each for each in told if each]


def _streams_first(path: Path) -> tuple[bool, Path]:
    return bool(path[2]), path


def _one(client: JetStream, path: Path, row: Stream | Consumer, before: Config) -> str:
    account, stream, consumer = path
    info = client.consumer(*path) if consumer else client.stream(account, stream)
    kind = row.settings_kind
    if info is None or same(kind, before, info["config"]):
        return ""
    row.config, row.seen, row.counts = from_server(kind, before), config_of(info["config"]), counts_of(info)
    taking = weigh(kind, row.name, row.config, info["config"], forecast_of(row))
    named = f"Consumer {consumer} of stream {stream}" if consumer else f"Stream {stream}"
    if not taking.possible or taking.warnings:
        return f"{named} of account {account} keeps the settings that it has got: {taking.words()}."
    config = to_server(kind, row.name, row.config, info["config"])
    try:
        if consumer:
            client.update_consumer(account, stream, config)
        else:
            client.update_stream(account, config)
    except JetStreamError as error:
        return f"{named} of account {account} keeps the settings that it has got: {error.words}."
    return ""


def _let_go(job: Job, path: Path, before: Config) -> Stream | Consumer | None:
    """Its row, or one that would be; None for what is managed: that has its way back by its row."""
    name, stream, consumer = path
    account = Account.objects.filter(system=job.system_id, name=name).first()
    if account is None:
        return None
    home = Stream.objects.filter(account=account, name=stream).first()
    home = home or Stream(account=account, name=stream, kind=kind_of(before), managed=False)
    row: Stream | Consumer = home
    if consumer:
        known = Consumer.objects.filter(stream=home, name=consumer).first() if home.pk else None
        row = known or Consumer(stream=home, name=consumer, managed=False)
    return None if row.managed or row.leaving else row
