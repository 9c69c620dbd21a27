"""REST: the backups that are kept, one more of them, and a sealed one to take away."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from django.conf import settings
from django.http import FileResponse, Http404
from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts_app.api.problems import Conflict
from accounts_app.api.query import OF_WRITES, flag, only_known
from accounts_app.models import record
from nunect.backup import shelf
from nunect.backup.errors import BackupError
from nunect.backup.rights import require_backups
from provisioning.api.waiting import done_once

FILE = "application/octet-stream"


class KeptSerializer(serializers.Serializer[Any]):
    """A backup in the folder of this machine."""

    name = serializers.CharField()
    made_at = serializers.DateTimeField()
    bytes = serializers.IntegerField()
    sealed = serializers.BooleanField(help_text="With a passphrase; only such a one can be taken away from here.")
    by = serializers.CharField(help_text='Who had it made, in words; "" when nobody knows.')


class BackupsSerializer(serializers.Serializer[Any]):
    """results: newest first."""

    every_hours = serializers.FloatField(help_text="How often one is made by the clock; 0: never.")
    keep = serializers.IntegerField(help_text="How many are kept; older ones go with the next.")
    problem = serializers.CharField(help_text='Why a person should look after them; "" while they come as they should.')
    results = KeptSerializer(many=True)


class Backups(APIView):
    """The backups that are kept."""

    OPERATIONS = {"GET": "backups_list_kept", "POST": "backups_make"}

    @extend_schema(responses={200: BackupsSerializer})
    def get(self, request: Any) -> Response:
        """The backups that are kept, newest first."""
        require_backups(request.user)
        only_known(request, ())
        found, problem = shelf.look()
        told = {"every_hours": settings.BACKUP_EVERY_HOURS, "keep": settings.BACKUP_KEEP, "problem": problem}
        return Response({**told, "results": [asdict(one) for one in found]}, headers={"Cache-Control": "no-store"})

    @extend_schema(request=None, responses={201: KeptSerializer})
    def post(self, request: Any) -> Response:
        """Make one now, while everything runs. It answers when the file is there."""
        require_backups(request.user)
        only_known(request, OF_WRITES)
        if flag(request, "dry_run"):
            if not settings.BACKUP_DIR:
                raise Conflict(shelf.NO_FOLDER)
            return Response({"changes": [], "conf": "", "faults": [], "warnings": [], "rows": None})

        def act() -> dict[str, Any]:
            try:
                return asdict(shelf.back_up())
            except BackupError as error:
                raise Conflict(str(error)) from error

        return done_once(request, act, 201)


class OneBackup(APIView):
    """A backup to take away."""

    OPERATIONS = {"GET": "backups_download"}

    @extend_schema(
        responses={(200, FILE): OpenApiResponse(OpenApiTypes.BINARY)},
        examples=[OpenApiExample("file", value="(bytes)", media_type=FILE)],
    )
    def get(self, request: Any, name: str) -> HttpResponseBase:
        """The file itself. One that isn't sealed stays on its machine, since it holds nunect's own keys."""
        require_backups(request.user)
        only_known(request, ())
        try:
            return handed_out(name)
        except BackupError as error:
            raise Conflict(str(error)) from error


def handed_out(name: str) -> FileResponse:
    """A sealed backup as a file to save. Raises Http404, and BackupError for one that isn't sealed."""
    try:
        file = shelf.sealed_file(name).open("rb")
    except OSError as error:
        raise Http404 from error
    record("backup taken away", file=name)
    told = {"Cache-Control": "no-store"}
    return FileResponse(file, as_attachment=True, filename=name, headers=told, content_type=FILE)
