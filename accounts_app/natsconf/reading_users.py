"""The users of a conf as rows, and a role for each set of rights that two of an account share.

What is one-sided keeps the server's meaning, not ours: a direction that a hand-written block
doesn't name becomes an explicit right to everything.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from . import forms, names
from .notes import Notes, Path, key_of
from .specs import Access, AccountSpec, RoleSpec, SecretSpec, UserSpec
from .subjects import InvalidValue, check_subject, shown
from .tree import Tree

_NOT_TELLING = ("_INBOX", "$")


class UserReader:
    """Reads users; knows which names and openings it has told already.

    own: nunect's own public nkeys, which are no rows. keys: {public nkey: name} for users that a
    conf knows by their key alone. certificates: some listener finds users by their certificates.
    """

    def __init__(self, notes: Notes, own: Collection[str], keys: Mapping[str, str], certificates: bool) -> None:
        self.notes = notes
        self.own = own
        self.keys = keys
        self.certificates = certificates
        self.key_names: set[str] = set()
        self.opened: set[tuple[Path, str]] = set()

    def users(
        self, spec: AccountSpec, path: Path, tree: Tree, known: Tree, spellings: Mapping[str, str]
    ) -> AccountSpec:
        """Return `spec` with the users of `known`, and roles for what two of them share."""
        values = known.get("users", [])
        if not isinstance(values, list):
            self.notes.add((*path, key_of(tree, "users", spellings)), "refused", "`users` must be a list.")
            values = []
        default: forms.Rights | None = None
        if known.get("default_permissions") is not None:
            at = (*path, key_of(tree, "default_permissions", spellings))
            default = self._rights(at, known["default_permissions"])
            if default is None:
                return spec
        taken: list[tuple[UserSpec, forms.Rights | None]] = []
        for number, value in enumerate(values):
            at = (*path, key_of(tree, "users", spellings), number)
            user = self.user(at, value, default, False)
            if user is not None:
                taken.append(user)
        return _with_roles(spec, taken, default)

    def user(
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
            self.notes.add(path, "refused", f"This user can't be taken: {exc}")
            return None
        if entry.proxy_required:
            self.notes.add(path, "refused", f"User {shown(name)} must come through a proxy, which rows can't say.")
            return None
        for other in entry.unknown:
            self.notes.variable((*path, other))
        rights: forms.Rights | None = None
        access: Access = "all"
        if entry.permissions is not None:
            rights = self._rights((*path, key_of(value, "permissions", forms.USER)), entry.permissions)
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
                self.notes.add(path, "refused", f"User {shown(name)} is taken without a credential: {exc}")
                return SecretSpec("none")
        if not entry.secret:
            self.notes.add(
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
            self.notes.add(path, "refused", f"User {shown(name)} is taken without a credential: {exc}")
            return SecretSpec("none")
        self.notes.add(path, "weak", f"The password of user {shown(name)} stands in the conf in clear.")
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
            self.notes.add(path, "refused", f"These permissions can't be read, so their users are not taken: {exc}")
            return None
        open_action = forms.unnamed(block, rights)
        if open_action:
            self.notes.add(
                path,
                "weak",
                f"These permissions don't name `{open_action}`, so they allow to {open_action} everything.",
            )
        for subject in rights.subscribe.opened:
            if (path[:2], subject) not in self.opened:  # once an account
                self.opened.add((path[:2], subject))
                self.notes.add(
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
                    self.notes.add(path, "refused", f"The rule to {effect} {action} {shown(text)} is left out: {exc}")
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
