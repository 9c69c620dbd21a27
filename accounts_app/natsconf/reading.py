"""The way back: a conf written by anybody → rows, and a note for each thing that is not one.

What is missing or one-sided keeps the server's meaning, not ours: a direction that a hand-written
block doesn't name becomes an explicit right to everything.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from . import control, forms, names
from .account import account_tree
from .parse import Parsed, Position
from .specs import (
    CONTROL_ACCOUNT,
    Access,
    AccountSpec,
    ExportSpec,
    ImportSpec,
    LimitsSpec,
    MappingSpec,
    RoleSpec,
    SecretSpec,
    UserSpec,
)
from .subjects import InvalidValue, check_subject, shown
from .tree import RenderError, Tree

Path = tuple[str | int, ...]
Verdict = Literal["taken", "left", "refused", "weak"]

OPERATOR = re.compile(
    "operators?|roots?|root_operators?|resolver|accounts?_resolver|resolver_(preload|tls|pinned_accounts)|trusted(_keys)?"
)
_NOT_TELLING = ("_INBOX", "$")


@dataclass(frozen=True, slots=True)
class Note:
    """What becomes of one place of the conf. position: None when the text is not known.

    taken: it is rows now. left: it stays where it is, in the main file. weak: it is taken, but a
    person should look. refused: it can't be rows; taking the conf over would lose it.
    """

    position: Position | None
    path: Path
    verdict: Verdict
    sentence: str


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
    """One reading: collects notes and names while it walks the tree."""

    def __init__(self, parsed: Parsed, own: Collection[str], keys: Mapping[str, str]) -> None:
        self.parsed = parsed
        self.tree = parsed.tree
        self.own = own
        self.keys = keys
        self.notes: list[Note] = []
        self.system_account = "$SYS"
        self.certificates = _maps_certificates(parsed.tree)
        self.key_names: set[str] = set()
        self.opened: set[tuple[Path, str]] = set()
        self.seen: Collection[str] | None = None

    def note(self, path: Path, verdict: Verdict, sentence: str) -> None:
        position = None
        for length in range(len(path), 0, -1):
            position = self.parsed.positions.get(path[:length])
            if position is not None:
                break
        self.notes.append(Note(position, path, verdict, sentence))

    def read(self) -> Reading:
        if self._refuses():
            return Reading((), tuple(self.notes), refused=True)
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
                    self.note(
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
        return Reading(tuple(accounts), tuple(self.notes), self.system_account, control=self.seen is not None)

    def _refuses(self) -> bool:
        for key, value in self.tree.items():
            usual = key.lower()
            if OPERATOR.fullmatch(usual):
                self.note((key,), "refused", f"`{key}` belongs to operator mode, where accounts are JWTs, not rows.")
            if usual == "authorization" and isinstance(value, Mapping):
                known, _ = forms.keyed(value, forms.AUTHORIZATION, "Authorization")
                if "auth_callout" in known:
                    self.note(
                        (key,),
                        "refused",
                        "An auth callout decides who gets in; users in rows would never be asked.",
                    )
        return bool(self.notes)

    def _top(self, key: str, value: Any) -> None:
        usual = key.lower()
        if usual == "no_auth_user":
            self.note((key,), "weak", f"Clients without credentials are let in as user {_said(value)}; it stays so.")
        elif usual in ("system_account", "system"):
            self.note(
                (key,), "left", f"`{key}` stays in the main file; account {_said(value)} becomes the system's own."
            )
        elif usual == "server_metadata":
            self.note((key,), "left", "nunect writes its own `server_metadata`; it replaces this one.")
        elif key in self.parsed.repeated:
            self.note(
                (key,), "left", f"`{key}` stays in the main file; as a variable its value is taken where it is used."
            )
        else:
            self.note((key,), "left", f"`{key}` belongs to the main file and stays there.")

    # Accounts

    def _accounts(self, key: str, value: Any) -> list[AccountSpec]:
        if isinstance(value, list):
            value = {name: {} for name in value if isinstance(name, str)}
        if not isinstance(value, Mapping):
            self.note((key,), "refused", "`accounts` must be a map.")
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
                    self.note(path, "refused", str(exc))
                else:
                    self._variable(path)
                continue
            for other in unknown:
                self._variable((*path, other))
            for lost in ("nkey", "msg_trace"):
                if lost in known:
                    self.note(
                        (*path, _spelled(tree, lost, forms.ACCOUNT)),
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
            self.note(path, "refused", str(exc))
            return
        imports = known.get("imports")
        self.seen = control.imported_from(imports)
        strange = [user for user in known.get("users") or () if forms.login(user) not in self.own]
        if strange or control.without_own_imports(imports) or known.keys() - {"users", "imports"}:
            self.note(path, "refused", f"{control.RESERVED} What stands here besides is left out.")

    def _account(self, name: str, path: Path, tree: Tree, known: Tree) -> AccountSpec:
        def at(key: str) -> Path:
            return (*path, _spelled(tree, key, forms.ACCOUNT))

        spec = self._users(AccountSpec(name), path, tree, known, forms.ACCOUNT)
        if "limits" in known:
            spec = replace(
                spec, limits=self._one(name, at("limits"), known["limits"], forms.limits, "limits") or LimitsSpec()
            )
        if "jetstream" in known:
            spec = replace(
                spec, jetstream=self._one(name, at("jetstream"), known["jetstream"], forms.jetstream, "jetstream")
            )
        spec = replace(
            spec,
            exports=self._exports(name, at("exports"), known.get("exports", ())),
            imports=self._imports(name, at("imports"), known.get("imports", ())),
            mappings=self._mappings(name, at("mappings"), known.get("mappings", {})),
        )
        counted = [
            f"{len(rows)} {what if len(rows) == 1 else what + 's'}"
            for what, rows in (
                ("user", spec.users), ("role", spec.roles), ("export", spec.exports), ("import", spec.imports),
                ("mapping", spec.mappings),
            )
            if rows
        ]  # fmt: skip
        self.note(path, "taken", f"Account `{name}` becomes rows: {', '.join(counted) or 'empty'}.")
        return spec

    def _authorization(self, key: str, value: Any) -> list[AccountSpec]:
        path: Path = (key,)
        try:
            known, unknown = forms.keyed(value, forms.AUTHORIZATION, "`authorization`")
        except InvalidValue as exc:
            self.note(path, "refused", str(exc))
            return []
        for other in unknown:
            self._variable((*path, other))
        if "token" in known:
            self.note(
                (*path, _spelled(value, "token", forms.AUTHORIZATION)),
                "refused",
                "A token can't be used beside accounts; make a user with a password of it.",
            )
        if known.get("proxy_required") is True:
            at = _spelled(value, "proxy_required", forms.AUTHORIZATION)
            self.note((*path, at), "refused", "That all clients come through a proxy can't be kept in rows.")
        spec = self._users(AccountSpec(names.GLOBAL_ACCOUNT), path, value, known, forms.AUTHORIZATION)
        if "user" in known:
            at = _spelled(value, "user", forms.AUTHORIZATION)
            single = {"user": known["user"], "password": known.get("password", "")}
            user = self._user((*path, at), single, None, True)
            if user is not None:
                spec = replace(spec, users=(*spec.users, user[0]))
        if not spec.users:
            return []
        self.note(path, "taken", f"{len(spec.users)} users without an account become rows of `$G`.")
        return [spec]

    def _variable(self, path: Path) -> None:
        self.note(path, "left", f"`{path[-1]}` is no setting; as a variable its value is taken where it is used.")

    # Users

    def _users(
        self, spec: AccountSpec, path: Path, tree: Tree, known: Tree, spellings: Mapping[str, str]
    ) -> AccountSpec:
        """Return `spec` with the users of `known`, and roles for what two of them share."""
        values = known.get("users", [])
        if not isinstance(values, list):
            self.note((*path, _spelled(tree, "users", spellings)), "refused", "`users` must be a list.")
            values = []
        default: forms.Rights | None = None
        if known.get("default_permissions") is not None:
            at = (*path, _spelled(tree, "default_permissions", spellings))
            default = self._rights(at, known["default_permissions"])
            if default is None:
                return spec
        taken: list[tuple[UserSpec, forms.Rights | None]] = []
        for number, value in enumerate(values):
            at = (*path, _spelled(tree, "users", spellings), number)
            user = self._user(at, value, default, False)
            if user is not None:
                taken.append(user)
        return _with_roles(spec, taken, default)

    def _user(
        self, path: Path, value: Any, default: forms.Rights | None, alone: bool
    ) -> tuple[UserSpec, forms.Rights | None] | None:
        """Return a user without its rights, and these; None for what the account decides."""
        try:
            entry = forms.entry(value)
            names.check_connection_types(entry.connection_types)
            if entry.login in self.own:
                return None
            name = self._key_name(entry.login) if entry.kind == "nkey" else names.check_user_name(entry.login)
            if entry.kind == "nkey":
                names.check_secret(SecretSpec("nkey", entry.login))
        except InvalidValue as exc:
            self.note(path, "refused", f"This user can't be taken: {exc}")
            return None
        if entry.proxy_required:
            self.note(path, "refused", f"User {shown(name)} must come through a proxy, which rows can't say.")
            return None
        for other in entry.unknown:
            self._variable((*path, other))
        rights: forms.Rights | None = None
        access: Access = "all"
        if entry.permissions is not None:
            rights = self._rights((*path, _spelled(value, "permissions", forms.USER)), entry.permissions)
            if rights is None:
                return None
            access = "all" if _is_everything(rights) else "own"
        elif default is not None and not _is_everything(default) and not alone:
            access = "inherit"
        secret = self._secret(path, name, entry)
        user = UserSpec(name, secret, access, connection_types=entry.connection_types)
        return user, rights if access == "own" else None

    def _secret(self, path: Path, name: str, entry: forms.Entry) -> SecretSpec:
        if entry.kind == "nkey":
            return SecretSpec("nkey", entry.login)
        if entry.kind == "name" and self.certificates:
            try:
                return SecretSpec("certificate", names.check_certificate_identity(entry.login))
            except InvalidValue as exc:
                self.note(path, "refused", f"User {shown(name)} is taken without a credential: {exc}")
                return SecretSpec("none")
        if not entry.secret:
            self.note(
                path,
                "weak",
                f"Anybody may log in as user {shown(name)}, who has no password; it is taken without a credential.",
            )
            return SecretSpec("none")
        try:
            return SecretSpec("password", names.check_bcrypt(entry.secret))
        except InvalidValue:
            pass
        try:
            names.check_password(entry.secret)
        except InvalidValue as exc:
            self.note(path, "refused", f"User {shown(name)} is taken without a credential: {exc}")
            return SecretSpec("none")
        self.note(path, "weak", f"The password of user {shown(name)} stands in the conf in clear.")
        return SecretSpec("password", entry.secret, plain=True)

    def _rights(self, path: Path, block: Any) -> forms.Rights | None:
        """Return the rights of `block` as rows can hold them, None when it can't be read."""
        try:
            rights = forms.rights(block)
            if rights.responses and rights.responses.expires:
                seconds = names.duration_seconds(rights.responses.expires, "Time for responses")
                if not seconds:  # the server's word for its default
                    rights = replace(rights, responses=replace(rights.responses, expires=""))
        except InvalidValue as exc:
            self.note(path, "refused", f"These permissions can't be read, so their users are not taken: {exc}")
            return None
        open_action = forms.unnamed(block, rights)
        if open_action:
            self.note(
                path,
                "weak",
                f"These permissions don't name `{open_action}`, so they allow to {open_action} everything.",
            )
        for subject in rights.subscribe.opened:
            if (path[:2], subject) not in self.opened:  # once an account
                self.opened.add((path[:2], subject))
                self.note(
                    path,
                    "weak",
                    f"The server lets who may subscribe `{subject[:-1]}*` subscribe `{subject}` as well; "
                    "nunect closes that where no other right reaches below.",
                )
        return replace(
            rights,
            publish=self._direction(path, rights.publish, "publish"),
            subscribe=self._direction(path, rights.subscribe, "subscribe"),
        )

    def _direction(self, path: Path, direction: forms.Direction, action: str) -> forms.Direction:
        kept: dict[str, list[str]] = {"allow": [], "deny": []}
        for effect, listed in (("allow", direction.allow), ("deny", direction.deny)):
            for text in listed:
                subject, _, queue = text.partition(" ")
                try:
                    check_subject(subject)
                    if queue:
                        names.check_queue(queue)
                except InvalidValue as exc:
                    self.note(path, "refused", f"The rule to {effect} {action} {shown(text)} is left out: {exc}")
                else:
                    kept[effect].append(text)
        return forms.Direction(tuple(kept["allow"]), tuple(kept["deny"]))

    def _key_name(self, key: str) -> str:
        """Return a name for a user that the conf knows by its key alone."""
        if key in self.keys:
            return self.keys[key]
        name = f"nkey-{key[1:9]}"
        if name in self.key_names:
            name = f"nkey-{key}"
        self.key_names.add(name)
        return name

    # The account's other parts

    def _one(self, account: str, path: Path, value: Any, read: Any, field: str) -> Any:
        """Return what `read` makes of `value` if it can be rendered, else None and a note."""
        try:
            found = read(value)
            if account == self.system_account:
                if field == "jetstream" and found is not None:
                    raise InvalidValue("The system account can't have JetStream.")
                account = "SYSTEM"  # its own name may start with "$"
            account_tree(AccountSpec(account, **{field: found}))
        except (InvalidValue, RenderError) as exc:
            reason = exc.reason if isinstance(exc, RenderError) else str(exc)
            self.note(path, "refused", f"This can't be taken: {reason}")
            return None
        return found

    def _exports(self, account: str, path: Path, values: Any) -> tuple[ExportSpec, ...]:
        found: dict[tuple[str, str], ExportSpec] = {}
        for number, value in enumerate(values if isinstance(values, list) else ()):
            at = (*path, number)
            value = control.without_own_name(value)
            if value is None:
                continue

            def read(value: Any) -> tuple[ExportSpec]:
                export = forms.export(value)
                if export.account_token_position and export.accounts is not None:
                    export = replace(export, accounts=None)
                return (export,)

            one = self._one(account, at, value, read, "exports")
            if one is None:
                continue
            (export,) = one
            listed = forms.keyed(value, {"accounts": "accounts"}, "Export")[0].get("accounts")
            if listed is not None and export.accounts is None:
                why = "is empty" if not listed else "is ignored, since the account's token decides"
                self.note(at, "weak", f"Its list of accounts {why}: the server offers it to everybody that fits.")
            if (export.kind, export.subject) in found:
                self.note(at, "refused", f"The {export.kind} {shown(export.subject)} is exported twice.")
                continue
            found[export.kind, export.subject] = export
        return tuple(found.values())

    def _imports(self, account: str, path: Path, values: Any) -> tuple[ImportSpec, ...]:
        found: list[ImportSpec] = []
        for number, value in enumerate(values if isinstance(values, list) else ()):
            one = self._one(account, (*path, number), value, lambda value: (forms.import_(value),), "imports")
            found += one or ()
        return tuple(found)

    def _mappings(self, account: str, path: Path, values: Any) -> tuple[MappingSpec, ...]:
        found: list[MappingSpec] = []
        for source, value in values.items() if isinstance(values, Mapping) else ():
            at = (*path, source)
            one = self._one(account, at, (source, value), lambda pair: (forms.mapping(*pair),), "mappings")
            found += one or ()
        return tuple(found)


