"""Looking and acting for the wishes of some accounts, all at once: no table is touched from here."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
from itertools import groupby
from typing import Any

from django.utils import timezone

from accounts_app.jetstream.differences import differences
from accounts_app.jetstream.refusals import explain
from accounts_app.jetstream.wire import to_server
from provisioning.jetstream.api import Api
from provisioning.jetstream.errors import (
    CONSUMER_NAME_IN_USE,
    STREAM_NAME_IN_USE,
    UNKNOWN,
    JetStreamError,
    NoAnswer,
    NotShown,
)
from provisioning.jetstream.readiness import Servers, names
from provisioning.jetstream.sightings import config_of, counts_of
from provisioning.jetstream.strangers import Stranger
from provisioning.jetstream.wishes import Key, Outcome, Wish

Info = dict[str, Any]
Looks = dict[Key, "Info | Outcome | None"]


async def look(api: Api, wishes: Iterable[Wish], servers: Servers) -> Looks:
    """{wish: what the server has of it, None for nothing}; an Outcome where it can't be told."""

    async def one(wish: Wish) -> Info | None:
        if wish.is_stream:
            return await api.stream(wish.account, wish.name)
        return await api.consumer(wish.account, wish.stream, wish.name)

    async def of_account(those: list[Wish]) -> list[tuple[Key, Info | Outcome | None]]:
        found: list[tuple[Key, Info | Outcome | None]] = []
        lost: NoAnswer | None = None
        for wish in those:
            if lost is not None:
                found.append((wish.key, _lost(wish, lost, servers)))
                continue
            try:
                found.append((wish.key, await one(wish)))
            except NoAnswer as nobody:
                lost = nobody
                found.append((wish.key, _lost(wish, nobody, servers)))
            except (NotShown, JetStreamError) as error:
                found.append((wish.key, replace(_refused(wish, error, None, servers), known=False)))
        return found

    looks = await asyncio.gather(*(of_account(those) for those in _by_account(wishes)))
    return {key: info for each in looks for key, info in each}


def is_new(wish: Wish, info: Info | Outcome | None) -> bool:
    """Whether meeting the wish makes an object that isn't there."""
    return info is None and not wish.leaving


async def act(
    api: Api, wishes: Iterable[Wish], looks: Looks, servers: Servers, strangers: Mapping[Key, Stranger]
) -> list[Outcome]:
    """Meet the wishes, account by account at once, within one in the order given.

    strangers: who stands in the place of those whose object isn't the row's, and differs from it.
    """

    async def of_account(those: list[Wish]) -> list[Outcome]:
        found: list[Outcome] = []
        unmet: set[str] = set()
        lost = ""
        for wish in those:
            info = looks[wish.key]
            if isinstance(info, Outcome):
                outcome = info
            elif lost:
                outcome = _waits(wish, lost, info)
            elif not wish.is_stream and wish.stream in unmet:
                outcome = _waits(wish, f"Waits for stream {wish.stream}.", info)
            else:
                outcome = await _meet(api, wish, info, servers, strangers.get(wish.key))
            found.append(outcome)
            if outcome.lost:
                lost = outcome.sentence
            if wish.is_stream and outcome.result not in ("done", "gone"):
                unmet.add(wish.name)
        return found

    parts = await asyncio.gather(*(of_account(those) for those in _by_account(wishes)))
    return [outcome for part in parts for outcome in part]


def _by_account(wishes: Iterable[Wish]) -> list[list[Wish]]:
    ordered = sorted(wishes, key=lambda wish: wish.account_id)
    return [list(those) for _, those in groupby(ordered, key=lambda wish: wish.account_id)]


async def _meet(api: Api, wish: Wish, info: Info | None, servers: Servers, stranger: Stranger | None) -> Outcome:
    if wish.leaving:
        return await _let_go(api, wish, info, servers)
    short = _short(wish, servers)
    if info is None:
        return _waits(wish, short, None) if short else await _make(api, wish, servers)
    seen = info["config"]
    found = differences(wish.kind, wish.config, seen, now=timezone.now())
    if not found:
        return _done(wish, info)
    if not wish.ours and stranger is None:
        return _waits(wish, "Waits for another look.", info)  # it has just become another one
    if stranger is not None and not stranger.take:
        drift = [each.as_dict() for each in found]
        return Outcome(wish, "foreign", config_of(seen), counts_of(info), sentence=stranger.sentence, drift=drift)
    if short:
        return _waits(wish, short, info)
    return await _attempt(wish, lambda: _change(api, wish, seen, {each.setting for each in found}), info, servers)


