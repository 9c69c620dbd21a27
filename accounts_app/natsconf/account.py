"""One account's rows → the plain tree that the server's parser would make of its block."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from functools import partial
from typing import Any

from . import names, nkeys
from .control import Crowded, control_tree, shows
from .kept import Entries
from .members import user_entries
from .parts import export_entries, import_entries, jetstream_tree, limits_tree, mappings_tree
from .rights import CLOSED
from .specs import AccountSpec, IdentitySpec, LimitsSpec, RoleSpec
from .subjects import InvalidValue, shown
from .tree import RenderError, Tree, checked

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


def account_tree(
    spec: AccountSpec,
    shared_roles: Iterable[RoleSpec] = (),
    identity: IdentitySpec | None = None,
    present: Collection[str] | None = None,
    kept: Entries | None = None,
    crowded: Crowded = frozenset(),
) -> Tree:
    """Return the tree of `spec`: its entry in `accounts`, for "$G" that of `authorization`.

    shared_roles: the system's roles, known as "*/name". identity: with it the system account gets
    nunect's own users, "$G" the guard, and an account with JetStream its exports to nunect's control
    account; of that one no more than its user is known here. present: names of the accounts that are
    rendered; an export is not offered to others, since the server refuses unknown names (None: all are).
    kept: where users' entries come from and go to, for the next time. crowded: exports to nunect that
    would stand in somebody's way.
    Raises RenderError for the first row that must not be rendered.
    """
    system = identity is not None and spec.name == identity.system_account
    kept = Entries() if kept is None else kept
    if identity is not None and spec.name == identity.control_account:
        return control_tree(_key(identity.jetstream, "JetStream") if identity.jetstream else "", ())
    if spec.name == names.GLOBAL_ACCOUNT:
        return _global_tree(spec, shared_roles, identity, kept)
    checked(spec.name, "name", partial(names.check_account_name, spec.name, system))
    users, default = user_entries(spec, shared_roles, kept)
    if system and identity is not None:
        users += own_users(identity)
    _check_logins(spec.name, users)
    tree: Tree = {}
    if spec.jetstream is not None:
        if system:
            raise RenderError(spec.name, "JetStream", "The system account can't have JetStream.")
        tree["jetstream"] = jetstream_tree(spec.name, spec.jetstream)
    if limits := limits_tree(spec.name, spec.limits):
        tree["limits"] = limits
    if default is not None:
        tree["default_permissions"] = default
    if users:
        tree["users"] = users
    if exports := export_entries(spec, present, shows(spec, crowded) if identity is not None else ()):
        tree["exports"] = exports
    if imports := import_entries(spec):
        tree["imports"] = imports
    if mappings := mappings_tree(spec):
        tree["mappings"] = mappings
    return tree


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
    users, default = user_entries(spec, shared_roles, kept)
    guard: list[Tree] = []
    if identity is not None:  # nobody has its seed; should somebody, it may do nothing
        guard = [{"nkey": _key(identity.guard, "guard"), "permissions": CLOSED}]
    tree: Tree = {"timeout": AUTHORIZATION_TIMEOUT_S}
    if default is not None:
        tree["default_permissions"] = default
    tree["users"] = guard + users
    _check_logins(spec.name, tree["users"])
    return tree


def _check_logins(account: str, entries: Iterable[Tree]) -> None:
    seen = set()
    for entry in entries:
        login = entry.get("nkey") or entry["user"]
        if login in seen:
            raise RenderError(account, f"user {shown(login)}", "Two users log in under this name or key.")
        seen.add(login)


def own_users(identity: IdentitySpec) -> list[Tree]:
    """nunect's own users of the system account."""
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
