"""One account's rows → the plain tree that the server's parser would make of its block.

Each trap of the server's reading is closed here: an empty or missing list opens a direction
(`server/opts.go` parseUserPermissions, measured), so both directions are always written, and
"nothing" is `deny: [">"]`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from . import names, nkeys, subjects
from .errors import NatsConfError
from .kept import Entries
from .specs import (
    AccountSpec,
    Action,
    ExportSpec,
    IdentitySpec,
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
from .subjects import InvalidValue, shown

Tree = dict[str, Any]

CLOSED: Tree = {"publish": {"deny": [">"]}, "subscribe": {"deny": [">"]}}
OPEN: Tree = {"publish": {"allow": [">"]}, "subscribe": {"allow": [">"]}}
AUTHORIZATION_TIMEOUT_S = 2

_READABLE = ("ACCOUNTZ", "CONNZ", "GATEWAYZ", "HEALTHZ", "IDZ", "IPQUEUESZ", "JSZ", "LEAFZ", "RAFTZ")
_READABLE_TOO = ("ROUTEZ", "STATSZ", "SUBSZ", "VARZ")
_READABLE_ACCOUNT = ("CONNS", "CONNZ", "INFO", "JSZ", "LEAFZ", "STATZ", "SUBSZ")

CONTROL_INBOX = "_INBOX_nunect"
RELAY_INBOX = "_INBOX_relay"
CONTROL_PERMISSIONS: Tree = {
    "publish": {"allow": ["$JS.API.ACCOUNT.PURGE.*", "$SYS.REQ.>"]},
    "subscribe": {"allow": [f"{CONTROL_INBOX}.>"]},
}
RELAY_PERMISSIONS: Tree = {
    "publish": {
        "allow": [
            *(f"$SYS.REQ.ACCOUNT.*.{word}" for word in _READABLE_ACCOUNT),
            *(f"$SYS.REQ.SERVER.*.{word}" for word in (*_READABLE, *_READABLE_TOO)),
            "$SYS.REQ.SERVER.PING",
            "$SYS.REQ.SERVER.PING.>",
        ],
        # a profile stops the server for seconds, EXPVARZ shows its command line
        "deny": ["$SYS.REQ.SERVER.*.EXPVARZ", "$SYS.REQ.SERVER.*.PROFILEZ"],
    },
    "subscribe": {
        "allow": [
            "$SYS.ACCOUNT.*.CONNECT",
            "$SYS.ACCOUNT.*.DISCONNECT",
            "$SYS.ACCOUNT.*.SERVER.CONNS",
            "$SYS.SERVER.>",
            f"{RELAY_INBOX}.>",
        ]
    },
}


class RenderError(NatsConfError):
    """Rows that must not become a conf; nothing of the account is rendered.

    account: its name; where: the row, such as `user "a"`; reason: one sentence.
    """

    def __init__(self, account: str, where: str, reason: str) -> None:
        super().__init__(f"Account {shown(account)}, {where}: {reason}")
        self.account = account
        self.where = where
        self.reason = reason


def account_tree(
    spec: AccountSpec,
    shared_roles: Iterable[RoleSpec] = (),
    identity: IdentitySpec | None = None,
    present: Collection[str] | None = None,
    kept: Entries | None = None,
) -> Tree:
    """Return the tree of `spec`: its entry in `accounts`, for "$G" that of `authorization`.

    shared_roles: the system's roles, known as "*/name". identity: with it the system account
    gets nunect's own users and "$G" the guard. present: names of the accounts that are rendered;
    an export is not offered to others, since the server refuses unknown names (None: all are).
    kept: where users' entries come from and go to, for the next time.
    Raises RenderError for the first row that must not be rendered.
    """
    system = identity is not None and spec.name == identity.system_account
    kept = Entries() if kept is None else kept
    if spec.name == names.GLOBAL_ACCOUNT:
        return _global_tree(spec, shared_roles, identity, kept)
    _checked(spec.name, "name", partial(names.check_account_name, spec.name, system))
    users, default = _users(spec, shared_roles, kept)
    if system and identity is not None:
        users += _own_users(identity)
    _check_logins(spec.name, users)
    tree: Tree = {}
    if spec.jetstream is not None:
        if system:
            raise RenderError(spec.name, "JetStream", "The system account can't have JetStream.")
        tree["jetstream"] = _jetstream(spec.name, spec.jetstream)
    if limits := _limits(spec.name, spec.limits):
        tree["limits"] = limits
    if default is not None:
        tree["default_permissions"] = default
    if users:
        tree["users"] = users
    if exports := _exports(spec, present):
        tree["exports"] = exports
    if imports := _imports(spec):
        tree["imports"] = imports
    if mappings := _mappings(spec):
        tree["mappings"] = mappings
    return tree


def permissions_tree(rules: Iterable[RuleSpec], responses: ResponseSpec | None = None) -> Tree | None:
    """Return the `permissions` that mean exactly `rules`; None when they allow everything.

    Least privilege: a direction without an allow rule allows nothing, deny rules only subtract.
    Replies (`allow_responses`) stay possible where publishing is denied (`server/client.go`
    pubAllowedFullCheck, measured).
    """
    rules = list(rules)
    tree: Tree = {"publish": _direction(rules, "publish"), "subscribe": _direction(rules, "subscribe")}
    if responses is not None:
        tree["allow_responses"] = _responses(responses)
    return None if tree == OPEN else tree


def listed_accounts(spec: AccountSpec) -> frozenset[str]:
    """Return the accounts that the exports of `spec` name: when one of them appears or goes,
    `spec` has to be rendered again."""
    return frozenset(name for export in spec.exports for name in export.accounts or ())


def certificate_users(tree: Tree) -> list[str]:
    """Return the users of a rendered tree that are known by their certificate alone.

    Without `verify_and_map` in the main file anybody may log in as one of them with an empty
    password, so a run must not write them then.
    """
    return [user["user"] for user in tree.get("users", ()) if "user" in user and "password" not in user]


def logins(tree: Mapping[str, Any] | None) -> set[str]:
    """Return the names and public nkeys by which the users of an account's tree sign in."""
    users = (tree or {}).get("users") or []
    return {user.get("nkey") or user.get("user") or "" for user in users}


