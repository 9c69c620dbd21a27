"""REST: the end of an account, step by step."""

from __future__ import annotations

from typing import Any

from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts_app.access import require, visible
from accounts_app.api.fields import Choice, Number, Strict, Text
from accounts_app.api.query import OF_WRITES, flag, only_known
from accounts_app.models import Account, Stream
from provisioning.api.job_shapes import Started
from provisioning.api.jobs import told
from provisioning.api.schemas import JobSchema
from provisioning.api.waiting import submit
from provisioning.jobs import losses, services
from provisioning.models import Job

WINDOW_S = 86_400
_NEEDED: dict[str, Any] = dict.fromkeys(("required", "blank", "null"), "This is required.")


class Retirement(Strict, serializers.Serializer[Any]):
    confirm = Text(trim_whitespace=False, help_text="The name of the account.", error_messages=_NEEDED)
    data = Choice(  # type: ignore[assignment]
        [("keep", ""), ("delete", "")],
        help_text="What becomes of what it keeps in JetStream; what streams keep in memory is lost in any case.",
        error_messages=_NEEDED,
    )
    window_s = Number(required=False, help_text=f"Seconds in which it can be called off ({WINDOW_S:,}).")


class Retire(APIView):
    """Take an account off the servers: frozen at once, exported, and gone after the undo window."""

    OPERATIONS = {"POST": "accounts_retire"}
    schema = JobSchema()

    @extend_schema(request=Retirement, responses={200: Started})
    def post(self, request: Any, pk: int) -> Response:
        require(request.user, "delete", Account)
        require(request.user, "add", Job)
        only_known(request, OF_WRITES)
        asked = Retirement(data=request.data)
        asked.is_valid(raise_exception=True)
        account = visible(Account.objects.select_related("system"), request.user).filter(pk=pk).first()
        if account is None:
            raise Http404
        confirm, data = asked.validated_data["confirm"], asked.validated_data["data"]
        window_s = asked.validated_data.get("window_s", WINDOW_S)
        dry = flag(request, "dry_run")

        def act() -> Job:
            job = services.retire(account, confirm, window_s, data)
            if dry:  # what it comes to in the end
                account.delete()
            return job

        answer = submit(request, account.system, act, lambda job: (job, {}), told)
        if dry:
            streams = visible(Stream.objects.filter(account=pk), request.user)
            lost = [each.as_change() for each in losses.retired(account, data, streams)]
            answer.data["changes"] = [*lost, *answer.data["changes"]]
        return answer
