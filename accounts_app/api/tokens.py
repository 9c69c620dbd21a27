"""REST: bearer tokens."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from django.core.exceptions import PermissionDenied, ValidationError

from accounts_app import services
from accounts_app.api import filters
from accounts_app.api import serializers as told
from accounts_app.api.rows import (
    RowResource,
    Rows,
)
from accounts_app.api.shapes import Gone
from accounts_app.models import (
    System,
    Token,
)


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