def _global_tree(
    spec: AccountSpec, shared_roles: Iterable[RoleSpec], identity: IdentitySpec | None, kept: Entries
) -> Tree:
    for field, value in (
        ("JetStream", spec.jetstream),
        ("exports", spec.exports),
        ("imports", spec.imports),
        ("mappings", spec.mappings),
        ("limits", spec.limits != LimitsSpec()),
    ):
        if value:
            raise RenderError(spec.name, field, 'Users of "$G" belong to no account; they only have rights.')
    users, default = _users(spec, shared_roles, kept)
    guard: list[Tree] = []
    if identity is not None:  # nobody has its seed; should somebody, it may do nothing
        guard = [{"nkey": _key(identity.guard, "guard"), "permissions": CLOSED}]
    tree: Tree = {"timeout": AUTHORIZATION_TIMEOUT_S}
    if default is not None:
        tree["default_permissions"] = default
    tree["users"] = guard + users
    _check_logins(spec.name, tree["users"])
    return tree


# Users


def _users(spec: AccountSpec, shared_roles: Iterable[RoleSpec], kept: Entries) -> tuple[list[Tree], Tree | None]:
    """Return the entries of `users` in order, and `default_permissions` (None: not written)."""
    roles = _Roles(spec, shared_roles)
    default: Tree | None = None
    default_role = roles.get(spec.default_role, "default role") if spec.default_role else None
    if default_role is not None and not roles.differs(default_role):
        default = roles.permissions(default_role, "")
    entries: list[Tree] = []
    last = None
    for user in sorted(spec.users, key=lambda user: user.name):
        if user.name == last:
            raise RenderError(spec.name, f"user {shown(user.name)}", "Two users have this name.")
        last = user.name
        secrets = [user.secret, *([user.retiring] if user.retiring else [])]
        secrets = [secret for secret in secrets if secret.kind != "none"]
        if not user.enabled or not secrets:
            continue
        try:
            entries += kept.of(user, _entries(user, secrets, roles, default_role, default))
        except InvalidValue as exc:
            raise RenderError(spec.name, f"user {shown(user.name)}", str(exc)) from exc
    return entries, default


