"""What the server reads in the values of a conf, whatever their spelling: one form for each.

Aliases, letter case, strings for lists and lists for maps come out alike, and what is missing has
the server's meaning (`server/opts.go`). `diff` compares these forms, `reading` makes rows of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from . import subjects
from .names import CONNECTION_TYPES
from .rights import below_stars
from .specs import (
    DestinationSpec,
    ExportSpec,
    ImportSpec,
    JetStreamSpec,
    LimitsSpec,
    MappingSpec,
    ResponseSpec,
    RuleSpec,
)
from .subjects import InvalidValue
from .tree import Tree


def _spellings(*groups: str) -> dict[str, str]:
    """Return {each word: first word of its group}."""
    return {word: group.split()[0] for group in groups for word in group.split()}


ACCOUNT = _spellings(
    "users", "default_permissions", "limits", "jetstream", "exports", "imports", "mappings maps", "nkey",
    "msg_trace trace_dest",
)  # fmt: skip
AUTHORIZATION = _spellings(
    "users", "default_permissions default_permission permissions", "user username", "password pass", "token",
    "timeout", "auth_callout auth_hook", "proxy_required",
)  # fmt: skip
USER = _spellings(
    "user username", "password pass", "nkey", "permissions permission authorization",
    "allowed_connection_types connection_types clients", "proxy_required",
)  # fmt: skip
_PERMISSIONS = _spellings("publish pub import", "subscribe sub export", "allow_responses publish_allow_responses")
_RESPONSES = _spellings("max max_msgs max_messages max_responses", "expires expiration ttl")
_LIMITS = _spellings(
    "max_connections max_conn", "max_subscriptions max_subs", "max_payload max_pay", "max_leafnodes max_leafs"
)
_JETSTREAM = _spellings(
    "max_mem max_memory mem memory", "max_file max_store max_disk store disk", "max_streams streams",
    "max_consumers consumers", "max_bytes_required max_stream_bytes max_bytes",
    "mem_max_stream_bytes memory_max_stream_bytes", "disk_max_stream_bytes store_max_stream_bytes",
    "max_ack_pending", "cluster_traffic",
)  # fmt: skip
_EXPORT = _spellings(
    "stream", "service", "accounts", "account_token_position", "response_type response",
    "response_threshold threshold response_max_time response_time", "latency", "allow_trace",
)  # fmt: skip
_IMPORT = _spellings("stream", "service", "to", "prefix", "share", "allow_trace")
_SOURCE = _spellings("account", "subject")
_DESTINATION = _spellings("destination dest", "weight", "cluster")
_RESPONSE_TYPES = {
    "single": "single",
    "singleton": "single",
    "stream": "stream",
    "chunk": "chunked",
    "chunked": "chunked",
}


@dataclass(frozen=True, slots=True)
class Direction:
    """What may be published, or subscribed: the subjects of `allow`, without those of `deny`.

    allow (">",) is everything, () nothing. Subjects carry their queue as a second word.
    opened: what the server opens by itself, see `rights.below_stars`.
    """

    allow: tuple[str, ...] = (">",)
    deny: tuple[str, ...] = ()
    opened: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rights:
    """The meaning of one `permissions` block."""

    publish: Direction = Direction()
    subscribe: Direction = Direction()
    responses: ResponseSpec | None = None


EVERYTHING = Rights()


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of `users`. secret: as written, hash or plain; permissions: the block, None when
    there is none. unknown: {key: value} that the server does not know, such as variables."""

    kind: Literal["password", "nkey", "name"]  # "name": neither password nor nkey
    login: str
    secret: str = field(repr=False, default="")
    permissions: Any = None
    connection_types: tuple[str, ...] = ()
    proxy_required: bool = False
    unknown: Tree = field(default_factory=dict)


def keyed(tree: Any, spellings: Mapping[str, str], what: str) -> tuple[Tree, Tree]:
    """Return the entries of a map under their usual keys, and those that are not known.

    Of several spellings of one key the server takes any; so the first is as good as another.
    """
    if not isinstance(tree, Mapping):
        raise InvalidValue(f"{what} must be a map.")
    known: Tree = {}
    unknown: Tree = {}
    for key, value in tree.items():
        usual = spellings.get(key) or spellings.get(key.lower())
        if usual is None:
            unknown[key] = value
        else:
            known.setdefault(usual, value)
    return known, unknown


def entry(value: Any) -> Entry:
    """Return one entry of `users`."""
    known, unknown = keyed(value, USER, "User")
    nkey, name = _text(known, "nkey"), _text(known, "user")
    types = tuple(sorted({_connection_type(each) for each in _texts(known.get("allowed_connection_types", ()))}))
    more: Tree = {
        "permissions": known.get("permissions"),
        "connection_types": types,
        "proxy_required": known.get("proxy_required") is True,
        "unknown": unknown,
    }
    if nkey:
        return Entry("nkey", nkey, **more)
    if not name:
        raise InvalidValue("User has neither a name nor an nkey.")
    if "password" in known:
        return Entry("password", name, _text(known, "password"), **more)
    return Entry("name", name, **more)


