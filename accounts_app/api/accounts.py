"""REST: accounts."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import Case, CharField, F, Value, When
from django.db.models.functions import Concat
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.decorators import action
from rest_framework.response import Response

from accounts_app import services
from accounts_app.access import may
from accounts_app.api import filters
from accounts_app.api import serializers as told
from accounts_app.api.query import flag
from accounts_app.api.rows import (
    BY_NAME,
    ConfigResource,
    Rows,
    sync_columns,
    sync_row,
)
from accounts_app.models import (
    Account,
    NatsUser,
)
from accounts_app.raw import raw_conf
from accounts_app.retiring import retiring


def _whose(row: Account) -> str:
    return "nunect's own account" if row.is_control else "The servers' own account"


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
        **{name: name for name in told.AccountSerializer.Meta.fields[7:-3]},
        "created_at": "created_at",
        **sync_columns(""),
    }
    ordering = {**BY_NAME, "created_at": "created_at"}
    search_fields = ["name", "description"]
    UNSTABLE = ("retiring",)

    def finished(self, rows: Rows) -> Rows:
        going = retiring([row["id"] for row in rows])
        for row in rows:
            goes = going.get(row["id"])
            row["retiring"] = {"job": goes.job, "until": goes.until, "text": str(goes)} if goes else None
        return [sync_row(row) for row in rows]

    def make(self, data: dict[str, Any]) -> Account:
        return self.change(Account(system=self.system_of(data)), data)

    def change(self, row: Account, data: dict[str, Any]) -> Account:
        fields = dict(data)
        if row.pk and row.is_reserved and fields.get("enabled", True) is False:
            raise ValidationError({"enabled": f"{_whose(row)} can't be disabled."})
        if row.pk and row.is_reserved and fields.get("name", row.name) != row.name:
            raise ValidationError({"name": f"{_whose(row)} keeps its name."})
        if "default_role" in fields:
            fields["default_role"] = told.role_of(fields["default_role"], row, self.request.user, "default_role")
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