def _entries(
    user: UserSpec,
    secrets: Sequence[SecretSpec],
    roles: _Roles,
    default_role: RoleSpec | None,
    default: Tree | None,
) -> Iterator[Tree]:
    """Yield one entry for each secret of `user`, all with the same rights."""
    names.check_user_name(user.name)
    if user.retiring is not None and user.secret.kind != "none":
        names.check_retiring(user.name, user.secret, user.retiring)
    rights: Tree = {}
    role: RoleSpec | None = None
    permissions: Tree | None = None
    if user.access == "own":
        permissions = permissions_tree(_own_rules(user.rules), user.responses)
    elif user.access == "role":
        role = roles.get(user.role, f"user {shown(user.name)}")
        permissions = roles.permissions(role, user.name)
    elif user.access == "inherit":
        role = default_role
        if role is not None and default is None:
            permissions = roles.permissions(role, user.name)
    elif user.access != "all":
        raise InvalidValue(f"Access {shown(user.access)} is not known.", user.access)
    if permissions is not None:
        rights["permissions"] = permissions
    elif default is not None and user.access != "inherit":
        rights["permissions"] = OPEN
    if types := _connection_types(user, role):
        rights["allowed_connection_types"] = list(types)
    for secret in secrets:
        names.check_secret(secret)
        yield {**_credential(user.name, secret), **rights}


def _credential(name: str, secret: SecretSpec) -> Tree:
    if secret.kind == "nkey":
        return {"nkey": secret.identity}
    if secret.kind == "certificate":
        return {"user": secret.identity}
    return {"user": name, "password": secret.identity}


def _connection_types(user: UserSpec, role: RoleSpec | None) -> tuple[str, ...]:
    """Return what both the user and its role allow; an empty list is no restriction."""
    own = names.check_connection_types(user.connection_types)
    of_role = names.check_connection_types(role.connection_types) if role else ()
    if not own or not of_role:
        return own or of_role
    both = tuple(name for name in own if name in of_role)
    if not both:
        raise InvalidValue(
            f"No connection type is left: the user allows {', '.join(own)}, "
            f"its role {', '.join(of_role)}; an empty list would allow all."
        )
    return both


def _own_rules(rules: Iterable[RuleSpec]) -> Iterable[RuleSpec]:
    for rule in rules:
        _check_rule(rule)
        subjects.check_subject(rule.subject)
    return rules


def _check_rule(rule: RuleSpec) -> None:
    if rule.action not in ("publish", "subscribe"):
        raise InvalidValue(f"Action {shown(rule.action)} is not known.", rule.action)
    if rule.effect not in ("allow", "deny"):
        raise InvalidValue(f"Effect {shown(rule.effect)} is not known.", rule.effect)
    if rule.queue:
        if rule.action == "publish":
            raise InvalidValue(f"A right to publish has no queue, but {shown(rule.subject)} names one.")
        names.check_queue(rule.queue)


def _direction(rules: Sequence[RuleSpec], action: Action) -> Tree:
    """Return `{allow, deny}` of one direction."""
    allow = sorted({_subject(r) for r in rules if r.action == action and r.effect == "allow"})
    if not allow:
        return {"deny": [">"]}
    denied = {_subject(r) for r in rules if r.action == action and r.effect == "deny"}
    if action == "subscribe":
        denied.update(below_stars([subject.split(" ")[0] for subject in allow]))
    deny = sorted(denied)
    return {"allow": allow, "deny": deny} if deny else {"allow": allow}


def below_stars(allow: Collection[str]) -> Iterator[str]:
    """Yield what has to be denied so that the subscriptions allowed are no wider than they say.

    The server lets who may subscribe `a.*` subscribe `a.>` too and delivers all below (measured
    on 2.15.1: it looks the `>` up as if it were a word). Denying `a.*.>` keeps that away at
    delivery. Where another right reaches below, nothing can be denied: see `open_stars`.
    """
    for subject in allow:
        if subject.split(".")[-1] == "*":
            below = f"{subject}.>"
            if not any(subjects.overlaps(below, other) for other in allow):
                yield below


