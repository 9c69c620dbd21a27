"""The users of one account → their entries in the conf, each with the rights that it has in the end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from . import names, subjects
from .kept import Entries
from .rights import OPEN, check_rule, own_rules, permissions_tree
from .specs import AccountSpec, RoleSpec, RuleSpec, SecretSpec, UserSpec
from .subjects import InvalidValue, shown
from .tree import RenderError, Tree


def user_entries(spec: AccountSpec, shared_roles: Iterable[RoleSpec], kept: Entries) -> tuple[list[Tree], Tree | None]:
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
        permissions = permissions_tree(own_rules(user.rules), user.responses)
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
            check_rule(rule)
            subject = rule.subject
            if subjects.is_template(subject):
                subject = subjects.expand(subject, user, self.account)
            else:
                subjects.check_subject(subject)
            rules.append(RuleSpec(rule.action, rule.effect, subject, rule.queue))
        return permissions_tree(rules, role.responses)
