"""What the server would refuse, or would lose data on, said before it is done."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from accounts_app.jetstream import consumer_forecast, stream_forecast
from accounts_app.jetstream.case import Case, Severity, Warning, go, many
from accounts_app.jetstream.fixed import fixed_changes
from accounts_app.jetstream.settings import settings_of
from accounts_app.jetstream.wire import Config, complete, effective, to_server
from accounts_app.natsconf.specs import JetStreamSpec
from accounts_app.units import size

__all__ = ["Severity", "Warning", "fixed_changes", "forecast"]
_NO_LIMITS = JetStreamSpec()


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
    room: Mapping[str, int] | None = None,
) -> tuple[Warning, ...]:
    """What comes of `wanted` (a row's config; None: it is deleted with its data) on an object that is there as `seen`.

    counts: what it holds (messages, bytes, subjects, consumers; of a consumer pending, ack_pending). others: {name:
    the server's config} of the account's other streams or the stream's other consumers. account_limits None: unknown.
    servers: those with JetStream, None: unknown. stream: the server's config of a consumer's stream.
    room: {storage: bytes that the largest server gives to streams}.
    """
    if wanted is None:
        return tuple(_deleted(kind, counts or {})) if seen is not None else ()
    case = Case(
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
        room or {},
    )
    looks = (_fixed, *(consumer_forecast if kind == "consumer" else stream_forecast).LOOKS)
    return tuple(dict.fromkeys(warning for look in looks for warning in look(case)))


def _deleted(kind: str, counts: Mapping[str, Any]) -> Iterator[Warning]:
    if kind == "consumer":
        yield Warning("", "Where its clients have got to is forgotten.", "loses")
        return
    if messages := int(counts.get("messages") or 0):
        told = f"Its {many(messages, 'message')} ({size(int(counts.get('bytes') or 0))})"
        yield Warning("", f"{told} {go(messages)}.", "loses")
    if consumers := int(counts.get("consumers") or 0):
        yield Warning("", f"Its {many(consumers, 'consumer')} {go(consumers)}, too.", "loses")


def _fixed(case: Case) -> Iterator[Warning]:
    if case.seen is None:
        if case.after.get("sealed"):
            yield Warning("sealed", "A stream can be sealed only once it is there.", "refused")
        return
    for setting, sentence in fixed_changes(case.kind, case.config, case.seen).items():
        yield Warning(setting, sentence, "refused")
