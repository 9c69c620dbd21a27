"""The resources of configuration rows."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection
from typing import Any

from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Case, CharField, F, Value, When
from django.db.models.functions import Coalesce, Concat
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.decorators import action
from rest_framework.response import Response

from accounts_app import services
from accounts_app.access import may
from accounts_app.api import filters
from accounts_app.api import serializers as told
from accounts_app.api.query import flag
from accounts_app.api.rows import ConfigResource, Resource, RowResource, Rows, replace_all, sync_columns, sync_row
from accounts_app.api.shapes import Gone
from accounts_app.api.writing import write
from accounts_app.credentials import NewSecret
from accounts_app.models import (
    Account,
    Export,
    ExportAccess,
    Import,
    Mapping,
    MappingDestination,
    NatsUser,
    Role,
    Server,
    SubjectPermission,
    System,
    Token,
    record,
)
from accounts_app.models.sharing import still_imported
from accounts_app.raw import raw_conf

BY_NAME = {"id": "pk", "name": "name"}
SHARED = Concat(Value("*/"), F("role__name"), output_field=CharField())
ROLE_NAME = Case(When(role=None, then=None), When(role__account=None, then=SHARED), default=F("role__name"))
_RULE = ("action", "effect", "subject", "queue")
_CREDENTIAL = ("credential", "password", "nkey", "certificate")


def rules(rows: list[dict[str, Any]], owner: str) -> list[dict[str, Any]]:
    """Put the permissions of roles or users into their rows: one query a page."""
    found: dict[int, list[dict[str, Any]]] = defaultdict(list)
    kept = SubjectPermission.objects.filter(**{f"{owner}__in": [row["id"] for row in rows]})
    for pk, *values in kept.order_by(*_RULE).values_list(f"{owner}_id", *_RULE):
        found[pk].append(dict(zip(_RULE, values, strict=True)))
    for row in rows:
        row["permissions"] = found.get(row["id"], [])
    return rows


def set_rules(owner: Any, kind: str, wanted: list[dict[str, Any]]) -> None:
    """Make these the permissions of a role or a user."""
    replace_all(
        owner.permissions.all(),
        wanted,
        lambda rule: (rule.action, rule.effect, rule.subject, rule.queue),
        lambda values: SubjectPermission(**{kind: owner}, **values),
        "permissions",
    )


class Systems(ConfigResource):
    """Servers that share one set of accounts. `up` makes the first; none can be made or deleted here."""

    model = System
    serializer_class = told.SystemSerializer
    http_method_names = ["get", "head", "options", "patch"]
    columns = {
        name: name for name in ("id", "name", "environment", "drift_policy", "conf_dir", "nats_url", "public_url")
    } | {"wanted": "wanted", "done": "done", "problem": "problem", "revision": "revision", "checked_at": "checked_at"}
    ordering = BY_NAME
    search_fields = ["name"]
    UNSTABLE = ("state", "problem", "revision", "checked_at")

    def finished(self, rows: Rows) -> Rows:
        for row in rows:
            behind = row.pop("wanted") != row.pop("done")
            row["state"] = "failed" if row["problem"] else "pending" if behind else "applied"
        return rows

    def home(self, row: Any) -> System:
        return System(pk=row.pk)


class Servers(Resource):
    """What was last seen of each server."""

    model = Server
    serializer_class = told.ServerSerializer
    filterset_class = filters.ServerFilter
    columns = {"id": "id", "system": "system__name"} | {
        name: name
        for name in ("name", "state", "detail", "version", "host", "server_id", "revision", "config_digest", "seen_at")
    }
    ordering = BY_NAME
    search_fields = ["name", "host"]


class Accounts(ConfigResource):
    """Accounts of NATS: each has its own subjects, users and limits."""

    model = Account
    serializer_class = told.AccountSerializer
    filterset_class = filters.AccountFilter
    columns = {
        "id": "id",
        "system": "system__name",
        "name": "name",
        "description": "description",
        "owner": "owner__username",
        "enabled": "enabled",
        "default_role": Case(
            When(default_role=None, then=None),
            When(default_role__account=None, then=Concat(Value("*/"), F("default_role__name"))),
            default=F("default_role__name"),
            output_field=CharField(),
        ),
        **{name: name for name in told.AccountSerializer.Meta.fields[7:-2]},
        "created_at": "created_at",
        **sync_columns(""),
    }
    ordering = {**BY_NAME, "created_at": "created_at"}
    search_fields = ["name", "description"]

    def finished(self, rows: Rows) -> Rows:
        return [sync_row(row) for row in rows]

    def make(self, data: dict[str, Any]) -> Account:
        return self.change(Account(system=self.system_of(data)), data)

    def change(self, row: Account, data: dict[str, Any]) -> Account:
        fields = dict(data)
        if row.pk and fields.get("system", row.system) != row.system:
            raise ValidationError({"system": "An account can't move to another system."})
        if row.pk and row.is_reserved and fields.get("enabled", True) is False:
            raise ValidationError({"enabled": "The servers' own accounts can't be disabled."})
        if row.pk and row.is_reserved and fields.get("name", row.name) != row.name:
            raise ValidationError({"name": "The servers' own accounts keep their names."})
        if "default_role" in fields:
            given = row if row.pk else Account(system=row.system)
            role = told.role_of(fields["default_role"], given if row.pk else None, self.request.user, "default_role")
            fields["default_role"] = role
        return super().change(row, fields)

    def remove(self, row: Account) -> None:
        services.check_deletable(row)
        row.delete()

    def parameters(self) -> Collection[str]:
        return {"secrets"} if self.action == "conf" else super().parameters()

    @extend_schema(
        responses={200: told.Conf},
        filters=False,
        parameters=[OpenApiParameter("secrets", bool, description="With password hashes, for who gives credentials.")],
    )
    @action(detail=True, methods=["get"], pagination_class=None)
    def conf(self, request: Any, pk: str) -> Response:
        """The block of the conf that the rows stand for."""
        manages = may(request.user, "change", NatsUser)
        text, problem = raw_conf(self.row(pk), keys=manages, secrets=manages and flag(request, "secrets"))
        return Response({"conf": text, "problem": problem}, headers={"Cache-Control": "no-store"})


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
            set_rules(saved, "role", permissions)
            for user in saved.users.select_related("account")[:1000]:
                try:
                    user.clean()
                except ValidationError as refused:
                    raise ValidationError({"permissions": refused.messages}) from refused
        return saved


class Users(ConfigResource):
    """Users of NATS: how they prove who they are, and what they may do."""

    model = NatsUser
    serializer_class = told.UserSerializer
    filterset_class = filters.UserFilter
    columns = {
        "id": "id",
        "system": "system__name",
        "account": "account__name",
        "name": "name",
        "description": "description",
        "owner": "owner__username",
        "credential": "credential",
        "nkey": "nkey",
        "certificate": "certificate",
        "access": "access",
        "role": ROLE_NAME,
        **{name: name for name in ("allow_responses", "responses_max", "responses_expires", "connection_types")},
        **{name: name for name in ("expires_at", "enabled", "created_at")},
        **sync_columns("account__"),
    }
    ordering = {**BY_NAME, "created_at": "created_at"}
    search_fields = ["name", "description", "account__name"]
    answers = {
        "create": told.UserWithSecret,
        "partial_update": told.UserWithSecret,
        "rotate": told.UserWithSecret,
        "destroy": Gone,
    }

    def finished(self, rows: Rows) -> Rows:
        return [sync_row(row) for row in rules(rows, "user")]

    def make(self, data: dict[str, Any]) -> tuple[NatsUser, NewSecret | None]:
        fields = self._with_role(None, data["account"], dict(data))
        fields.pop("system", None)
        permissions = fields.pop("permissions", None)
        account, name = fields.pop("account"), fields.pop("name")
        user, secret = services.create_user(account, name, **fields)
        if permissions:
            set_rules(user, "user", permissions)
        return user, secret

    def change(self, row: NatsUser, data: dict[str, Any]) -> tuple[NatsUser, NewSecret | None]:
        fields = self._with_role(row, row.account, dict(data))
        fields.pop("system", None)
        permissions = fields.pop("permissions", None)
        given = {name: fields.pop(name) for name in _CREDENTIAL if name in fields}
        secret = self._credential(row, given)
        super().change(row, fields)
        if permissions is not None:
            set_rules(row, "user", permissions)
        return row, secret

    def _credential(self, row: NatsUser, given: dict[str, Any]) -> NewSecret | None:
        """Give the user what was asked for; a value that it has already is no change."""
        held = {"nkey": row.nkey, "certificate": row.certificate, "credential": row.credential}
        asked = {name: value for name, value in given.items() if value != held.get(name) and value != ""}
        if not asked:
            return None
        values = {name: value for name, value in given.items() if name != "credential" and value}
        kind = given.get("credential") or next(iter(asked))
        secret = services.set_credential(row, kind, **values)
        record("credential set", row, kind=kind)
        return secret

    def _with_role(self, row: NatsUser | None, account: Account, fields: dict[str, Any]) -> dict[str, Any]:
        """The fields with the role itself, and an access that goes with it."""
        if "role" in fields:
            fields["role"] = told.role_of(fields["role"], account, self.request.user)
            access = fields.get("access", row.access if row else None)
            if fields["role"] is not None and "access" not in fields:
                fields["access"] = NatsUser.Access.ROLE
            elif fields["role"] is None and access == NatsUser.Access.ROLE and "access" not in fields:
                fields["access"] = NatsUser.Access.OWN
        return fields

    def answer(self, made: tuple[NatsUser, NewSecret | None]) -> dict[str, Any]:
        user, secret = made
        body = self.told(user.pk)
        if secret is not None:
            body["secret"] = {"seed" if secret.kind == "nkey" else "password": secret.secret}
        return body

    @extend_schema(request=told.Rotation)
    @action(detail=True, methods=["post"])
    def rotate(self, request: Any, pk: str) -> Response:
        """Give the user a new credential; with `overlap_until` the former one works until then."""
        asked = told.Rotation(data=request.data)
        asked.is_valid(raise_exception=True)
        until = asked.validated_data.get("overlap_until")

        def act() -> tuple[NatsUser, NewSecret]:
            user = self.row(pk)
            self.unchanged(request, user)
            return user, services.rotate_with_overlap(user, until) if until else services.rotate(user)

        return write(request, self.home(self.row(pk)), act, self.answer)

    @extend_schema(request=None)
    @action(detail=True, methods=["post"])
    def enable(self, request: Any, pk: str) -> Response:
        """Let the user in again."""
        return self._switch(request, pk, services.enable_users)

    @extend_schema(request=None)
    @action(detail=True, methods=["post"])
    def disable(self, request: Any, pk: str) -> Response:
        """Keep the user out, and the row."""
        return self._switch(request, pk, services.disable_users)

    def _switch(self, request: Any, pk: str, switch: Any) -> Response:
        def act() -> tuple[NatsUser, None]:
            user = self.row(pk)
            self.unchanged(request, user)
            switch(NatsUser.objects.filter(pk=user.pk))
            return user, None

        return write(request, self.home(self.row(pk)), act, self.answer)

    @extend_schema(responses={200: told.Help}, filters=False)
    @action(detail=True, methods=["get"], pagination_class=None)
    def connect(self, request: Any, pk: str) -> Response:
        """How a client of this user connects."""
        found = services.connection_help(self.row(pk))
        context = json.loads(found.context_json)
        return Response({"url": found.url, "context": context, "snippet": found.snippet, "env": found.env})


class Permissions(ConfigResource):
    """Permissions of all roles and users in one list: who may do what on a subject."""

    model = SubjectPermission
    serializer_class = told.PermissionSerializer
    filterset_class = filters.PermissionFilter
    columns = {
        "id": "id",
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
        fields = dict(data)
        account = fields.pop("account", None)
        if row.pk and fields.keys() & {"role", "user"}:
            raise ValidationError({"role": "A permission can't move to another role or user."})
        if fields.get("role"):
            fields["role"] = told.role_of(fields["role"], account, self.request.user)
        if not row.pk and (fields.get("role") is None) == (fields.get("user") is None):
            raise ValidationError({"user": "A permission belongs to exactly one of a role and a user."})
        saved: SubjectPermission = super().change(row, fields)
        return saved

    def system_of(self, data: dict[str, Any]) -> System:
        role = data.get("role")
        if role:
            found = told.role_of(role, data.get("account"), self.request.user)
            if found is not None:
                return found.system
        return super().system_of({key: value for key, value in data.items() if key != "role"})


class Exports(ConfigResource):
    """Subjects that other accounts may import."""

    model = Export
    serializer_class = told.ExportSerializer
    filterset_class = filters.ExportFilter
    columns = {
        "id": "id",
        "account": "account__name",
        **{name: name for name in told.ExportSerializer.Meta.fields[2:-1] if name != "accounts"},
        **sync_columns("account__"),
    }
    ordering = {"id": "pk", "subject": "subject"}
    search_fields = ["subject", "account__name"]

    def finished(self, rows: Rows) -> Rows:
        found: dict[int, list[str]] = defaultdict(list)
        listed = ExportAccess.objects.filter(export__in=[row["id"] for row in rows]).order_by("account__name")
        for export, account in listed.values_list("export_id", "account__name"):
            found[export].append(account)
        for row in rows:
            row["accounts"] = found.get(row["id"], [])
        return [sync_row(row) for row in rows]

    def change(self, row: Export, data: dict[str, Any]) -> Export:
        fields = dict(data)
        accounts = fields.pop("accounts", None)
        _stays(row, fields)
        rests = row.dependents() if row.pk else []
        saved: Export = super().change(row, fields)
        if accounts is not None:
            self._offer(saved, accounts)
        lost = [each for each in rests if not Export.objects.get(pk=saved.pk).allows(each)]
        if lost:
            raise ValidationError({"accounts": still_imported(lost)})
        return saved

    def _offer(self, export: Export, names: list[str]) -> None:
        """Make these the accounts that may import it."""
        rows = Account.objects.visible_to(self.request.user).filter(system=export.account.system_id)  # type: ignore[attr-defined]
        found = {row.name: row for row in rows.filter(name__in=[name for name in names if "\x00" not in name])}
        if missing := [name for name in names if name not in found]:
            raise ValidationError({"accounts": f"There is no account “{missing[0][:80]}”."})
        export.accesses.exclude(account__in=found.values()).delete()
        present = set(export.accesses.values_list("account_id", flat=True))
        for account in found.values():
            if account.pk not in present:
                ExportAccess.objects.create(export=export, account=account)

    def remove(self, row: Export) -> None:
        if rests := row.dependents():
            raise ValidationError(still_imported(rests))
        row.delete()


class Imports(ConfigResource):
    """Subjects taken from other accounts."""

    model = Import
    serializer_class = told.ImportSerializer
    filterset_class = filters.ImportFilter
    columns = {
        "id": "id",
        "account": "account__name",
        "kind": "kind",
        "from_account": "from_account__name",
        **{name: name for name in ("subject", "to", "prefix", "share", "allow_trace")},
        **sync_columns("account__"),
    }
    ordering = {"id": "pk", "subject": "subject"}
    search_fields = ["subject", "account__name", "from_account__name"]

    def finished(self, rows: Rows) -> Rows:
        return [sync_row(row) for row in rows]

    def change(self, row: Import, data: dict[str, Any]) -> Import:
        _stays(row, data)
        saved: Import = super().change(row, data)
        return saved


class Mappings(ConfigResource):
    """Subjects that are rewritten when they are published."""

    model = Mapping
    serializer_class = told.MappingSerializer
    filterset_class = filters.MappingFilter
    columns = {"id": "id", "account": "account__name", "source": "source", **sync_columns("account__")}
    ordering = {"id": "pk", "source": "source"}
    search_fields = ["source", "account__name"]

    def finished(self, rows: Rows) -> Rows:
        found: dict[int, list[dict[str, Any]]] = defaultdict(list)
        ends = MappingDestination.objects.filter(mapping__in=[row["id"] for row in rows])
        for pk, subject, weight, cluster in ends.order_by("subject", "cluster").values_list(
            "mapping_id", "subject", "weight", "cluster"
        ):
            found[pk].append({"subject": subject, "weight": weight, "cluster": cluster})
        for row in rows:
            row["destinations"] = found.get(row["id"], [])
        return [sync_row(row) for row in rows]

    def change(self, row: Mapping, data: dict[str, Any]) -> Mapping:
        fields = dict(data)
        ends = fields.pop("destinations", None)
        _stays(row, fields)
        if ends is not None:
            _check_weights(ends)
        saved: Mapping = super().change(row, fields)
        if ends is None and "source" in fields:
            ends = [
                {"subject": end.subject, "weight": end.weight, "cluster": end.cluster}
                for end in saved.destinations.all()
            ]
        if ends is not None:
            replace_all(
                saved.destinations.all(),
                ends,
                lambda end: (end.subject, end.cluster),
                lambda values: MappingDestination(mapping=saved, **values),
                "destinations",
            )
        return saved


def _check_weights(ends: list[dict[str, Any]]) -> None:
    if not ends:
        raise ValidationError({"destinations": "Say where it goes: one destination at least."})
    weights: dict[str, int] = defaultdict(int)
    for number, end in enumerate(ends):
        cluster = end.get("cluster", "")
        weights[cluster] += end.get("weight", 100)
        if weights[cluster] > 100:
            told_sum = f"The weights are {weights[cluster]} together; they may be 100 at most."
            raise ValidationError({f"destinations[{number}].weight": told_sum})


def _stays(row: Any, data: dict[str, Any]) -> None:
    """A row of an account never moves to another one."""
    if row.pk and data.get("account", row.account) != row.account:
        raise ValidationError({"account": "This can't move to another account."})


class Tokens(RowResource):
    """Bearer tokens. A person sees and makes their own, an administrator everybody's."""

    model = Token
    serializer_class = told.TokenSerializer
    filterset_class = filters.TokenFilter
    http_method_names = ["get", "head", "options", "post", "delete"]
    columns = {
        "id": "id",
        "name": "name",
        "person": "person__username",
        "scope": "scope",
        **{name: name for name in ("expires_at", "public", "created_at", "last_used_at", "revoked_at")},
    }
    search_fields = ["name"]
    UNSTABLE = ("last_used_at",)
    answers = {"create": told.TokenWithSecret, "destroy": Gone}

    def finished(self, rows: Rows) -> Rows:
        found: dict[int, list[str]] = defaultdict(list)
        pairs = Token.accounts.through.objects.filter(token__in=[row["id"] for row in rows])
        for pk, account in pairs.order_by("account__name").values_list("token_id", "account__name"):
            found[pk].append(account)
        for row in rows:
            row["prefix"] = f"nun_{row.pop('public')}"
            row["accounts"] = found.get(row["id"], [])
        return rows

    def system_of(self, data: dict[str, Any]) -> System:
        return System.objects.visible_to(self.request.user).first() or System()

    def home(self, row: Any) -> System:
        return self.system_of({})

    def make(self, data: dict[str, Any]) -> tuple[Token, str]:
        person = self.request.user
        owner = data.get("person") or person
        if owner.pk is None:
            raise ValidationError({"person": "Say whose token it is."})
        if owner.pk != person.pk and not person.is_superuser:
            raise PermissionDenied("Only an administrator makes tokens for others.")
        return services.make_token(
            owner,
            data["name"],
            scope=data.get("scope", Token.Scope.READ),
            accounts=data.get("accounts", ()),
            expires_at=data.get("expires_at"),
            seen_by=person,
        )

    def answer(self, made: tuple[Token, str]) -> dict[str, Any]:
        token, bare = made
        return {**self.told(token.pk), "token": bare}

    def remove(self, row: Token) -> None:
        services.revoke_tokens(Token.objects.filter(pk=row.pk))