def login(value: Any) -> str:
    """Return what tells an entry of `users` from the others, "" when it has nothing of the kind."""
    if not isinstance(value, Mapping):
        return ""
    found = value.get("nkey") or value.get("user")
    if found is None:
        known, _ = keyed(value, USER, "User")
        found = known.get("nkey") or known.get("user")
    return found if isinstance(found, str) else ""


def rights(permissions: Any) -> Rights:
    """Return the meaning of a `permissions` block; None is no block."""
    if permissions is None:
        return EVERYTHING
    known, unknown = keyed(permissions, _PERMISSIONS, "Permissions")
    _nothing_else(unknown, "permissions")
    responses = _responses(known.get("allow_responses", False))
    publish = _direction(known.get("publish"))
    if responses is not None and publish.allow == (">",) and not _says(known.get("publish"), "allow"):
        publish = Direction(())  # replies switch the blanket right off
    subscribe = _direction(known.get("subscribe"))
    plain = [subject.split()[0] for subject in subscribe.allow]
    closing = set(below_stars(plain))
    denied = [subject for subject in subscribe.deny if " " not in subject]
    opened = {
        f"{subject[:-1]}>"
        for subject in plain
        if subject.split(".")[-1] == "*"
        and not any(subjects.covers(other, f"{subject[:-1]}>") for other in plain)
        and not any(subjects.covers(other, f"{subject}.>") for other in denied)
    }
    deny = tuple(subject for subject in subscribe.deny if subject not in closing)
    return Rights(publish, Direction(subscribe.allow, deny, tuple(sorted(opened))), responses)


def unnamed(permissions: Any, meaning: Rights) -> Literal["publish", "subscribe", ""]:
    """Return the action that a block leaves wide open by not naming it, while it limits the other."""
    known, _ = keyed(permissions, _PERMISSIONS, "Permissions")
    if "publish" not in known and meaning.publish == Direction() and meaning.subscribe.allow != (">",):
        return "publish"
    if "subscribe" not in known and meaning.subscribe == Direction() and meaning.publish.allow != (">",):
        return "subscribe"
    return ""


def rules(meaning: Rights) -> tuple[RuleSpec, ...]:
    """Return the rows that say the same."""
    found = []
    for action, direction in (("publish", meaning.publish), ("subscribe", meaning.subscribe)):
        for effect, listed in (("allow", direction.allow), ("deny", direction.deny)):
            for text in listed:
                subject, _, queue = text.partition(" ")
                found.append(RuleSpec(action, effect, subject, queue))  # type: ignore[arg-type]
    return tuple(found)


def limits(value: Any) -> LimitsSpec:
    """Return the limits of an account."""
    known, unknown = keyed(value, _LIMITS, "Limits")
    _nothing_else(unknown, "limits")
    return LimitsSpec(**{key: _number(known, key) for key in known})


def jetstream(value: Any) -> JetStreamSpec | None:
    """Return the JetStream of an account, None when it is off."""
    if isinstance(value, str) and value.lower() in ("enabled", "enable", "disabled", "disable"):
        value = value.lower().startswith("enable")
    if isinstance(value, bool):
        return JetStreamSpec() if value else None
    known, unknown = keyed(value, _JETSTREAM, "JetStream")
    _nothing_else(unknown, "JetStream")
    found: Tree = {}
    for key, each in known.items():
        if key == "cluster_traffic":
            found[key] = _text(known, key)
        elif key == "max_bytes_required":
            found[key] = _flag(known, key)
        else:
            found[key] = _number(known, key)
        if each is None:
            raise InvalidValue(f"JetStream {key} is empty.")
    return JetStreamSpec(**found)


def export(value: Any) -> ExportSpec:
    """Return one entry of `exports`. An empty list of accounts is what the server makes of it: public."""
    known, unknown = keyed(value, _EXPORT, "Export")
    _nothing_else(unknown, "export")
    kind, subject = _kind(known, "Export")
    accounts = tuple(sorted(set(_texts(known["accounts"])))) if "accounts" in known else ()
    position = _number(known, "account_token_position") or None
    response = _text(known, "response_type").lower()
    if response not in ("", *_RESPONSE_TYPES):
        raise InvalidValue(f"Response type {subjects.shown(response)} is not known.")
    latency_subject, sampling = _latency(known.get("latency"))
    return ExportSpec(
        kind,
        subject,
        accounts or None,
        position,
        _RESPONSE_TYPES.get(response, ""),
        _text(known, "response_threshold"),
        latency_subject,
        sampling,
        _flag(known, "allow_trace"),
    )