def open_stars(allow: Collection[str]) -> list[str]:
    """Return the `a.>` that the server opens for an allowed `a.*` and that can't be denied, since
    another right reaches a part of it."""
    found = []
    for subject in allow:
        if subject.split(".")[-1] == "*":
            below, opened = f"{subject}.>", f"{subject[:-1]}>"
            covered = any(subjects.covers(other, opened) for other in allow)
            if not covered and any(subjects.overlaps(below, other) for other in allow):
                found.append(opened)
    return sorted(set(found))


def _subject(rule: RuleSpec) -> str:
    return f"{rule.subject} {rule.queue}" if rule.queue else rule.subject


def _responses(responses: ResponseSpec) -> bool | Tree:
    tree: Tree = {}
    if responses.max:
        if abs(responses.max) > names.MAX_INT32:
            raise InvalidValue(f"{responses.max} responses are too many; {names.MAX_INT32} are possible.")
        tree["max"] = responses.max
    if responses.expires:
        tree["expires"] = names.check_duration(responses.expires, "Time for responses", negative=True)
    return tree or True


class _Roles:
    """The roles that users of one account may have, and their permissions, made once each."""

    def __init__(self, spec: AccountSpec, shared: Iterable[RoleSpec]) -> None:
        self.account = spec.name
        self._roles: dict[str, RoleSpec] = {}
        for role in spec.roles:
            self._add(role.name, role)
        self._shared = shared
        self._shared_read = False
        self._made: dict[str, Tree | None] = {}
        self._differs: dict[int, bool] = {}

    def _add(self, key: str, role: RoleSpec) -> None:
        if key in self._roles:
            raise RenderError(self.account, f"role {shown(key)}", "Two roles have this name.")
        self._roles[key] = role

    def get(self, name: str, where: str) -> RoleSpec:
        """Return the role called `name`; "*/name" is one of the system."""
        if name.startswith("*/") and not self._shared_read:
            self._shared_read = True
            for role in self._shared:
                self._add(f"*/{role.name}", role)
        if name not in self._roles:
            raise RenderError(self.account, where, f"Role {shown(name)} does not exist.")
        return self._roles[name]

    def differs(self, role: RoleSpec) -> bool:
        """Say whether `role` means something else for each user."""
        if id(role) not in self._differs:
            self._differs[id(role)] = any(subjects.names_user(rule.subject) for rule in role.rules)
        return self._differs[id(role)]

    def permissions(self, role: RoleSpec, user: str) -> Tree | None:
        """Return the permissions of a `user` in `role`, None for everything."""
        key = f"{id(role)}/{user if self.differs(role) else ''}"
        if key not in self._made:
            try:
                self._made[key] = self._make(role, user)
            except InvalidValue as exc:
                raise RenderError(self.account, f"role {shown(role.name)}", str(exc)) from exc
        return self._made[key]

    def _make(self, role: RoleSpec, user: str) -> Tree | None:
        rules = []
        for rule in role.rules:
            _check_rule(rule)
            subject = rule.subject
            if subjects.is_template(subject):
                subject = subjects.expand(subject, user, self.account)
            else:
                subjects.check_subject(subject)
            rules.append(RuleSpec(rule.action, rule.effect, subject, rule.queue))
        return permissions_tree(rules, role.responses)


def _check_logins(account: str, entries: Iterable[Tree]) -> None:
    seen = set()
    for entry in entries:
        login = entry.get("nkey") or entry["user"]
        if login in seen:
            raise RenderError(account, f"user {shown(login)}", "Two users log in under this name or key.")
        seen.add(login)


def _own_users(identity: IdentitySpec) -> list[Tree]:
    return [
        {"nkey": _key(identity.control, "control"), "permissions": CONTROL_PERMISSIONS},
        {"nkey": _key(identity.relay, "relay"), "permissions": RELAY_PERMISSIONS},
    ]


def _key(text: str, what: str) -> str:
    try:
        nkeys.decode_public(text, "U")
    except InvalidValue as exc:
        raise RenderError("", f"nunect's own {what} key", str(exc)) from exc
    return text


# Limits, exports, imports, mappings


def _limits(account: str, limits: LimitsSpec) -> Tree:
    _checked(account, "limits", partial(names.check_limits, limits))
    return _set_values(
        max_connections=limits.max_connections,
        max_subscriptions=limits.max_subscriptions,
        max_payload=limits.max_payload,
        max_leafnodes=limits.max_leafnodes,
    )


