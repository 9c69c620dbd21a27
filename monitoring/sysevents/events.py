"""Messages that nobody asked for, and JetStream's advisories."""

from __future__ import annotations

from typing import Any

from . import parts
from .parts import ODD, decode, speaker
from .replies import stats
from .values import Advisory, Connected, Disconnected, Leaving, Malformed, Peer, Refused, Stats

MOST_BYTES = 64 * 1024  # of one event
FAILED = "Authentication Failure"  # told twice: as AUTH.ERR, and as a client of `$G` that left
KEPT_OUT = frozenset(("Authentication Timeout", "Maximum Account Connections Exceeded"))  # told as having left only

Event = Connected | Disconnected | Refused | Leaving | Stats


def read_event(subject: str, data: bytes) -> Event:
    """A message that nobody asked for, on `$SYS.ACCOUNT.*.CONNECT` and the like. Raises Malformed."""
    words = subject.split(".")
    told = decode(data, MOST_BYTES)
    try:
        if subject.startswith("$SYS.ACCOUNT.") and words[-1] in ("CONNECT", "DISCONNECT"):
            return _client_event(".".join(words[2:-1]), words[-1] == "CONNECT", told)
        if subject.startswith("$SYS.SERVER.") and len(words) > 3:
            return _server_event(words[2], words[3:], told)
    except Malformed:
        raise
    except ODD as error:
        raise Malformed(f"{subject}: {type(error).__name__}") from error
    raise Malformed(f"{subject}: not a subject that is read")


def read_advisory(subject: str, data: bytes, prefix: str) -> Advisory:
    """An advisory that came over the control account. prefix: before the account's name. Raises Malformed."""
    told = decode(data, MOST_BYTES)
    account, _, rest = subject.removeprefix(prefix).partition(".")
    if not subject.startswith(prefix) or not rest:
        raise Malformed(f"{subject}: not an advisory")
    try:
        kind = str(told["type"]).rpartition(".")[2]
        client = told.get("client") or {}
        known = ("action", "subject", "deliveries", "stream_seq", "reason", "domain")
        return Advisory(
            account=account,
            id=str(told["id"]),
            at=parts.at(told["timestamp"]),
            kind=kind,
            stream=str(told.get("stream") or ""),
            consumer=str(told.get("consumer") or ""),
            action=str(told.get("action") or ""),
            login=str(client.get("user") or client.get("svc") or ""),
            app=str(client.get("name") or ""),
            detail={name: told[name] for name in known if isinstance(told.get(name), str | int)},
        )
    except ODD as error:
        raise Malformed(f"{subject}: {type(error).__name__}") from error


def _client_event(account: str, connected: bool, told: dict[str, Any]) -> Event:
    server, peer = speaker(told["server"]), _peer(told["client"])
    if peer.account != account:
        raise Malformed("the subject names another account")
    at = parts.at(told["timestamp"])
    if connected:
        return Connected(server, at, peer)
    return Disconnected(server, at, peer, str(told.get("reason") or ""))


def _server_event(server_id: str, rest: list[str], told: dict[str, Any]) -> Event:
    server = speaker(told.get("server") or told)
    if server.id != server_id:
        raise Malformed("the subject names another server")
    if rest == ["STATSZ"]:
        return stats(told)
    if rest == ["CLIENT", "AUTH", "ERR"]:
        return Refused(server, parts.at(told["timestamp"]), _peer(told["client"]), str(told.get("reason") or ""))
    if rest in (["SHUTDOWN"], ["LAMEDUCK"]):
        return Leaving(server, parts.at((told.get("server") or told)["time"]), rest == ["LAMEDUCK"])
    raise Malformed("not a subject that is read")


def _peer(told: dict[str, Any]) -> Peer:
    kind = str(told.get("client_type") or "nats") if told.get("kind") == "Client" else str(told.get("kind") or "")
    return Peer(
        cid=int(told["id"]),
        start=str(told.get("start") or ""),
        account=str(told.get("acc") or ""),
        login=str(told.get("nkey") or told.get("user") or ""),
        app=str(told.get("name") or ""),
        address=str(told.get("host") or ""),
        kind=kind.lower(),
        lang=str(told.get("lang") or ""),
        version=str(told.get("ver") or ""),
    )
