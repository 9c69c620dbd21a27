"""What lists can be narrowed by."""

from __future__ import annotations

from typing import Any

import django_filters as filters
from django import forms
from django.db.models import F, Q, QuerySet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field

from accounts_app.models import (
    Account,
    Export,
    Import,
    Kind,
    Mapping,
    NatsUser,
    Role,
    Server,
    SubjectPermission,
    System,
    Token,
)

_YES_NO = {"invalid_choice": "This must be true or false."}
STATES = [(state, state) for state in ("applied", "pending", "held", "failed")]


def text(column: str) -> Any:
    """Rows in which a column is exactly this."""
    return filters.CharFilter(field_name=column)


class OneOf(filters.ChoiceFilter):
    """One of some words; which, is told."""

    def __init__(self, choices: Any, **options: Any) -> None:
        told = f"This must be one of {', '.join(word for word, _ in choices)}."
        super().__init__(choices=choices, error_messages={"invalid_choice": told}, **options)


@extend_schema_field(OpenApiTypes.BOOL)
class YesNo(filters.TypedChoiceFilter):
    """true or false; another word is told, rather than taken for no question at all."""

    def __init__(self, column: str, **options: Any) -> None:
        words = [("true", "true"), ("false", "false")]
        super().__init__(
            field_name=column, choices=words, coerce=lambda word: word == "true", error_messages=_YES_NO, **options
        )


class Whole(filters.NumberFilter):
    """A whole number."""

    field_class = forms.IntegerField

    def get_max_validator(self) -> None:
        return None


class AccountName(filters.CharFilter):
    """Rows of the account of this name; as a subquery, so that a database begins with the account."""

    def filter(self, queryset: QuerySet[Any], value: str) -> QuerySet[Any]:
        return queryset.filter(account__in=Account.objects.filter(name=value).values("pk")) if value else queryset


class StateFilter(OneOf):
    """Rows by how far their account is. way: from the row to its account."""

    def __init__(self, way: str = "account__") -> None:
        self.way = way
        super().__init__(choices=STATES)

    def filter(self, queryset: QuerySet[Any], value: str) -> QuerySet[Any]:
        if not value:
            return queryset
        way = self.way
        done = Q(**{f"{way}wanted": F(f"{way}done")})
        if value == "applied":
            return queryset.filter(done)
        answered = Q(**{f"{way}problem_wanted": F(f"{way}wanted")})
        moving = ~done & ~(answered & ~Q(**{f"{way}problem_kind": ""}))
        managed = Q(**{f"{way}system__stage": System.Stage.MANAGED})
        if value == "pending":
            return queryset.filter(moving & managed)
        told = ~done & answered & Q(**{f"{way}problem_kind": value})
        return queryset.filter(told | (moving & ~managed) if value == "held" else told)


class ServerFilter(filters.FilterSet):
    system, name = text("system__name"), text("name")
    state = OneOf(choices=Server.State.choices)

    class Meta:
        model = Server
        fields: list[str] = []


class AccountFilter(filters.FilterSet):
    system, name, owner = text("system__name"), text("name"), text("owner__username")
    state = StateFilter("")

    enabled, jetstream = YesNo("enabled"), YesNo("jetstream")

    class Meta:
        model = Account
        fields: list[str] = []


class RoleFilter(filters.FilterSet):
    system, account, name = text("system__name"), AccountName(), text("name")
    shared = YesNo("account", lookup_expr="isnull")

    class Meta:
        model = Role
        fields: list[str] = []


class UserFilter(filters.FilterSet):
    system, account, name = text("system__name"), AccountName(), text("name")
    owner, role, nkey = text("owner__username"), text("role__name"), text("nkey")
    credential = OneOf(choices=NatsUser.Credential.choices)
    access = OneOf(choices=NatsUser.Access.choices)
    enabled = YesNo("enabled")
    state = StateFilter()

    class Meta:
        model = NatsUser
        fields: list[str] = []


class PermissionFilter(filters.FilterSet):
    role, user = text("role__name"), text("user__name")
    system = filters.CharFilter(method="of_system")
    account = filters.CharFilter(method="of_account")
    action = OneOf(choices=SubjectPermission.Action.choices)
    effect = OneOf(choices=SubjectPermission.Effect.choices)
    subject, queue = text("subject"), text("queue")

    def of_system(self, queryset: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        return queryset.filter(Q(role__system__name=value) | Q(user__system__name=value))

    def of_account(self, queryset: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        accounts = Account.objects.filter(name=value).values("pk")
        roles, users = Role.objects.filter(account__in=accounts), NatsUser.objects.filter(account__in=accounts)
        return queryset.filter(Q(role__in=roles.order_by().values("pk")) | Q(user__in=users.order_by().values("pk")))

    class Meta:
        model = SubjectPermission
        fields: list[str] = []


class ExportFilter(filters.FilterSet):
    system, account, subject = text("account__system__name"), AccountName(), text("subject")
    kind = OneOf(choices=Kind.choices)
    public = YesNo("public")
    state = StateFilter()

    class Meta:
        model = Export
        fields: list[str] = []


class ImportFilter(filters.FilterSet):
    system, account, from_account = text("account__system__name"), AccountName(), text("from_account__name")
    kind = OneOf(choices=Kind.choices)
    subject = text("subject")
    state = StateFilter()

    class Meta:
        model = Import
        fields: list[str] = []


class MappingFilter(filters.FilterSet):
    system, account, source = text("account__system__name"), AccountName(), text("source")
    state = StateFilter()

    class Meta:
        model = Mapping
        fields: list[str] = []


class TokenFilter(filters.FilterSet):
    person, name = text("person__username"), text("name")
    scope = OneOf(choices=Token.Scope.choices)

    class Meta:
        model = Token
        fields: list[str] = []
