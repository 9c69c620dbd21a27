"""Who am I, and what was done: the audit trail."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts_app.access import Narrowed
from accounts_app.api.query import only_known
from accounts_app.api.rows import Resource
from accounts_app.models import Account, AuditEntry


class Me(APIView):
    """Whose token this is, and what it may do."""

    class Answer(serializers.Serializer[Any]):
        person = serializers.CharField()
        scope = serializers.ChoiceField(["read", "write", "admin"])
        accounts = serializers.ListField(child=serializers.CharField(), allow_null=True)
        version = serializers.CharField()

    @extend_schema(responses={200: Answer})
    def get(self, request: Any) -> Response:
        only_known(request, ())
        token: Narrowed | None = getattr(request.user, "nunect_token", None)
        accounts = None
        if token is not None and token.accounts is not None:
            accounts = list(Account.objects.filter(pk__in=token.accounts).values_list("name", flat=True))
        return Response(
            {
                "person": request.user.get_username() or str(request.user),
                "scope": token.scope if token is not None else "admin",
                "accounts": accounts,
                "version": settings.VERSION,
            }
        )


class AuditSerializer(serializers.ModelSerializer[AuditEntry]):
    person = serializers.CharField()

    class Meta:
        model = AuditEntry
        fields = (
            "id",
            "at",
            "person",
            "door",
            "act",
            "object_type",
            "object_id",
            "object_name",
            "detail",
            "request_id",
        )


class Audit(Resource):
    """Acts, newest first: who did what, when and through which door."""

    model = AuditEntry
    serializer_class = AuditSerializer
    columns = {"id": "id", "at": "at", "person": "person_name"} | {
        name: name for name in ("door", "act", "object_type", "object_id", "object_name", "detail", "request_id")
    }
    first = "-id"
    search_fields = ["act", "object_name", "person_name"]