def import_(value: Any) -> ImportSpec:
    """Return one entry of `imports`."""
    known, unknown = keyed(value, _IMPORT, "Import")
    _nothing_else(unknown, "import")
    kind: Literal["stream", "service"] = "stream" if "stream" in known else "service"
    if (kind == "service") != ("service" in known):
        raise InvalidValue("Import is either a stream or a service.")
    source, unknown = keyed(known[kind], _SOURCE, "Import source")
    _nothing_else(unknown, "import source")
    subject, to = _text(source, "subject"), _text(known, "to")
    return ImportSpec(
        kind,
        _text(source, "account"),
        subject,
        "" if to == subject else to,
        _text(known, "prefix").removesuffix("."),
        _flag(known, "share"),
        _flag(known, "allow_trace"),
    )


def mapping(source: str, value: Any) -> MappingSpec:
    """Return one entry of `mappings`."""
    if isinstance(value, str):
        return MappingSpec(source, (DestinationSpec(value),))
    found = []
    for each in value if isinstance(value, list) else [value]:
        known, unknown = keyed(each, _DESTINATION, "Destination")
        _nothing_else(unknown, "destination")
        weight = known.get("weight")
        if isinstance(weight, str) and weight.removesuffix("%").isdigit():
            weight = int(weight.removesuffix("%"))
        if not isinstance(weight, int) or isinstance(weight, bool):
            raise InvalidValue("Destination has no weight.")
        found.append(DestinationSpec(_text(known, "destination"), weight, _text(known, "cluster")))
    return MappingSpec(source, tuple(sorted(found, key=lambda each: (each.cluster, each.subject))))


def _direction(value: Any) -> Direction:
    if value is None:
        return Direction()
    if not isinstance(value, Mapping):
        value = {"allow": value}
    known, unknown = keyed(value, {"allow": "allow", "deny": "deny"}, "Rights of one direction")
    _nothing_else(unknown, "rights of one direction")
    allow, deny = (
        tuple(sorted({" ".join(text.split()) for text in _texts(known.get(key, ()))})) for key in ("allow", "deny")
    )
    if ">" in deny:
        return Direction(())
    return Direction(allow or (">",), deny)


def _says(value: Any, key: str) -> bool:
    """Say whether a direction holds a list of its own that is not empty."""
    if isinstance(value, Mapping):
        value = next((item for name, item in value.items() if name.lower() == key), None)
    return bool(value)


def _responses(value: Any) -> ResponseSpec | None:
    if isinstance(value, bool):
        return ResponseSpec() if value else None
    known, unknown = keyed(value, _RESPONSES, "Responses")
    _nothing_else(unknown, "responses")
    return ResponseSpec(_number(known, "max") or 0, _text(known, "expires"))


def _latency(value: Any) -> tuple[str, str]:
    """Return subject and sampling."""
    if value is None or isinstance(value, str):
        return value or "", ""
    known, _ = keyed(value, _spellings("subject", "sampling"), "Latency")
    sampling = known.get("sampling", "")
    if isinstance(sampling, str):
        sampling = sampling.strip().lower().removesuffix("%")
    return _text(known, "subject"), str(sampling)


def _kind(known: Tree, what: str) -> tuple[Literal["stream", "service"], str]:
    if ("stream" in known) == ("service" in known):
        raise InvalidValue(f"{what} is either a stream or a service.")
    return ("stream", _text(known, "stream")) if "stream" in known else ("service", _text(known, "service"))


def _connection_type(text: str) -> str:
    return text.upper() if text.upper() in CONNECTION_TYPES else text


def _text(known: Tree, key: str) -> str:
    value = known.get(key, "")
    if not isinstance(value, str):
        raise InvalidValue(f"{key} must be text, in quotes when it looks like something else.")
    return value


def _texts(value: Any) -> list[str]:
    found: list[Any] = list(value) if isinstance(value, list | tuple) else [value]
    if not all(isinstance(each, str) for each in found):
        raise InvalidValue("Texts are expected here, one or a list.")
    return found


def _number(known: Tree, key: str) -> int | None:
    value = known.get(key)
    if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
        raise InvalidValue(f"{key} must be a whole number.")
    return value


def _flag(known: Tree, key: str) -> bool | None:
    value = known.get(key)
    if value is not None and not isinstance(value, bool):
        raise InvalidValue(f"{key} must be true or false.")
    return value


def _nothing_else(unknown: Tree, where: str) -> None:
    if unknown:
        raise InvalidValue(f"{subjects.shown(next(iter(unknown)))} is not known in {where}.")