def _jetstream(account: str, jetstream: JetStreamSpec) -> bool | Tree:
    _checked(account, "JetStream", partial(names.check_jetstream, jetstream))
    tree = _set_values(
        max_mem=jetstream.max_mem,
        max_file=jetstream.max_file,
        max_streams=jetstream.max_streams,
        max_consumers=jetstream.max_consumers,
        max_ack_pending=jetstream.max_ack_pending,
        mem_max_stream_bytes=jetstream.mem_max_stream_bytes,
        disk_max_stream_bytes=jetstream.disk_max_stream_bytes,
        max_bytes_required=jetstream.max_bytes_required,
        cluster_traffic=jetstream.cluster_traffic or None,
    )
    return tree or True


def _exports(spec: AccountSpec, present: Collection[str] | None) -> list[Tree]:
    entries = []
    seen = set()
    for export in sorted(spec.exports, key=lambda e: (e.kind, e.subject)):
        where = f"export {shown(export.subject)}"
        if (export.kind, export.subject) in seen:
            raise RenderError(spec.name, where, f"The {export.kind} is exported twice.")
        seen.add((export.kind, export.subject))
        _checked(spec.name, where, partial(_check_export, export, spec.exports))
        allowed = export.accounts
        if allowed is not None:
            allowed = tuple(sorted({name for name in allowed if present is None or name in present}))
            if not allowed:
                continue  # an empty list would make it public (server/opts.go, measured)
        entries.append(_export(export, allowed))
    return entries


def _export(export: ExportSpec, allowed: tuple[str, ...] | None) -> Tree:
    latency: str | Tree | None = export.latency_subject or None
    if latency and export.latency_sampling:
        sampling = export.latency_sampling
        latency = {"sampling": sampling if sampling == "headers" else int(sampling), "subject": latency}
    return {
        export.kind: export.subject,
        **_set_values(
            accounts=list(allowed) if allowed is not None else None,
            account_token_position=export.account_token_position,
            response_type=export.response_type or None,
            response_threshold=export.response_threshold or None,
            latency=latency,
            allow_trace=export.allow_trace,
        ),
    }


def _check_export(export: ExportSpec, others: Iterable[ExportSpec]) -> None:
    subjects.check_subject(export.subject)
    _check_kind(export.kind)
    for name in export.accounts or ():
        names.check_account_name(name, system=True)
    position = export.account_token_position
    if position is not None:
        parts = subjects.tokens(export.subject)
        if not 1 <= position <= len(parts) or parts[position - 1] != "*":
            raise InvalidValue(f'Account token position {position} is not a "*" of {shown(export.subject)}.')
        if export.accounts is not None:
            raise InvalidValue(
                "An account token position and a list of accounts are set; the server would ignore the list."
            )
    if export.kind == "stream":
        if export.response_type or export.response_threshold or export.latency_subject:
            raise InvalidValue("Response type, response threshold and latency are for services only.")
        if export.allow_trace is not None:
            raise InvalidValue("Tracing is allowed at the export of a service, or at the import of a stream.")
    if export.response_type not in ("", "single", "stream", "chunked"):
        raise InvalidValue(f"Response type {shown(export.response_type)} is not known.")
    if export.response_threshold:
        names.check_duration(export.response_threshold, "Response threshold")
    if export.latency_sampling and not export.latency_subject:
        raise InvalidValue("Latency is sampled, but no subject says where the samples go.")
    if export.latency_subject:
        _check_latency(export, others)


def _check_latency(export: ExportSpec, others: Iterable[ExportSpec]) -> None:
    subjects.check_subject(export.latency_subject, wildcards=False, what="Latency subject")
    if export.response_type not in ("", "single"):
        raise InvalidValue("Latency is measured for services with a single response only.")
    for other in others:
        if other.kind == "service" and subjects.covers(other.subject, export.latency_subject):
            raise InvalidValue(f"Latency subject {shown(export.latency_subject)} is itself exported as a service.")
    sampling = export.latency_sampling
    if sampling and sampling != "headers" and not (sampling.isascii() and sampling.isdigit()):
        raise InvalidValue(f'Latency sampling {shown(sampling)} is neither "headers" nor a percentage.')
    if sampling and sampling != "headers" and not 1 <= int(sampling) <= 100:
        raise InvalidValue(f"Latency sampling is {sampling} percent; 1 to 100 are possible.")