async def _make(api: Api, wish: Wish, servers: Servers) -> Outcome:
    config = to_server(wish.kind, wish.name, wish.config)

    async def make() -> Info:
        if wish.is_stream:
            return await api.create_stream(wish.account, config)
        return await api.create_consumer(wish.account, wish.stream, config)

    return await _attempt(wish, make, None, servers)


async def _change(api: Api, wish: Wish, seen: Info, settings: set[str]) -> Info:
    config = to_server(wish.kind, wish.name, wish.config, seen)
    if wish.is_stream:
        return await api.update_stream(wish.account, config)
    if settings - {"pause_until"}:
        await api.update_consumer(wish.account, wish.stream, config)
    if "pause_until" in settings:  # an update leaves that as it is
        await api.pause_consumer(wish.account, wish.stream, wish.name, wish.config.get("pause_until"))
    # the answer to the first update of one that a server has found in its store tells how it was before (measured)
    return await api.ask(wish.account, f"CONSUMER.INFO.{wish.stream}.{wish.name}")


async def _attempt(wish: Wish, work: Callable[[], Awaitable[Info]], info: Info | None, servers: Servers) -> Outcome:
    try:
        now = await work()
    except NoAnswer as nobody:
        return _lost(wish, nobody, servers)
    except (NotShown, JetStreamError) as error:
        return _refused(wish, error, info, servers)
    left = differences(wish.kind, wish.config, now["config"], now=timezone.now())
    if left:
        told = f"The server took it and has it otherwise. {left[0].words}"
        return replace(_done(wish, now), result="failed", sentence=told, setting=left[0].setting)
    return _done(wish, now)


async def _let_go(api: Api, wish: Wish, info: Info | None, servers: Servers) -> Outcome:
    """Delete it with its data. One of that name that was never the row's stays where it is."""
    if info is None or not wish.ours:
        return Outcome(wish, "gone")
    try:
        if wish.is_stream:
            await api.delete_stream(wish.account, wish.name)
        else:
            await api.delete_consumer(wish.account, wish.stream, wish.name)
    except NoAnswer as nobody:
        return _lost(wish, nobody, servers)
    except (NotShown, JetStreamError) as error:
        return _refused(wish, error, info, servers)
    return Outcome(wish, "gone")


def _done(wish: Wish, info: Info) -> Outcome:
    return Outcome(wish, "done", config_of(info["config"]), counts_of(info))


def _waits(wish: Wish, why: str, info: Info | None) -> Outcome:
    """Nothing was done, and what is there is known. Another's stays so: once it is written down, it is the row's."""
    if info is None or not wish.ours:
        return Outcome(wish, "waits", sentence=why, known=info is None)
    return Outcome(wish, "waits", config_of(info["config"]), counts_of(info), sentence=why)


def _lost(wish: Wish, error: NoAnswer, servers: Servers) -> Outcome:
    """Whether it was done is not known."""
    away = servers.away
    told = f"Waits for {names(away)}: {error.detail}" if away else f"Waits. {error.detail}"
    return Outcome(wish, "waits", sentence=told, known=False, lost=True)


def _short(wish: Wish, servers: Servers) -> str:
    """A stream of more copies than servers answer waits for them, rather than be told no or be half made."""
    away = servers.short_of(int(wish.config.get("replicas") or 1)) if wish.is_stream else ()
    return f"Waits for {names(away)}: it keeps {wish.config['replicas']} copies." if away else ""


def _refused(wish: Wish, error: NotShown | JetStreamError, info: Info | None, servers: Servers) -> Outcome:
    if isinstance(error, NotShown):
        return _waits(wish, f"Waits. {error.detail}", info)
    if error.err_code == STREAM_NAME_IN_USE or error.err_code in CONSUMER_NAME_IN_USE:
        return _waits(wish, "Waits: somebody has just made one of this name.", info)  # the next look tells more
    if error.err_code in UNKNOWN and not wish.is_stream:
        return _waits(wish, f"Waits for stream {wish.stream}, which is not there.", info)
    told = explain(error.err_code, error.words, wish.kind)
    if not told.transient:
        return replace(_waits(wish, told.sentence, info), result="failed", setting=told.setting)
    away = servers.away
    return _waits(wish, f"Waits for {names(away)}: {told.sentence}" if away else f"Waits. {told.sentence}", info)
