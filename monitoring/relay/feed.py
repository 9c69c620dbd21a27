"""What the servers say → what happened, in a sentence. Pure."""

from __future__ import annotations

from monitoring.events import Event, Level, Refusal
from monitoring.relay.who import Who
from monitoring.sysevents import Advisory, Connected, Disconnected, Peer, Refused

_ROUTINE = ("Client Closed", "Duplicate Connection", "Server Shutdown")
_WORDS = {
    "Client Closed": "it closed the connection",
    "Slow Consumer (Pending Bytes)": "it read too slowly: too many bytes were waiting for it",
    "Slow Consumer (Write Deadline)": "it read too slowly: a write took too long",
    "Kicked": "it was kicked",
    "Authentication Expired": "its credential has expired",
    "Authentication Revoked": "its credential was revoked",
    "Authorization Violation": "its credential is no longer accepted",
    "Credentials Revoked": "its credential is no longer accepted",
    "Maximum Message Payload Exceeded": "its message was larger than allowed",
    "Maximum Account Connections Exceeded": "its account has too many connections",
    "Maximum Connections Exceeded": "the server has too many connections",
    "Read Error": "the network broke",
    "Write Error": "the network broke",
    "Stale Connection": "it didn't answer pings",
    "Server Shutdown": "the server stopped",
}
_ACTS = {"create": "was created", "delete": "was deleted", "modify": "was changed"}
QUIET_ADVISORIES = frozenset(("api_audit",))  # one for each request: counted, not told


def connected(event: Connected, who: Who) -> Event:
    """A client has signed in."""
    text = f"{_app(event.peer)} connected to {event.server.name} as `{_name(event.peer, who)}`."
    return _of(event, who, "connect", f"{event.server.id}:{event.peer.cid}:c", text)


def disconnected(event: Disconnected, who: Who) -> Event:
    """A client is gone, and why."""
    why = _WORDS.get(event.reason, event.reason or "no reason was given")
    text = f"{_app(event.peer)} (`{_name(event.peer, who)}`) left {event.server.name}: {why}."
    level: Level = "info" if event.reason in _ROUTINE else "warning"
    return _of(event, who, "disconnect", f"{event.server.id}:{event.peer.cid}:d", text, level)


def refused(event: Refused, refusal: Refusal | None) -> Event:
    """A login was refused, and why as far as it is known."""
    known = refusal or Refusal("", f'The server says "{event.reason}".', "", user=event.peer.login)
    who = Who(known.user, known.user_pk, known.account, known.account_pk, known.owner)
    name = _name(event.peer, who)
    said = f"`{name}`" if name else "somebody without a credential"
    text = f"{event.server.name} refused {said}: {_inner(known.why)}"
    made = _of(event, who, "auth_error", f"{event.server.id}:{event.peer.cid}:e", text, "error")
    made.detail["login"] = event.peer.login
    made.detail.update({"code": known.code, "why": known.why, "remedy": known.remedy} if refusal else {})
    return made


def advised(advisory: Advisory, who: Who, account_pk: int | None) -> Event:
    """JetStream told of something in an account."""
    return Event(
        at=advisory.at,
        id=f"js:{advisory.account}:{advisory.id}",
        kind="advisory",
        text=_advisory_text(advisory),
        level="warning" if advisory.kind in _TROUBLE else "info",
        account=advisory.account,
        account_pk=account_pk,
        user=who.user or advisory.login,
        user_pk=who.user_pk,
        owner=who.owner,
        app=advisory.app,
        reason=advisory.kind,
        detail={"stream": advisory.stream, "consumer": advisory.consumer, **advisory.detail},
    )


_TROUBLE = frozenset(
    ("max_deliver", "terminated", "stream_quorum_lost", "consumer_quorum_lost", "domain_leader_elected", "nak")
)


def _advisory_text(advisory: Advisory) -> str:
    stream, where = f"Stream {advisory.stream}", f"in {advisory.account}"
    consumer, first = f"consumer {advisory.consumer}", f"Consumer {advisory.consumer}"
    act = _ACTS.get(advisory.action, advisory.action)
    seq = advisory.detail.get("stream_seq", "?")
    texts = {
        "stream_action": f"{stream} {where} {act}.",
        "consumer_action": f"{first} of {advisory.stream} {where} {act}.",
        "max_deliver": f"Message {seq} of {advisory.stream} {where} was delivered as often as {consumer} allows.",
        "terminated": f"Message {seq} of {advisory.stream} {where} was terminated by {consumer}.",
        "nak": f"Message {seq} of {advisory.stream} {where} was refused by {consumer}.",
        "stream_leader_elected": f"{stream} {where} has a new leader.",
        "consumer_leader_elected": f"{first} of {advisory.stream} {where} has a new leader.",
        "stream_quorum_lost": f"{stream} {where} has lost its quorum: it stores nothing.",
        "consumer_quorum_lost": f"{first} of {advisory.stream} {where} has lost its quorum.",
        "snapshot_create": f"{stream} {where} is being backed up.",
        "snapshot_complete": f"{stream} {where} was backed up.",
        "restore_create": f"{stream} {where} is being restored.",
        "restore_complete": f"{stream} {where} was restored.",
    }
    return texts.get(advisory.kind, f"JetStream {where}: {advisory.kind.replace('_', ' ')}.")


def _inner(sentence: str) -> str:
    """A sentence after a colon; what begins with a name stays as it is."""
    first, _, rest = sentence.partition(" ")
    return sentence if first in ("NATS", "JetStream") or not first.isalpha() else f"{first.lower()} {rest}"


def _app(peer: Peer) -> str:
    return peer.app or "A client"


def _name(peer: Peer, who: Who) -> str:
    return who.user or peer.login


def _of(
    event: Connected | Disconnected | Refused,
    who: Who,
    kind: str,
    key: str,
    text: str,
    level: Level = "info",
) -> Event:
    peer = event.peer
    told = kind != "auth_error"
    return Event(
        at=event.at,
        id=key,
        kind=kind,  # type: ignore[arg-type]
        text=text,
        level=level,
        server=event.server.name,
        account=peer.account if told else who.account,
        account_pk=who.account_pk,
        user=_name(peer, who),
        user_pk=who.user_pk,
        owner=who.owner,
        app=peer.app,
        address=peer.address,
        cid=peer.cid,
        reason=getattr(event, "reason", ""),
        revision=event.server.revision,
        detail={"lang": peer.lang, "version": peer.version, "kind": peer.kind},
    )
