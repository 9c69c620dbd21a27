"""The document of `nunect apply`: what people keep in Git ⇄ specs of accounts.

Field names are those of the rows. A permission is a line ("allow publish orders.>", "subscribe jobs.* workers")
or a map of its fields. What is wrong is said for all places at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, NamedTuple

from accounts_app.jetstream.reading import KEYS as ASSET_KEYS
from accounts_app.jetstream.reading import read_assets
from accounts_app.jetstream.specs import AssetsSpec
from accounts_app.jetstream.writing import write_assets

from .errors import NatsConfError
from .specs import (
    AccountSpec,
    DestinationSpec,
    ExportSpec,
    ImportSpec,
    JetStreamSpec,
    LimitsSpec,
    MappingSpec,
    ResponseSpec,
    RoleSpec,
    RuleSpec,
    SecretSpec,
    UserSpec,
)

_KINDS = ("nkey", "password", "certificate", "none")
_LIMITS = tuple(each.name for each in fields(LimitsSpec))
_JETSTREAM = tuple(each.name for each in fields(JetStreamSpec))
_ROLE = {"name", "description", "permissions", "allow_responses", "connection_types"}
_USER = {*_ROLE, "credential", "nkey", "password", "password_hash", "certificate"} | {
    "access", "role", "enabled", "expires_at",
}  # fmt: skip
_ACCOUNT = {"name", "description", "owner", "enabled", "default_role", "jetstream", "jetstream_control", *_LIMITS} | {
    "users", "roles", "exports", "imports", "mappings", *ASSET_KEYS,
}  # fmt: skip


class Misfit(NamedTuple):
    """One place of a document that says nothing: where (as "accounts[0].users[2].name") and why."""

    where: str
    sentence: str


class DocumentError(NatsConfError):
    """A document that can't be read, with every place that is wrong."""

    def __init__(self, places: Iterable[Misfit]) -> None:
        self.places = tuple(places)
        super().__init__("; ".join(f"{place.where}: {place.sentence}" for place in self.places))


@dataclass(frozen=True, slots=True)
class Document:
    """What shall be. roles None: the shared roles stay as they are. makes: {user: kind of the credential that
    a new one gets}, where the document gives none. assets: {account: what it keeps in JetStream}; the streams
    of an account that isn't in it stay as they are. owners: {account: user name of a person of nunect}; the owner of
    an account that isn't in it stays."""

    accounts: tuple[AccountSpec, ...] = ()
    roles: tuple[RoleSpec, ...] | None = None
    system: str = ""
    makes: Mapping[str, str] = field(default_factory=dict)
    assets: Mapping[str, AssetsSpec] = field(default_factory=dict)
    owners: Mapping[str, str] = field(default_factory=dict)


def read_document(data: Any) -> Document:
    """The specs that a document (JSON values) says. Raises DocumentError."""
    return _Reader().document(data)


