"""Objects that stand where a row's shall be: which of them the row takes over unasked, and what to do about others."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.utils import timezone

from accounts_app.forecasting import forecast_of
from accounts_app.jetstream.differences import differences
from accounts_app.jetstream.names import bucket_of
from accounts_app.models import Consumer, Stream
from provisioning.jetstream.sightings import config_of, counts_of
from provisioning.jetstream.taking_over import TakingOver, same, weigh
from provisioning.jetstream.wishes import Key, Outcome, Wish
from provisioning.left_behind import Left, left_by

RESOURCES = {"stream": "streams", "kv": "kv-buckets", "object": "object-buckets", "consumer": "consumers"}
_WHAT = {"stream": "stream", "kv": "KV bucket", "object": "object bucket", "consumer": "consumer"}


@dataclass(frozen=True, slots=True)
class Stranger:
    """One that nunect hasn't made for the row. take: bring it to the row unasked; sentence: why not, and what to do."""

    take: bool
    sentence: str = ""


def meet(system_id: int, wishes: Iterable[Wish], looks: Mapping[Key, Any]) -> dict[Key, Stranger]:
    """{wish: who stands in its place}, of those that differ from their rows.

    What an account of the name kept when it was retired is the row's, as long as nobody has changed it since; it is
    taken unless something would be lost, or could not be taken back.
    """
    differing = [(wish, row, looks[wish.key]) for wish in wishes if (row := _row(wish, looks[wish.key])) is not None]
    left = left_by(system_id, {wish.account for wish, *_ in differing}) if differing else {}
    met = {}
    for wish, row, info in differing:
        taking, by = _weigh(wish, row, info), left.get(wish.account)
        kept = by is not None and _is_what_was_left(wish, info, by)
        take = kept and taking.harmless
        met[wish.key] = Stranger(take, "" if take else _told(wish, row, taking, by if kept else None))
    return met


def reference(row: Stream | Consumer) -> str:
    """As commands of `nunect` name it: "streams RENDERING/JOBS"; a consumer of a name that is there twice by its id."""
    if isinstance(row, Consumer):
        alike = Consumer.objects.filter(stream__account=row.home, name=row.name).exclude(pk=row.pk)
        return f"consumers {row.pk}" if alike.exists() else named("consumer", row.home.name, row.name)
    return named(row.kind, row.home.name, row.name)


def named(kind: str, account: str, name: str) -> str:
    """The same of an object that may have no row yet."""
    return f"{RESOURCES[kind]} {shlex.quote(f'{account}/{bucket_of(kind, name)}')}"


def _row(wish: Wish, info: Any) -> Stream | Consumer | None:
    """The row of a wish that meets an object that isn't its own and differs; as the object is."""
    if wish.ours or wish.leaving or info is None or isinstance(info, Outcome):
        return None
    if not differences(wish.kind, wish.config, info["config"], now=timezone.now()):
        return None
    row: Stream | Consumer | None
    if wish.is_stream:
        row = Stream.objects.filter(pk=wish.key[1]).select_related("account").first()
    else:
        row = Consumer.objects.filter(pk=wish.key[1]).select_related("stream__account").first()
    if row is not None:
        row.config, row.seen, row.counts = dict(wish.config), config_of(info["config"]), counts_of(info)
    return row


def _weigh(wish: Wish, row: Stream | Consumer, info: Any) -> TakingOver:
    return weigh(wish.kind, wish.name, wish.config, info["config"], forecast_of(row))


def _is_what_was_left(wish: Wish, info: Any, left: Left) -> bool:
    stream = (left.streams or {}).get(wish.stream)
    if stream is None:
        return False
    config = stream.config if wish.is_stream else stream.consumers.get(wish.name)
    return config is not None and same(wish.kind, config, info["config"])


def _told(wish: Wish, row: Stream | Consumer, taking: TakingOver, left: Left | None) -> str:
    what, words, called = _WHAT[wish.kind], taking.words(), reference(row)
    if left is not None:
        told = f"It is there, kept when account {wish.account} was retired (job {left.job})"
    else:
        told = f"There is a {what} of this name already that nunect doesn't manage"
    told += f", and the row says otherwise: {words}."
    adopt = f"`nunect drift adopt {called}` takes it as it is"
    if taking.possible:
        return f"{told} {adopt}, `nunect drift revert {called}` changes it to what the row says."
    return f"{told} Changing it to what the row says would be refused; {adopt}."
