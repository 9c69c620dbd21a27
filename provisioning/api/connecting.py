"""REST: trying the way to the servers of a system."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts_app.access import require, require_whole
from accounts_app.api.problems import Invalid
from accounts_app.api.query import only_known
from accounts_app.api.schema import Schema
from accounts_app.api.serializers import WaySerializer
from accounts_app.models import System, record
from accounts_app.systems import on_trial
from provisioning.api.stages import OfSystem
from provisioning.connecting import STEPS, Tried, try_connection


class TriedStep(serializers.Serializer[Any]):
    name = serializers.ChoiceField(STEPS)
    state = serializers.ChoiceField(("ok", "failed", "untried"))
    seconds = serializers.FloatField()
    text = serializers.CharField(help_text="What was found, or is wrong.")
    lines = serializers.CharField(help_text='Lines of the server\'s conf that mend it; "" when none do.')
    needs = serializers.ChoiceField(("reload", "restart", ""), help_text="What makes the lines true.")


class TriedServer(serializers.Serializer[Any]):
    url = serializers.CharField()
    ok = serializers.BooleanField()
    steps = TriedStep(many=True)


class WayThere(serializers.Serializer[Any]):
    """Each server's steps: those after one that failed were not tried."""

    ok = serializers.BooleanField(help_text="Whether nunect can look at every one of these servers.")
    servers = TriedServer(many=True)


def as_told(tried: list[Tried]) -> dict[str, Any]:
    """What was tried, as JSON values."""
    servers = [{"url": one.url, "ok": one.ok, "steps": TriedStep(one.steps, many=True).data} for one in tried]
    return {"ok": all(one.ok for one in tried), "servers": servers}


class TrySchema(Schema):
    """Trying changes nothing: there is no dry run of it, and nothing to wait for."""

    def get_override_parameters(self) -> list[Any]:
        return []


def _given(request: Any) -> dict[str, Any]:
    if not isinstance(request.data, dict):
        raise Invalid("", "The body must be a map of fields.")
    asked = WaySerializer(data=request.data, partial=True)
    asked.is_valid(raise_exception=True)
    found: dict[str, Any] = asked.validated_data
    return found


def _tried(system: System) -> Response:
    return Response(as_told(try_connection(system)), headers={"Cache-Control": "no-store"})


class TryConnection(OfSystem):
    """The way to each server of a system, tried now, step by step. Nothing changes; where nobody answers it takes
    seconds."""

    OPERATIONS = {"GET": "systems_connection", "POST": "systems_connection_try"}
    schema = TrySchema()

    @extend_schema(responses={200: WayThere})
    def get(self, request: Any, pk: int) -> Response:
        system = self.system(request, pk, "view")
        only_known(request, ())
        return _tried(system)

    @extend_schema(request=WaySerializer, responses={200: WayThere})
    def post(self, request: Any, pk: int) -> Response:
        """The same with other fields, which are not saved. What isn't given stays as it is; a secret that is kept
        must be given again for servers at another URL."""
        system = self.system(request, pk, "change")
        only_known(request, ())
        changed = on_trial(system, _given(request))
        record("connection tried", System(pk=pk, name=system.name), url=changed.url)
        return _tried(changed)


class TryNewConnection(APIView):
    """The way to servers that nunect doesn't know yet."""

    OPERATIONS = {"POST": "systems_connection_try_new"}
    schema = TrySchema()

    @extend_schema(request=WaySerializer, responses={200: WayThere})
    def post(self, request: Any) -> Response:
        """The way to the servers of a system before it is made, tried now, step by step. Nothing is kept."""
        require(request.user, "add", System)
        require_whole(request.user)
        only_known(request, ())
        given = _given(request)
        if not given.get("nats_url"):
            raise Invalid("nats_url", "Say where the servers are.")
        changed = on_trial(System(stage=System.Stage.OBSERVED), given)
        record("connection tried", url=changed.url)
        return _tried(changed)