def _with_roles(
    spec: AccountSpec, taken: Sequence[tuple[UserSpec, forms.Rights | None]], default: forms.Rights | None
) -> AccountSpec:
    """Return `spec` with users, and a role for each set of rights that two users share."""
    shared = Counter(rights for _, rights in taken if rights is not None)
    wanted = [rights for rights, count in shared.items() if count > 1]
    has_default = default is not None and not _is_everything(default)
    if has_default and default is not None and default not in wanted:
        wanted.insert(0, default)
    roles: dict[forms.Rights, RoleSpec] = {}
    used: set[str] = set()
    for rights in sorted(wanted, key=lambda rights: (-shared[rights], forms.rules(rights))):
        name = _telling(rights)
        number = 2
        while name in used:
            name = f"{_telling(rights)}-{number}"
            number += 1
        used.add(name)
        roles[rights] = RoleSpec(name, forms.rules(rights), rights.responses)
    users = []
    for user, of_user in taken:
        if of_user in roles:
            user = replace(user, access="role", role=roles[of_user].name)
        elif of_user is not None:
            user = replace(user, rules=forms.rules(of_user), responses=of_user.responses)
        users.append(user)
    default_role = roles[default].name if has_default and default is not None else ""
    return replace(spec, users=tuple(users), roles=tuple(roles.values()), default_role=default_role)