def _imports(spec: AccountSpec) -> list[Tree]:
    entries = []
    seen = set()
    for each in sorted(spec.imports, key=lambda i: (i.kind, i.account, i.subject, i.to, i.prefix)):
        where = f"import {shown(each.subject)} from {shown(each.account)}"
        _checked(spec.name, where, partial(_check_import, each, spec.name))
        # what the server tells imports of one account apart by
        key = (each.kind, each.account, each.subject if each.kind == "stream" else each.to or each.subject)
        if key in seen:
            raise RenderError(spec.name, where, f"The {each.kind} is imported twice under the same subject.")
        seen.add(key)
        entries.append(
            {
                each.kind: {"account": each.account, "subject": each.subject},
                **_set_values(
                    to=each.to or None,
                    prefix=each.prefix or None,
                    share=each.share,
                    allow_trace=each.allow_trace,
                ),
            }
        )
    return entries


def _check_import(each: ImportSpec, account: str) -> None:
    _check_kind(each.kind)
    names.check_account_name(each.account, system=True)
    if each.account == account:
        raise InvalidValue("An account can't import from itself.")
    subjects.check_subject(each.subject)
    if each.to and each.prefix:
        raise InvalidValue("Both a prefix and a local subject are set; only one is possible.")
    if each.to:
        subjects.check_import_to(each.subject, each.to)
    if each.kind == "service":
        if each.prefix:
            raise InvalidValue("A prefix is for streams; a service takes a local subject.")
        if each.allow_trace is not None:
            raise InvalidValue("Tracing is allowed at the export of a service, or at the import of a stream.")
    else:
        if each.prefix:
            subjects.check_subject(each.prefix, wildcards=False, what="Prefix")
        if each.share is not None:
            raise InvalidValue("Sharing of client details is for services only.")


def _mappings(spec: AccountSpec) -> Tree:
    tree: Tree = {}
    for mapping in sorted(spec.mappings, key=lambda m: m.source):
        where = f"mapping {shown(mapping.source)}"
        if mapping.source in tree:
            raise RenderError(spec.name, where, "The subject is mapped twice.")
        _checked(spec.name, where, partial(_check_mapping, mapping))
        first, *more = sorted(mapping.destinations, key=lambda d: (d.cluster, d.subject))
        if not more and first.weight == 100 and not first.cluster:
            tree[mapping.source] = first.subject
        else:
            tree[mapping.source] = [
                {"destination": d.subject, "weight": d.weight, **_set_values(cluster=d.cluster or None)}
                for d in (first, *more)
            ]
    return tree


def _check_mapping(mapping: MappingSpec) -> None:
    subjects.check_source(mapping.source)
    if not mapping.destinations:
        raise InvalidValue("The mapping has no destination.")
    totals: dict[str, int] = {}
    seen = set()
    for destination in mapping.destinations:
        subjects.check_destination(mapping.source, destination.subject)
        if destination.subject in seen:
            raise InvalidValue(f"Destination {shown(destination.subject)} is there twice.")
        seen.add(destination.subject)
        if not 1 <= destination.weight <= 100:
            raise InvalidValue(f"Weight is {destination.weight} percent; 1 to 100 are possible.")
        if destination.cluster:
            subjects.check_token(destination.cluster, "Cluster")
        total = totals[destination.cluster] = totals.get(destination.cluster, 0) + destination.weight
        if total > 100:
            raise InvalidValue(f"Weights add up to {total} percent; at most 100 are possible.")


def _check_kind(kind: str) -> None:
    if kind not in ("stream", "service"):
        raise InvalidValue(f"Kind {shown(kind)} is not known.", kind)


def _checked(account: str, where: str, check: Callable[[], object]) -> None:
    """Run `check` and say which row a refusal is about."""
    try:
        check()
    except InvalidValue as exc:
        raise RenderError(account, where, str(exc)) from exc


def _set_values(**values: object) -> Tree:
    """Return `values` without those that are None."""
    return {key: value for key, value in values.items() if value is not None}
