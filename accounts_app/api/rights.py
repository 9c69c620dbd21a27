"""REST: roles and permissions, and how users carry theirs."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import Case, CharField, F, Value, When
from django.db.models.functions import Coalesce, Concat

from accounts_app.api import filters
from accounts_app.api import serializers as told
from accounts_app.api.rows import (
    BY_NAME,
    ConfigResource,
    Rows,
    apart,
    replace_all,
    sync_columns,
    sync_row,
)
from accounts_app.models import (
    Account,
    NatsUser,
    Role,
    SubjectPermission,
    System,
)

SHARED = Concat(Value("*/"), F("role__name"), output_field=CharField())
ROLE_NAME = Case(When(role=None, then=None), When(role__account=None, then=SHARED), default=F("role__name"))
_RULE = ("action", "effect", "subject", "queue")


def rules(rows: list[dict[str, Any]], owner: str) -> list[dict[str, Any]]:
    """Put the permissions of roles or users into their rows: one query a page."""
    found: dict[int, list[dict[str, Any]]] = defaultdict(list)
    kept = SubjectPermission.objects.filter(**{f"{owner}__in": [row["id"] for row in rows]})
    for pk, *values in kept.order_by(*_RULE).values_list(f"{owner}_id", *_RULE):
        found[pk].append(dict(zip(_RULE, values, strict=True)))
    for row in rows:
        row["permissions"] = found.get(row["id"], [])
    return rows


def set_rules(owner: Any, kind: str, wanted: list[dict[str, Any]], person: Any) -> None:
    """Make these the permissions of a role or a user."""
    replace_all(
        owner.permissions.all(),
        wanted,
        lambda rule: (rule.action, rule.effect, rule.subject, rule.queue),
        lambda values: SubjectPermission(**{kind: owner}, **values),
        "permissions",
        person,
    )


def refuse_idle(user: NatsUser) -> None:
    """Raise ValidationError where permissions of its own would mean nothing to `user`."""
    if user.access != NatsUser.Access.OWN:
        sentence = f"They mean nothing while the access of user “{user.name}” is “{user.access}”: make it “own”, too."
        raise ValidationError({"permissions": sentence})


class Roles(ConfigResource):
    """Named sets of permissions, of one account or shared by all."""

    model = Role
    serializer_class = told.RoleSerializer
    filterset_class = filters.RoleFilter
    columns = {
        "id": "id",
        "system": "system__name",
        "account": "account__name",
        **{name: name for name in ("name", "description", "allow_responses", "responses_max", "responses_expires")},
        "connection_types": "connection_types",
        **sync_columns("account__"),
        "sync_revision": "system__revision",
    }
    ordering = BY_NAME
    search_fields = ["name", "description", "account__name"]

    def finished(self, rows: Rows) -> Rows:
        return [sync_row(row) for row in rules(rows, "role")]

    def make(self, data: dict[str, Any]) -> Role:
        return self.change(Role(system=self.system_of(data)), data)

    def change(self, row: Role, data: dict[str, Any]) -> Role:
        fields = dict(data)
        permissions = fields.pop("permissions", None)
        if row.pk and fields.get("account", row.account) != row.account:
            raise ValidationError({"account": "A role can't move to another account."})
        if fields.get("account") is not None:
            fields["system"] = fields["account"].system
        saved: Role = super().change(row, fields)
        if permissions is not None:
            set_rules(saved, "role", permissions, self.request.user)
            for user in saved.users.select_related("account")[:1000]:
                try:
                    user.clean()
                except ValidationError as refused:
                    raise ValidationError({"permissions": refused.messages}) from refused
        return saved


class Permissions(ConfigResource):
    """Permissions of all roles and users in one list: who may do what on a subject."""

    model = SubjectPermission
    serializer_class = told.PermissionSerializer
    filterset_class = filters.PermissionFilter
    columns = {
        "id": "id",
        "system": Coalesce("role__system__name", "user__system__name"),
        "account": Coalesce("role__account__name", "user__account__name"),
        "role": Case(When(role=None, then=None), When(role__account=None, then=SHARED), default=F("role__name")),
        "user": "user__name",
        **{name: name for name in _RULE},
        **{
            name: Coalesce(f"role__{column}", f"user__{column}")
            for name, column in sync_columns("account__").items()
            if name != "sync_revision"
        },
        "sync_revision": Coalesce("role__system__revision", "user__system__revision"),
    }
    ordering = {"id": "pk", "subject": "subject"}
    search_fields = ["subject", "role__name", "user__name"]

    def get_serializer_class(self) -> Any:
        return told.PermissionInput if self.action == "create" else told.PermissionSerializer

    def finished(self, rows: Rows) -> Rows:
        return [sync_row(row) for row in rows]

    def home(self, row: Any) -> System:
        owner: Any = (row.role or row.user) if isinstance(row, SubjectPermission) else row
        found: System = owner.system
        return found

    def make(self, data: dict[str, Any]) -> SubjectPermission:
        return self.change(SubjectPermission(), data)

    def change(self, row: SubjectPermission, data: dict[str, Any]) -> SubjectPermission:
        fields, account = apart(data), _account(data)
        fields.pop("account", None)
        if row.pk and fields.keys() & {"role", "user"}:
            raise ValidationError({"role": "A permission can't move to another role or user."})
        if fields.get("role"):
            fields["role"] = told.role_of(fields["role"], account, self.request.user)
        if not row.pk and (fields.get("role") is None) == (fields.get("user") is None):
            raise ValidationError({"user": "A permission belongs to exactly one of a role and a user."})
        if fields.get("user"):
            refuse_idle(fields["user"])
        saved: SubjectPermission = super().change(row, fields)
        return saved

    def system_of(self, data: dict[str, Any]) -> System:
        role = data.get("role")
        if role:
            found = told.role_of(role, _account(data), self.request.user)
            if found is not None:
                return found.system
        return super().system_of({key: value for key, value in data.items() if key != "role"})


def _account(data: dict[str, Any]) -> Account | None:
    """The account of the role that a body names; none yet, of the system that it names, for a shared one."""
    account: Account | None = data.get("account")
    return Account(system=data["system"]) if account is None and data.get("system") else account
