"""REST: one connection as its server sees it now, and its end."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from django.db.models import Q
from django.http import Http404
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts_app.access import may, require
from accounts_app.api.fields import Number, Strict, Text
from accounts_app.api.problems import Conflict, Invalid
from accounts_app.api.query import OF_WRITES, flag, only_known
from accounts_app.api.rows import only_system
from accounts_app.conf_text import masked
from accounts_app.models import NatsUser, System, record
from accounts_app.stages import WRITTEN, refuse
from monitoring import live_reach, store
from monitoring.live_schema import SYSTEM, LiveSchema
from monitoring.live_tables_api import row_of
from monitoring.sysevents import seconds
from monitoring.tables import TABLES
from provisioning.errors import Unreachable
from provisioning.server import Fleet

SUBSCRIPTIONS = 1000  # that are told one by one
_ID = "N[A-Z2-7]{55}"  # of a server: it becomes part of a subject
_MOST = 2**63 - 1


class Connection(row_of("connections")):  # type: ignore[misc]
    subscriptions_list = serializers.ListField(
        child=serializers.CharField(), help_text=f"Subjects, the first {SUBSCRIPTIONS}."
    )


class Kicked(serializers.Serializer[Any]):
    closed = serializers.BooleanField(help_text="false: it would be, but for the dry run.")
    connection = Connection()


class Kick(Strict, serializers.Serializer[Any]):
    system = Text(
        required=False,
        max_length=64,
        help_text="Its name; when it is left out the only system, or the only managed one.",
    )
    server_id = Text(max_length=56, help_text="As the row of the connection has it.")
    cid = Number(min_value=0, max_value=_MOST)


@contextmanager
def _fleet(system: System) -> Iterator[Fleet]:
    """The servers, to be asked. Raises Unavailable when they don't answer."""
    try:
        with Fleet(system) as fleet:
            yield fleet
    except Unreachable as error:
        raise live_reach.Unavailable("The server doesn't answer now: try again.") from error


def _of_server(fleet: Fleet, system: System, person: Any, server_id: str, cid: int) -> dict[str, Any]:
    """A connection that the person may see. Raises Http404."""
    if not re.fullmatch(_ID, server_id) or cid > _MOST:
        raise Http404
    told = fleet.connection(server_id, cid)
    names = live_reach.names_within(person, system)
    if told is None or (names is not None and told.get("account") not in names):
        raise Http404
    return told


def _row(system: System, server_id: str, told: dict[str, Any], person: Any) -> dict[str, Any]:
    """The row of the table, with what the server says now in place of what was seen."""
    row: dict[str, Any] = dict.fromkeys(TABLES["connections"]) | _known(system, server_id, told["cid"])
    if row["cid"] is None:
        row |= _owner(system, told, keys=may(person, "change", NatsUser))
    return row | {
        "server": told["server"],
        "server_id": server_id,
        "cid": told["cid"],
        "account": told.get("account", ""),
        "app": told.get("name", ""),
        "address": told.get("ip", ""),
        "kind": told.get("type", ""),
        "lang": told.get("lang", ""),
        "version": told.get("version", ""),
        "started_at": told.get("start"),
        "idle_s": seconds(told.get("idle", "")),
        "rtt_ms": _milliseconds(told.get("rtt", "")),
        "own": bool(row["own"]) or _is_own(system, told),
        **{name: told.get(name, 0) for name in ("subscriptions", "pending_bytes", "in_msgs", "out_msgs")},
        "subscriptions_list": (told.get("subscriptions_list") or [])[:SUBSCRIPTIONS],
    }


def _known(system: System, server_id: str, cid: int) -> dict[str, Any]:
    """The row that the relay has, {} when it has none or can't be read."""
    with suppress(live_reach.Unavailable), live_reach.redis_answers():
        table = store.read_table(system.pk, "connections")
        at, at_server = table.index("cid"), table.index("server_id")
        for row in table.rows:
            if row[at] == cid and row[at_server] == server_id:
                return dict(zip(table.columns, row, strict=True))
    return {}


def _owner(system: System, told: dict[str, Any], *, keys: bool) -> dict[str, Any]:
    """Whose connection it is by the rows. The server knows a user with an nkey by that alone."""
    login = told.get("authorized_user", "")
    users = NatsUser.objects.filter(system=system, account__name=told.get("account", "")).select_related("owner")
    user = users.filter(Q(nkey=login) | Q(retiring_nkey=login) | Q(name=login)).first() if login else None
    if user is None:
        return {"user": masked(login, keys=keys), "owner": ""}
    return {"user": user.name, "user_pk": user.pk, "owner": user.owner.get_username() if user.owner else ""}


def _is_own(system: System, told: dict[str, Any]) -> bool:
    return told.get("authorized_user", "") in system.own_nkeys


def _milliseconds(text: str) -> float | None:
    found = seconds(text)
    return None if found is None else round(found * 1000, 2)


class OneConnection(APIView):
    """One connection, asked from its server at this moment, with what it subscribes to."""

    schema = LiveSchema()
    OPERATIONS = {"GET": "live_connection"}
    ANSWERS = {"GET": Connection}

    def asks(self) -> list[OpenApiParameter]:
        return [
            SYSTEM,
            OpenApiParameter("server_id", {"type": "string", "pattern": f"^{_ID}$"}, OpenApiParameter.PATH),
            OpenApiParameter("cid", {"type": "integer", "minimum": 0, "maximum": _MOST}, OpenApiParameter.PATH),
        ]

    def get(self, request: Any, server_id: str, cid: int) -> Response:
        live_reach.require_table(request.user, "connections")
        only_known(request, ("system",))
        system = live_reach.asked_system(request)
        with _fleet(system) as fleet:
            told = _of_server(fleet, system, request.user, server_id, cid)
        return Response(_row(system, server_id, told, request.user))


class KickConnection(APIView):
    """Close a connection. Its client may come back: disable its user to keep it out."""

    schema = LiveSchema()
    OPERATIONS = {"POST": "live_kick"}
    ANSWERS = {"POST": Kicked}
    BODIES = {"POST": Kick}

    def asks(self) -> list[OpenApiParameter]:
        return []

    def post(self, request: Any) -> Response:
        require(request.user, "change", NatsUser)
        only_known(request, OF_WRITES)
        if not isinstance(request.data, dict):
            raise Invalid("", "The body must be a map of fields.")
        given = Kick(data=request.data)
        given.is_valid(raise_exception=True)
        asked = given.validated_data
        system, dry = only_system(request.user, asked.get("system", ""), WRITTEN), flag(request, "dry_run")
        refuse(system)
        with _fleet(system) as fleet:
            told = _of_server(fleet, system, request.user, asked["server_id"], asked["cid"])
            row = _row(system, asked["server_id"], told, request.user)
            if row["own"]:
                raise Conflict("This is nunect's own connection: it would only come back.")
            if not dry and not fleet.kick(asked["server_id"], asked["cid"]):
                raise Http404
        if not dry:
            _remember(system, row)
        return Response({"closed": not dry, "connection": row})


def _remember(system: System, row: dict[str, Any]) -> None:
    user = NatsUser.objects.filter(pk=row["user_pk"]).first() if row["user_pk"] else None
    words = {name: row[name] for name in ("app", "user", "account", "address", "server", "cid")}
    record("connection kicked", user or system, **words)
