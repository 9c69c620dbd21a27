"""What the server would refuse, or would lose data on, said before it is done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from accounts_app.jetstream.differences import in_words
from accounts_app.jetstream.settings import settings_of
from accounts_app.jetstream.wire import FILLED, Config, complete, effective
from accounts_app.natsconf.specs import JetStreamSpec

Severity = Literal["refused", "loses", "note"]


@dataclass(frozen=True, slots=True)
class Warning:
    """setting: the one it is about, "" for the object; sentence: for people; severity: what comes of it."""

    setting: str
    sentence: str
    severity: Severity

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


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

    counts: what it holds. others: {name: the server's config} of the account's other streams or the stream's other
    consumers. account_limits None: unknown. servers: those with JetStream, None: unknown. stream: the server's config
    of a consumer's stream.
    """
    return ()


def fixed_changes(kind: str, wanted: Config, seen: Config) -> dict[str, str]:
    """{setting: sentence} of what can't change any more on an object that is there as `seen`."""
    ours, theirs = effective(kind, wanted), complete(kind, seen)
    found = {}
    for name, setting in settings_of(kind).items():
        if setting.fixed and ours[name] != theirs[name] and not (name in FILLED and name not in wanted):
            found[name] = f"This can't change any more: it is {in_words(kind, name, theirs[name])} on the server."
    return found
