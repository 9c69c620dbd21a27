"""REST: is it well, and what is wrong with this installation."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts_app.access import reaches_all, require, require_whole
from accounts_app.api.query import only_known
from accounts_app.models import Server
from monitoring import doctor, health


class HealthSerializer(serializers.Serializer[Any]):
    ready = serializers.BooleanField()
    parts = serializers.DictField(help_text="State of database, redis, worker and each server.")


class FindingSerializer(serializers.Serializer[Any]):
    level = serializers.ChoiceField(["ok", "warning", "error"])
    what = serializers.CharField()
    detail = serializers.CharField()
    remedy = serializers.CharField()


class DoctorSerializer(serializers.Serializer[Any]):
    ok = serializers.BooleanField()
    findings = FindingSerializer(many=True)


class Health(APIView):
    """What `/readyz` says, for who may see servers."""

    @extend_schema(responses={200: HealthSerializer})
    def get(self, request: Any) -> Response:
        require(request.user, "view", Server)
        only_known(request, ())
        ready, parts = health.report()
        if not reaches_all(request.user):
            del parts["servers"]  # they are the whole system's
        return Response({"ready": ready, "parts": parts})


class Doctor(APIView):
    """What is wrong with an installation, and the remedy."""

    @extend_schema(responses={200: DoctorSerializer})
    def get(self, request: Any) -> Response:
        require(request.user, "view", Server)
        require_whole(request.user)
        only_known(request, ())
        findings = doctor.examine()
        return Response({"ok": all(f.level != "error" for f in findings), "findings": [asdict(f) for f in findings]})
