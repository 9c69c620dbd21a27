"""The way back: a conf written by anybody → rows, and a note for each thing that is not one."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from . import control, forms, names
from .notes import Note, Notes, Path, key_of, said
from .parse import Parsed
from .reading_parts import PartReader
from .reading_users import UserReader
from .specs import CONTROL_ACCOUNT, AccountSpec, LimitsSpec
from .subjects import InvalidValue, shown
from .tree import Tree

OPERATOR = re.compile(
    "operators?|roots?|root_operators?|resolver|accounts?_resolver|resolver_(preload|tls|pinned_accounts)|trusted(_keys)?"
)


@dataclass(frozen=True, slots=True)
class Reading:
    """What a conf says, as rows. Passwords in clear are `SecretSpec.plain`; hash them first.

    refused: the conf is of a kind that nunect can't take over; `notes` say why, there are no rows.
    control: nunect's control account stands in it, so that it says which accounts show that their streams.
    """

    accounts: tuple[AccountSpec, ...]
    notes: tuple[Note, ...]
    system_account: str = "$SYS"
    refused: bool = False
    control: bool = False


def read_accounts(parsed: Parsed, own: Collection[str] = (), keys: Mapping[str, str] | None = None) -> Reading:
    """Return the rows that `parsed` says, and notes in the order of the conf.

    own: nunect's own public nkeys, which are no rows. keys: {public nkey: name} for users that a
    conf knows by their key alone.
    """
    reader = _Reader(parsed, own, keys or {})
    return reader.read()


class _Reader:
    """One reading: walks the tree, and collects rows and notes."""

    def __init__(self, parsed: Parsed, own: Collection[str], keys: Mapping[str, str]) -> None:
        self.parsed = parsed
        self.tree = parsed.tree
        self.own = own
        self.notes = Notes(parsed)
        self.users = UserReader(self.notes, own, keys, _maps_certificates(parsed.tree))
        self.system_account = "$SYS"
        self.seen: Collection[str] | None = None

    def read(self) -> Reading:
        if self._refuses():
            return Reading((), tuple(self.notes.all), refused=True)
        accounts: list[AccountSpec] = []
        named: Any = {}
        for key, value in self.tree.items():
            usual = key.lower()
            if usual in ("system_account", "system") and isinstance(value, str):
                self.system_account = value
        for key, value in self.tree.items():
            usual = key.lower()
            if usual == "accounts":
                named = value
                accounts += self._accounts(key, value)
            elif usual == "authorization":
                accounts += self._authorization(key, value)
            else:
                self._top(key, value)
        if not named:
            for key in self.tree:
                if key.lower() == "jetstream":
                    self.notes.add(
                        (key,),
                        "refused",
                        "JetStream belongs to no account here; its streams would be gone after the next start of a "
                        "server with accounts. Move them to an account while the server is stopped.",
                    )
        accounts.sort(key=lambda account: account.name)
        if self.seen is not None:
            in_the_way = control.crowded(accounts)
            accounts = [
                replace(spec, jetstream_control=spec.name in self.seen or not control.shows(spec, in_the_way))
                for spec in accounts
            ]
        return Reading(tuple(accounts), tuple(self.notes.all), self.system_account, control=self.seen is not None)

    def _refuses(self) -> bool:
        for key, value in self.tree.items():
            usual = key.lower()
            if OPERATOR.fullmatch(usual):
                self.notes.add(
                    (key,), "refused", f"`{key}` belongs to operator mode, where accounts are JWTs, not rows."
                )
            if usual == "authorization" and isinstance(value, Mapping):
                known, _ = forms.keyed(value, forms.AUTHORIZATION, "Authorization")
                if "auth_callout" in known:
                    self.notes.add(
                        (key,),
                        "refused",
                        "An auth callout decides who gets in; users in rows would never be asked.",
                    )
        return bool(self.notes.all)

    def _top(self, key: str, value: Any) -> None:
        usual = key.lower()
        if usual == "no_auth_user":
            self.notes.add(
                (key,), "weak", f"Clients without credentials are let in as user {said(value)}; it stays so."
            )
        elif usual in ("system_account", "system"):
            self.notes.add(
                (key,), "left", f"`{key}` stays in the main file; account {said(value)} becomes the system's own."
            )
        elif usual == "server_metadata":
            self.notes.add((key,), "left", "nunect writes its own `server_metadata`; it replaces this one.")
        elif key in self.parsed.repeated:
            self.notes.add(
                (key,), "left", f"`{key}` stays in the main file; as a variable its value is taken where it is used."
            )
        else:
            self.notes.add((key,), "left", f"`{key}` belongs to the main file and stays there.")

    # Accounts

    def _accounts(self, key: str, value: Any) -> list[AccountSpec]:
        if isinstance(value, list):
            value = {name: {} for name in value if isinstance(name, str)}
        if not isinstance(value, Mapping):
            self.notes.add((key,), "refused", "`accounts` must be a map.")
            return []
        found = []
        for name, tree in value.items():
            path: Path = (key, name)
            if name == CONTROL_ACCOUNT:
                self._control(path, tree)
                continue
            try:
                names.check_account_name(name, system=name == self.system_account)
                known, unknown = forms.keyed(tree, forms.ACCOUNT, f"Account {shown(name)}")
            except InvalidValue as exc:
                if isinstance(tree, Mapping):
                    self.notes.add(path, "refused", str(exc))
                else:
                    self.notes.variable(path)
                continue
            for other in unknown:
                self.notes.variable((*path, other))
            for lost in ("nkey", "msg_trace"):
                if lost in known:
                    self.notes.add(
                        (*path, key_of(tree, lost, forms.ACCOUNT)),
                        "refused",
                        f"`{lost}` of an account can't be kept in rows; it would be lost.",
                    )
            found.append(self._account(name, path, tree, known))
        return found

    def _control(self, path: Path, tree: Any) -> None:
        """nunect's own account is no row; what nunect has not put there is told."""
        try:
            known, _ = forms.keyed(tree, forms.ACCOUNT, f"Account {shown(CONTROL_ACCOUNT)}")
        except InvalidValue as exc:
            self.notes.add(path, "refused", str(exc))
            return
        imports = known.get("imports")
        self.seen = control.imported_from(imports)
        strange = [user for user in known.get("users") or () if forms.login(user) not in self.own]
        if strange or control.without_own_imports(imports) or known.keys() - {"users", "imports"}:
            self.notes.add(path, "refused", f"{control.RESERVED} What stands here besides is left out.")

    def _account(self, name: str, path: Path, tree: Tree, known: Tree) -> AccountSpec:
        def at(key: str) -> Path:
            return (*path, key_of(tree, key, forms.ACCOUNT))

        parts = PartReader(self.notes, name, name == self.system_account)
        spec = self.users.users(AccountSpec(name), path, tree, known, forms.ACCOUNT)
        if "limits" in known:
            spec = replace(
                spec, limits=parts.one(at("limits"), known["limits"], forms.limits, "limits") or LimitsSpec()
            )
        if "jetstream" in known:
            spec = replace(spec, jetstream=parts.one(at("jetstream"), known["jetstream"], forms.jetstream, "jetstream"))
        spec = replace(
            spec,
            exports=parts.exports(at("exports"), known.get("exports", ())),
            imports=parts.imports(at("imports"), known.get("imports", ())),
            mappings=parts.mappings(at("mappings"), known.get("mappings", {})),
        )
        counted = [
            f"{len(rows)} {what if len(rows) == 1 else what + 's'}"
            for what, rows in (
                ("user", spec.users), ("role", spec.roles), ("export", spec.exports), ("import", spec.imports),
                ("mapping", spec.mappings),
            )
            if rows
        ]  # fmt: skip
        self.notes.add(path, "taken", f"Account `{name}` becomes rows: {', '.join(counted) or 'empty'}.")
        return spec

    def _authorization(self, key: str, value: Any) -> list[AccountSpec]:
        path: Path = (key,)
        try:
            known, unknown = forms.keyed(value, forms.AUTHORIZATION, "`authorization`")
        except InvalidValue as exc:
            self.notes.add(path, "refused", str(exc))
            return []
        for other in unknown:
            self.notes.variable((*path, other))
        if "token" in known:
            self.notes.add(
                (*path, key_of(value, "token", forms.AUTHORIZATION)),
                "refused",
                "A token can't be used beside accounts; make a user with a password of it.",
            )
        if known.get("proxy_required") is True:
            at = key_of(value, "proxy_required", forms.AUTHORIZATION)
            self.notes.add((*path, at), "refused", "That all clients come through a proxy can't be kept in rows.")
        spec = self.users.users(AccountSpec(names.GLOBAL_ACCOUNT), path, value, known, forms.AUTHORIZATION)
        if "user" in known:
            at = key_of(value, "user", forms.AUTHORIZATION)
            single = {"user": known["user"], "password": known.get("password", "")}
            user = self.users.user((*path, at), single, None, True)
            if user is not None:
                spec = replace(spec, users=(*spec.users, user[0]))
        if not spec.users:
            return []
        self.notes.add(path, "taken", f"{len(spec.users)} users without an account become rows of `$G`.")
        return [spec]


def _maps_certificates(tree: Any) -> bool:
    """Say whether some listener finds users by their certificates."""
    if not isinstance(tree, Mapping):
        return False
    return any(
        (key.lower() == "verify_and_map" and value is True)
        or (key.lower() not in ("accounts", "authorization") and _maps_certificates(value))
        for key, value in tree.items()
    )
