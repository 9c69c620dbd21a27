"""Whole accounts at once: apply a document, export one, import a conf."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts_app.access import may, require, require_all
from accounts_app.api import serializers as told
from accounts_app.api import shapes
from accounts_app.api.fields import OF_ROWS, Strict, Text
from accounts_app.api.query import OF_WRITES, flag, only_known
from accounts_app.api.rows import only_system
from accounts_app.api.standing import of_accounts
from accounts_app.api.writing import write
from accounts_app.applying import Applied, apply_document, export_document
from accounts_app.importing import ImportReport, import_conf
from accounts_app.models import Account, NatsUser, record
from accounts_app.natsconf.document import read_document
from accounts_app.natsconf.parse import parse
from accounts_app.stages import CHANGEABLE


class DocumentSerializer(serializers.Serializer[Any]):
    """What `nunect apply -f` reads; `docs/documents.md` tells each field."""

    system = serializers.CharField(required=False, allow_null=True, allow_blank=True, help_text=OF_ROWS)
    accounts = serializers.ListField(child=serializers.DictField(), required=False, allow_null=True)
    roles = serializers.ListField(child=serializers.DictField(), required=False, allow_null=True)


class AppliedSerializer(serializers.Serializer[Any]):
    created = serializers.DictField(child=serializers.IntegerField())
    updated = serializers.DictField(child=serializers.IntegerField())
    deleted = serializers.DictField(child=serializers.IntegerField())
    secrets = serializers.DictField(child=told.Secret(), help_text="{user: what is told once}")
    sync = shapes.Sync()


class ConfSerializer(Strict, serializers.Serializer[Any]):
    conf = Text(trim_whitespace=False, help_text="The text of a nats-server.conf, without includes.")
    system = Text(required=False, help_text=OF_ROWS)
    env = serializers.DictField(child=Text(), required=False, help_text="Values of variables from the environment.")


class ReportSerializer(serializers.Serializer[Any]):
    """What became of each place of the conf."""

    refused = serializers.BooleanField()
    dry_run = serializers.BooleanField()
    accounts = serializers.IntegerField()
    users = serializers.IntegerField()
    changes = serializers.DictField()
    variables = serializers.ListField(child=serializers.CharField())
    notes = serializers.ListField(child=serializers.DictField())
    sync = shapes.Sync()


class Apply(APIView):
    """Make the accounts that a document names exactly what it says, all or nothing."""

    OPERATIONS = {"POST": "apply", "GET": "export"}

    @extend_schema(
        request=DocumentSerializer,
        responses={200: AppliedSerializer},
        parameters=[OpenApiParameter("prune", bool, description="Accounts that the document doesn't name go.")],
    )
    def post(self, request: Any) -> Response:
        require_all(request.user)
        only_known(request, {*OF_WRITES, "prune"})
        prune = flag(request, "prune")
        document = read_document(request.data)
        system = only_system(request.user, document.system, CHANGEABLE)
        names = [spec.name for spec in document.accounts]
        return write(
            request,
            system,
            lambda: apply_document(system, document, prune=prune),
            _applied,
            about=lambda done: of_accounts(system, names),
        )

    @extend_schema(
        responses={200: DocumentSerializer},
        parameters=[
            OpenApiParameter("account", str, many=True, description="Only these accounts."),
            OpenApiParameter("system", str, description="Its name; the only system when it is left out."),
            OpenApiParameter("secrets", bool, description="With hashes and public nkeys, for who gives credentials."),
        ],
    )
    def get(self, request: Any) -> Response:
        """The document that says what the rows say."""
        for model in (Account, NatsUser):
            require(request.user, "view", model)
        only_known(request, ("account", "secrets", "system"))
        names = request.query_params.getlist("account")
        system = only_system(request.user, request.query_params.get("system", ""))
        rows = Account.objects.visible_to(request.user).filter(system=system)  # type: ignore[attr-defined]
        if names:
            rows = rows.filter(name__in=names)
            found = {row.name for row in rows}
            if missing := [name for name in names if name not in found]:
                raise ValidationError({"account": f"There is no account “{missing[0][:80]}”."})
        secrets = flag(request, "secrets") and may(request.user, "change", NatsUser)
        if secrets:
            record("password hashes exported", system, accounts=rows.count())
        return Response(export_document(system, rows, secrets=secrets))


class Import(APIView):
    """Take over the accounts of a NATS conf, all or nothing."""

    OPERATIONS = {"POST": "import_conf"}

    @extend_schema(request=ConfSerializer, responses={200: ReportSerializer})
    def post(self, request: Any) -> Response:
        require_all(request.user)
        only_known(request, OF_WRITES)
        asked = ConfSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        system = only_system(request.user, asked.validated_data.get("system", ""), CHANGEABLE)
        parsed = parse(asked.validated_data["conf"], file="conf", environ=asked.validated_data.get("env", {}))
        dry = flag(request, "dry_run")
        return write(request, system, lambda: import_conf(system, parsed), lambda report: _reported(report, dry))


def _applied(done: Applied) -> dict[str, Any]:
    secrets = {
        user: {"seed" if secret.kind == "nkey" else "password": secret.secret} for user, secret in done.secrets.items()
    }
    return {**done.changes.as_dict(), "secrets": secrets}


def _reported(report: ImportReport, dry: bool) -> dict[str, Any]:
    return {**report.as_dict(), "dry_run": dry}