def _telling(rights: forms.Rights) -> str:
    """Return a name for a role: the first words of what it may publish, else subscribe."""
    listed = (*rights.publish.allow, *rights.subscribe.allow)
    told = [subject for subject in listed if not subject.startswith(_NOT_TELLING) and subject[0] not in "*>"]
    for subject in (*told, *listed):
        words = []
        for word in subject.split(" ")[0].split("."):
            if word in ("*", ">"):
                break
            words.append(re.sub(r"[^\w-]", "-", word).strip("-"))
        name = ".".join(word for word in words[:3] if word)[:40]
        if name:
            return name.lstrip(".-") or "role"
    return "nothing" if not listed else "role"


def _is_everything(rights: forms.Rights) -> bool:
    return replace(rights, responses=None) == forms.EVERYTHING


def _spelled(tree: Any, usual: str, spellings: Mapping[str, str]) -> str:
    """Return the key under which `tree` holds `usual`."""
    if isinstance(tree, Mapping):
        for key in tree:
            if spellings.get(key.lower()) == usual:
                return str(key)
    return usual


def _maps_certificates(tree: Any) -> bool:
    """Say whether some listener finds users by their certificates."""
    if not isinstance(tree, Mapping):
        return False
    return any(
        (key.lower() == "verify_and_map" and value is True)
        or (key.lower() not in ("accounts", "authorization") and _maps_certificates(value))
        for key, value in tree.items()
    )


def _said(value: Any) -> str:
    return shown(value) if isinstance(value, str) else str(value)
