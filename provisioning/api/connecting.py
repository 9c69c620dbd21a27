"""REST: trying the way to the servers of a system."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.response import Response

from accounts_app.api.query import only_known
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


class TryConnection(OfSystem):
    """The way to each server of a system, tried now, step by step. Nothing changes; where nobody answers it takes
    seconds."""

    OPERATIONS = {"GET": "systems_connection"}

    @extend_schema(responses={200: WayThere})
    def get(self, request: Any, pk: int) -> Response:
        system = self.system(request, pk, "view")
        only_known(request, ())
        return Response(as_told(try_connection(system)), headers={"Cache-Control": "no-store"})
