"""REST: picking up credentials by a one-time link, without a log-in."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiParameter, PolymorphicProxySerializer, extend_schema
from rest_framework import serializers, status
from rest_framework.exceptions import APIException, NotFound
from rest_framework.permissions import AllowAny
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts_app.api.fields import Strict, Text
from accounts_app.api.parsers import SmallJsonParser
from accounts_app.api.people import LocalAuthentication, StrangerThrottle, TokenAuthentication
from accounts_app.api.problems import Conflict
from accounts_app.api.query import OF_WRITES, flag, only_known
from provisioning.api.schemas import PlainSchema
from provisioning.blueprints import handover
from provisioning.blueprints.handover import HandOverError, Opener

NOT_READY_S = 2  # when to ask again


class Over(APIException):
    """The link has opened before, was withdrawn, or its time is over."""

    status_code = status.HTTP_410_GONE


class NotReady(Conflict):
    wait = NOT_READY_S


class Opening(Strict, serializers.Serializer[Any]):
    token = Text(help_text="What stands behind the # of the link.")


class OwnStream(serializers.Serializer[Any]):
    """A stream or bucket of the account."""

    kind = serializers.CharField(help_text="stream, kv or object.")
    name = serializers.CharField()
    subjects = serializers.ListField(child=serializers.CharField(), help_text="Of a stream.")


class FirstCommand(serializers.Serializer[Any]):
    """A command of the nats command line to begin with; it runs beside the files."""

    does = serializers.CharField()
    command = serializers.CharField()


class Connecting(serializers.Serializer[Any]):
    """How a client connects; with the secret in it."""

    account = serializers.CharField()
    url = serializers.CharField()
    context = serializers.DictField(  # type: ignore[assignment]
        help_text="A context file of the nats command line."
    )
    files = serializers.DictField(child=serializers.CharField(), help_text="{name: content}; context and env name them")
    env = serializers.CharField()
    snippet = serializers.CharField()
    may = serializers.ListField(child=serializers.CharField(), help_text="What this user may do, in words.")
    streams = OwnStream(many=True, help_text="Streams and buckets of its account.")
    first = FirstCommand()


class Credential(serializers.Serializer[Any]):
    kind = serializers.CharField(help_text="nkey or password.")
    secret = serializers.CharField()
    connect = Connecting(allow_null=True, help_text="null when the user is gone.")


class Opened(serializers.Serializer[Any]):
    """The credentials, or what a dry run says of them."""

    users = serializers.DictField(child=Credential(), help_text="{name: credential}; told this once.")


class Awaited(serializers.Serializer[Any]):
    """What the link will open."""

    title = serializers.CharField()
    users = serializers.ListField(child=serializers.CharField())
    expires_at = serializers.DateTimeField()


class Open(APIView):
    """Pick up credentials by a one-time link: exactly once. Who has the link needs no log-in."""

    OPERATIONS = {"POST": "hand_overs_open"}
    schema = PlainSchema()
    authentication_classes = [TokenAuthentication, LocalAuthentication]
    permission_classes = [AllowAny]
    throttle_classes = [StrangerThrottle]
    parser_classes = [SmallJsonParser]

    @extend_schema(
        request=Opening,
        responses={200: PolymorphicProxySerializer("OpenedOrAwaited", [Opened, Awaited], None)},
        parameters=[OpenApiParameter("dry_run", bool, description="Say what it would open, and open nothing.")],
    )
    def post(self, request: Any) -> Response:
        only_known(request, OF_WRITES)
        asked = Opening(data=request.data)
        asked.is_valid(raise_exception=True)
        token = asked.validated_data["token"]
        try:
            if flag(request, "dry_run"):
                seen = handover.look(token)
                told: dict[str, Any] = {"title": seen.title, "users": list(seen.users), "expires_at": seen.expires_at}
            else:
                told = {"users": handover.open_once(token, _opener(request))}
        except HandOverError as refused:
            raise _problem(refused) from refused
        return Response(told, headers={"Cache-Control": "no-store"})


def _opener(request: Any) -> Opener:
    person = request.user
    name = (person.get_username() or str(person)) if person.is_authenticated else ""
    return Opener(name, request.META.get("REMOTE_ADDR", ""), request.headers.get("User-Agent", ""))


def _problem(refused: HandOverError) -> APIException:
    match refused.reason:
        case "unknown":
            return NotFound(str(refused))
        case "not_ready":
            return NotReady(str(refused))
        case _:
            return Over(str(refused))
