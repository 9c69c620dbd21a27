"""REST: users, their credentials and how they connect."""

from __future__ import annotations

import json
from typing import Any

from django.core.exceptions import ValidationError
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.response import Response

from accounts_app import services
from accounts_app.access import may
from accounts_app.api import filters
from accounts_app.api import serializers as told
from accounts_app.api.rights import ROLE_NAME, refuse_idle, rules, set_rules
from accounts_app.api.rows import (
    BY_NAME,
    ConfigResource,
    Rows,
    sync_columns,
    sync_row,
)
from accounts_app.api.shapes import Gone
from accounts_app.api.writing import write
from accounts_app.conf_text import MASK
from accounts_app.credentials import NewSecret
from accounts_app.models import (
    Account,
    NatsUser,
    record,
)

_CREDENTIAL = ("credential", "password", "nkey", "certificate")


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
        if not may(self.request.user, "change", NatsUser):  # who gives credentials sees what stands in their place
            for row in rows:
                row["nkey"] = MASK if row["nkey"] else ""
        return [sync_row(row) for row in rules(rows, "user")]

    def make(self, data: dict[str, Any]) -> tuple[NatsUser, NewSecret | None]:
        fields = self._with_role(None, data["account"], dict(data))
        fields.pop("system", None)
        permissions = fields.pop("permissions", None)
        account, name = fields.pop("account"), fields.pop("name")
        fields["credential"] = _kind(fields) or NatsUser.Credential.NKEY
        user, secret = services.create_user(account, name, **fields)
        if permissions:
            set_rules(user, "user", permissions, self.request.user)
        return user, secret

    def change(self, row: NatsUser, data: dict[str, Any]) -> tuple[NatsUser, NewSecret | None]:
        fields = self._with_role(row, row.account, dict(data))
        fields.pop("system", None)
        permissions = fields.pop("permissions", None)
        if permissions and "access" not in fields:
            refuse_idle(row)
        given = {name: fields.pop(name) for name in _CREDENTIAL if name in fields}
        secret = self._credential(row, given)
        super().change(row, fields)
        if permissions is not None:
            set_rules(row, "user", permissions, self.request.user)
        return row, secret

    def _credential(self, row: NatsUser, given: dict[str, Any]) -> NewSecret | None:
        """Give the user what was asked for; a value that it has already is no change."""
        held = {"nkey": row.nkey, "certificate": row.certificate, "credential": row.credential}
        asked = {name: value for name, value in given.items() if value != held.get(name) and value != ""}
        if not asked:
            return None
        values = {name: value for name, value in given.items() if name != "credential" and value}
        kind = _kind(given)
        if "credential" not in given and kind != row.credential:
            raise ValidationError(
                {"credential": f"This user proves itself by another kind: say “credential”: “{kind}” to change that."}
            )
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


def _kind(given: dict[str, Any]) -> str:
    """The kind of credential that is given, "" for none. Raises ValidationError for several."""
    held = [name for name in ("password", "nkey", "certificate") if given.get(name)]
    kind: str = given.get("credential") or (held[0] if held else "")
    for name in held:
        if name != kind:
            raise ValidationError({name: f"This doesn't go with “{kind}”: a user has one credential."})
    return kind