class _Reader:
    def __init__(self) -> None:
        self.places: list[Misfit] = []
        self.makes: dict[str, str] = {}
        self.assets: dict[str, AssetsSpec] = {}
        self.owners: dict[str, str] = {}

    def document(self, data: Any) -> Document:
        top = self._map(data, "", {"system", "accounts", "roles"})
        accounts = tuple(self._each(top, "accounts", "", self._account))
        roles = tuple(self._each(top, "roles", "", self._role)) if top.get("roles") is not None else None
        system = self._text(top, "system", "")
        if not self.places and "accounts" not in top and roles is None:
            self._wrong("accounts", "The document names no accounts and no roles.")
        if self.places:
            raise DocumentError(self.places)
        return Document(accounts, roles, system, self.makes, self.assets, self.owners)

    # --- values ---------------------------------------------------------------

    def _wrong(self, where: str, sentence: str) -> None:
        if len(self.places) < 200:
            self.places.append(Misfit(where or "document", sentence))

    def _map(self, data: Any, at: str, known: set[str]) -> dict[str, Any]:
        if not isinstance(data, Mapping):
            self._wrong(at, "This must be a map.")
            return {}
        for key in data:
            if key not in known:
                self._wrong(_at(at, str(key)), "There is no such field.")
        return {str(key): value for key, value in data.items() if key in known}

    def _each(self, data: Mapping[str, Any], key: str, at: str, read: Callable[[Any, str], Any]) -> list[Any]:
        values, here = data.get(key), _at(at, key)
        if values is None:
            return []
        if not isinstance(values, list):
            self._wrong(here, "This must be a list.")
            return []
        return [read(value, f"{here}[{number}]") for number, value in enumerate(values)]

    def _text(self, data: Mapping[str, Any], key: str, at: str, *, needed: bool = False) -> str:
        value = data.get(key)
        if value is None or value == "":
            if needed:
                self._wrong(_at(at, key), "This field is required.")
            return ""
        if not isinstance(value, str):
            self._wrong(_at(at, key), "This must be text.")
            return ""
        return value

    def _flag(self, data: Mapping[str, Any], key: str, at: str, default: bool | None) -> Any:
        value = data.get(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            self._wrong(_at(at, key), "This must be true or false.")
            return default
        return value

    def _number(self, data: Mapping[str, Any], key: str, at: str) -> int | None:
        value = data.get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or value < -1:
            self._wrong(_at(at, key), "This must be a whole number, -1 for no limit.")
            return None
        return value

    def _texts(self, data: Mapping[str, Any], key: str, at: str) -> tuple[str, ...]:
        def text(value: Any, here: str) -> str:
            if not isinstance(value, str):
                self._wrong(here, "This must be text.")
                return ""
            return value

        return tuple(self._each(data, key, at, text))

    def _choice(self, data: Mapping[str, Any], key: str, at: str, choices: tuple[str, ...]) -> str:
        value = self._text(data, key, at, needed=True)
        if value and value not in choices:
            self._wrong(_at(at, key), f"This must be one of {', '.join(choices)}.")
        return value

    # --- rows -----------------------------------------------------------------

    def _account(self, data: Any, at: str) -> AccountSpec:
        found = self._map(data, at, _ACCOUNT)
        jetstream = None
        if found.get("jetstream") not in (None, False):
            limits = {} if found["jetstream"] is True else found["jetstream"]
            jetstream = self._jetstream(limits, _at(at, "jetstream"))
        name = self._text(found, "name", at, needed=True)
        self._assets(name, found, at, keeps=jetstream is not None)
        if owner := self._text(found, "owner", at):
            self.owners[name] = owner
        return AccountSpec(
            name,
            tuple(self._each(found, "users", at, self._user)),
            tuple(self._each(found, "roles", at, self._role)),
            self._text(found, "default_role", at),
            LimitsSpec(**{name: self._number(found, name, at) for name in _LIMITS}),
            jetstream,
            tuple(self._each(found, "exports", at, self._export)),
            tuple(self._each(found, "imports", at, self._import)),
            tuple(self._each(found, "mappings", at, self._mapping)),
            enabled=self._flag(found, "enabled", at, True),
            description=self._text(found, "description", at),
            jetstream_control=self._flag(found, "jetstream_control", at, True),
        )

    def _assets(self, name: str, found: Mapping[str, Any], at: str, *, keeps: bool) -> None:
        """keeps: the account has JetStream."""
        specs = read_assets(found, at, self._wrong)
        if specs is None:
            return
        self.assets[name] = specs
        if specs and not keeps:
            self._wrong(_at(at, "jetstream"), "An account that keeps streams needs JetStream.")
        elif specs and found.get("jetstream_control") is False:
            self._wrong(_at(at, "jetstream_control"), "nunect manages streams only where it is shown them.")

    def _jetstream(self, data: Any, at: str) -> JetStreamSpec:
        found = self._map(data, at, set(_JETSTREAM))
        numbers = [name for name in _JETSTREAM if name not in ("max_bytes_required", "cluster_traffic")]
        return JetStreamSpec(
            **{name: self._number(found, name, at) for name in numbers},
            max_bytes_required=self._flag(found, "max_bytes_required", at, None),
            cluster_traffic=self._text(found, "cluster_traffic", at),
        )

    def _role(self, data: Any, at: str) -> RoleSpec:
        found = self._map(data, at, _ROLE)
        return RoleSpec(
            self._text(found, "name", at, needed=True),
            tuple(self._each(found, "permissions", at, self._rule)),
            self._responses(found, at),
            self._texts(found, "connection_types", at),
            self._text(found, "description", at),
        )

    def _user(self, data: Any, at: str) -> UserSpec:
        found = self._map(data, at, _USER)
        name, role = self._text(found, "name", at, needed=True), self._text(found, "role", at)
        access = self._text(found, "access", at) or ("role" if role else "own")
        return UserSpec(
            name,
            self._secret(found, name, at),
            access,  # type: ignore[arg-type]
            role,
            tuple(self._each(found, "permissions", at, self._rule)),
            self._responses(found, at),
            self._texts(found, "connection_types", at),
            enabled=self._flag(found, "enabled", at, True),
            description=self._text(found, "description", at),
            expires=self._text(found, "expires_at", at),
        )

    def _secret(self, found: Mapping[str, Any], name: str, at: str) -> SecretSpec:
        given = {key: self._text(found, key, at) for key in ("nkey", "password", "password_hash", "certificate")}
        held = [key for key, value in given.items() if value]
        if len(held) > 1:
            self._wrong(_at(at, held[1]), f"A user has one credential; {held[0]} is given, too.")
        kind = self._text(found, "credential", at) or (held[0].removesuffix("_hash") if held else "nkey")
        if kind not in _KINDS:
            self._wrong(_at(at, "credential"), f"This must be one of {', '.join(_KINDS)}.")
        elif held and held[0].removesuffix("_hash") != kind:
            self._wrong(_at(at, "credential"), f"{kind} doesn't go with {held[0]}.")
        elif kind == "certificate" and not held:
            self._wrong(_at(at, "certificate"), "Say whose certificate it is.")
        elif not held and kind != "none":
            self.makes[name] = kind
        if not held or kind == "none":
            return SecretSpec("none")
        return SecretSpec(kind, given[held[0]], plain=held[0] == "password")  # type: ignore[arg-type]

    def _responses(self, found: Mapping[str, Any], at: str) -> ResponseSpec | None:
        value, here = found.get("allow_responses"), _at(at, "allow_responses")
        if value in (None, False):
            return None
        if value is True:
            return ResponseSpec()
        limits = self._map(value, here, {"max", "expires"})
        count = limits.get("max", 0)
        if isinstance(count, bool) or not isinstance(count, int):
            self._wrong(_at(here, "max"), "This must be a whole number.")
            count = 0
        return ResponseSpec(count, self._text(limits, "expires", here))

    def _rule(self, data: Any, at: str) -> RuleSpec:
        if isinstance(data, str):
            words = data.split()
            effect = words.pop(0) if words and words[0] in ("allow", "deny") else "allow"
            if len(words) not in (2, 3) or words[0] not in ("publish", "subscribe"):
                self._wrong(at, "A permission reads like “allow publish orders.>” or “deny subscribe a.* queue”.")
                return RuleSpec("publish", "deny", ">")
            return RuleSpec(words[0], effect, *words[1:])  # type: ignore[arg-type]
        found = self._map(data, at, {"action", "effect", "subject", "queue"})
        return RuleSpec(
            self._choice(found, "action", at, ("publish", "subscribe")),  # type: ignore[arg-type]
            self._choice({"effect": "allow", **found}, "effect", at, ("allow", "deny")),  # type: ignore[arg-type]
            self._text(found, "subject", at, needed=True),
            self._text(found, "queue", at),
        )

    def _export(self, data: Any, at: str) -> ExportSpec:
        found = self._map(data, at, {each.name for each in fields(ExportSpec)})
        kind = self._choice(found, "kind", at, ("stream", "service"))
        return ExportSpec(
            kind,  # type: ignore[arg-type]
            self._text(found, "subject", at, needed=True),
            self._texts(found, "accounts", at) if found.get("accounts") is not None else None,
            self._number(found, "account_token_position", at),
            response_type=self._text(found, "response_type", at),
            response_threshold=self._text(found, "response_threshold", at),
            latency_subject=self._text(found, "latency_subject", at),
            latency_sampling=self._text(found, "latency_sampling", at),
            allow_trace=self._flag(found, "allow_trace", at, None),
        )

    def _import(self, data: Any, at: str) -> ImportSpec:
        found = self._map(data, at, {each.name for each in fields(ImportSpec)})
        return ImportSpec(
            self._choice(found, "kind", at, ("stream", "service")),  # type: ignore[arg-type]
            self._text(found, "account", at, needed=True),
            self._text(found, "subject", at, needed=True),
            self._text(found, "to", at),
            self._text(found, "prefix", at),
            self._flag(found, "share", at, None),
            self._flag(found, "allow_trace", at, None),
        )

    def _mapping(self, data: Any, at: str) -> MappingSpec:
        found = self._map(data, at, {"source", "destinations"})
        source = self._text(found, "source", at, needed=True)
        return MappingSpec(source, tuple(self._each(found, "destinations", at, self._destination)))

    def _destination(self, data: Any, at: str) -> DestinationSpec:
        if isinstance(data, str):
            return DestinationSpec(data)
        found = self._map(data, at, {"subject", "weight", "cluster"})
        weight = self._number({"weight": 100, **found}, "weight", at)
        return DestinationSpec(
            self._text(found, "subject", at, needed=True),
            100 if weight is None else weight,
            self._text(found, "cluster", at),
        )


def write_document(
    accounts: Iterable[AccountSpec],
    roles: Iterable[RoleSpec] = (),
    *,
    secrets: bool = False,
    assets: Mapping[str, AssetsSpec] | None = None,
    owners: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """The document that says these specs, fields at their defaults left out; `read_document` reads it back.

    secrets: with password hashes and public nkeys. Without them the document keeps what a user of the same name
    has. assets: {account: what it keeps in JetStream}; owners: {account: user name of its owner}.
    """
    shared, kept, owned = [_role(role) for role in roles], assets or {}, owners or {}
    written: dict[str, Any] = {
        "accounts": [
            {
                **_account(spec, secrets, owned.get(spec.name, "")),
                **(write_assets(kept[spec.name]) if spec.name in kept else {}),
            }
            for spec in accounts
        ]
    }
    return {"roles": shared, **written} if shared else written


def _account(spec: AccountSpec, secrets: bool, owner: str) -> dict[str, Any]:
    jetstream = None if spec.jetstream is None else _told(spec.jetstream)
    return _less(
        name=spec.name,
        description=spec.description,
        owner=owner,
        enabled=None if spec.enabled else False,
        default_role=spec.default_role,
        **_told(spec.limits),
        **({} if jetstream is None else {"jetstream": jetstream or True}),
        jetstream_control=None if spec.jetstream_control else False,
        roles=[_role(role) for role in spec.roles],
        users=[_user(user, secrets) for user in spec.users],
        exports=[_export(export) for export in spec.exports],
        imports=[_told(each) for each in spec.imports],
        mappings=[_mapping(mapping) for mapping in spec.mappings],
    )


def _role(role: RoleSpec) -> dict[str, Any]:
    return _less(name=role.name, description=role.description, **_rights(role))


def _rights(holder: RoleSpec | UserSpec) -> dict[str, Any]:
    responses = None if holder.responses is None else _told(holder.responses) or True
    return {
        "permissions": [" ".join(filter(None, (r.effect, r.action, r.subject, r.queue))) for r in holder.rules],
        "allow_responses": responses,
        "connection_types": list(holder.connection_types),
    }


def _user(user: UserSpec, secrets: bool) -> dict[str, Any]:
    kind = user.secret.kind
    secret: dict[str, Any] = {}
    if kind == "certificate":
        secret = {kind: user.secret.identity}
    elif kind == "password":
        secret = {"password_hash": user.secret.identity} if secrets else {"credential": kind}
    elif kind == "nkey":
        secret = {kind: user.secret.identity} if secrets else {"credential": kind}
    return _less(
        name=user.name,
        description=user.description,
        enabled=None if user.enabled else False,
        expires_at=user.expires,
        **(secret or {"credential": "none"}),
        access=user.access if user.access in ("inherit", "all") else None,
        role=user.role,
        **_rights(user),
    )


def _export(export: ExportSpec) -> dict[str, Any]:
    told = _told(export)
    return told if export.accounts is None else {**told, "accounts": list(export.accounts)}


def _mapping(mapping: MappingSpec) -> dict[str, Any]:
    return {"source": mapping.source, "destinations": [_told(each) for each in mapping.destinations]}


def _told(spec: Any) -> dict[str, Any]:
    """The fields of a spec that are not at their defaults."""
    return {
        each.name: value
        for each in fields(spec)
        if (value := getattr(spec, each.name)) != each.default or each.default is MISSING
    }


def _less(**values: Any) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value not in (None, "", [])}


def _at(at: str, key: str) -> str:
    return f"{at}.{key}" if at else key
