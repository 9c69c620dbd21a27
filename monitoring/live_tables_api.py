"""REST: the tables of what the servers do, a page at a time."""

from __future__ import annotations

import time
from typing import Any, ClassVar

from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts_app.api.pages import LIMIT, MOST
from accounts_app.api.problems import Invalid
from accounts_app.api.query import only_known
from monitoring import live_reach, live_rows, store
from monitoring.events import moment
from monitoring.live_schema import SYSTEM, LiveSchema
from monitoring.tables import TABLES, Type

_PARAMETERS = ("system", "limit", "offset", "ordering", "search", "fields")
_FARTHEST = 10_000_000  # rows that can be skipped
_CELLS: dict[Type, type[serializers.Field[Any, Any, Any, Any]]] = {
    "text": serializers.CharField,
    "count": serializers.IntegerField,
    "bytes": serializers.IntegerField,
    "rate": serializers.FloatField,
    "bytes_rate": serializers.FloatField,
    "percent": serializers.FloatField,
    "time": serializers.DateTimeField,
    "seconds": serializers.FloatField,
    "milliseconds": serializers.FloatField,
    "yes": serializers.BooleanField,
}
_UNITS: dict[Type, str] = {
    "bytes": "Bytes.",
    "rate": "A second.",
    "bytes_rate": "Bytes a second.",
    "percent": "Percent of one core.",
    "seconds": "Seconds.",
    "milliseconds": "Milliseconds.",
}


def _cell(kind: Type) -> serializers.Field[Any, Any, Any, Any]:
    options: dict[str, Any] = {"allow_null": True, "required": False, "help_text": _UNITS.get(kind, "")}
    if kind == "texts":
        return serializers.ListField(child=serializers.CharField(), **options)
    return _CELLS[kind](**options)


def row_of(table: str) -> type[serializers.Serializer[Any]]:
    """The serializer of a table's rows, for the schema. null: it is not known."""
    cells = {column: _cell(kind) for column, kind in TABLES[table].items()}
    return type(f"Live{table.capitalize()}Row", (serializers.Serializer,), cells)


def _page_of(table: str) -> type[serializers.Serializer[Any]]:
    fields = {
        "at": serializers.DateTimeField(allow_null=True, help_text="When it was seen; null: never."),
        "age_s": serializers.FloatField(allow_null=True, help_text="Seconds since then."),
        "live": serializers.BooleanField(help_text="Whether the relay sees the servers now."),
        "seq": serializers.IntegerField(help_text="Of the frame of the live socket that it belongs to."),
        "count": serializers.IntegerField(help_text="Rows that match."),
        "total": serializers.IntegerField(help_text="Rows that there are for you."),
        "results": row_of(table)(many=True),
    }
    return type(f"Live{table.capitalize()}", (serializers.Serializer,), fields)


class LiveTable(APIView):
    """One table. Its figures are the relay's, not the database's."""

    schema = LiveSchema()
    table: ClassVar[str]
    LISTS = True
    ANSWERS: ClassVar[dict[str, Any]]
    OPERATIONS: ClassVar[dict[str, str]]

    def __init_subclass__(cls) -> None:
        cls.ANSWERS = {"GET": _page_of(cls.table)}
        cls.OPERATIONS = {"GET": f"live_{cls.table}"}

    def asks(self) -> list[OpenApiParameter]:
        """What stands behind the ? of its address."""
        ways = [f"{sign}{name}" for name in TABLES[self.table] for sign in ("", "-")]
        limit = {"type": "integer", "minimum": 1, "maximum": MOST, "default": LIMIT}
        offset = {"type": "integer", "minimum": 0, "maximum": _FARTHEST, "default": 0}
        first = live_rows.FIRST[self.table]
        return [
            SYSTEM,
            OpenApiParameter("limit", limit, description="Rows of a page."),
            OpenApiParameter("offset", offset, description="Rows before the page."),
            OpenApiParameter("ordering", str, enum=ways, default=first, description="With - before it, downwards."),
            OpenApiParameter("search", str, description="Rows that hold this in any of their texts."),
            OpenApiParameter("fields", str, description="Only these columns, with commas between."),
            *(OpenApiParameter(name, str, description="Exactly this.") for name in live_rows.filters_of(self.table)),
        ]

    def get(self, request: Any) -> Response:
        live_reach.require_table(request.user, self.table)
        filters, params = live_rows.filters_of(self.table), request.query_params
        only_known(request, (*_PARAMETERS, *filters))
        if len(params.getlist("account")) > 1:
            raise Invalid("account", "This parameter is given twice.")
        limit = whole(params.get("limit"), "limit", LIMIT, 1, MOST)
        offset = whole(params.get("offset"), "offset", 0, 0, _FARTHEST)
        ordering = params.get("ordering") or live_rows.FIRST[self.table]
        if ordering.removeprefix("-") not in TABLES[self.table]:
            raise Invalid("ordering", f"This list can be ordered by {', '.join(TABLES[self.table])}.")
        columns = self._columns(params.get("fields", ""))
        system = live_reach.asked_system(request)
        with live_reach.redis_answers():
            pulse, table = store.read_pulse(system.pk), store.read_table(system.pk, self.table)
        seen = live_rows.kept_to(table, live_reach.names_within(request.user, system))
        equal = {name: params[name] for name in filters if name in params}
        rows = live_rows.matching(table, seen, equal, params.get("search", ""))
        page = live_rows.ordered(table, rows, ordering)[offset : offset + limit]
        return Response(
            {
                "at": moment(table.at) if table.at else None,
                "age_s": age_of(table.at),
                "live": pulse.live,
                "seq": table.seq,
                "count": len(rows),
                "total": len(seen),
                "results": [{name: row[at] for name, at in columns} for row in page],
            }
        )

    def _columns(self, wanted: str) -> list[tuple[str, int]]:
        """(name, place in a row) of the columns that are asked for."""
        known = {name: at for at, name in enumerate(TABLES[self.table])}
        names = [name.strip() for name in wanted.split(",")] if wanted else list(known)
        if unknown := [name for name in names if name not in known]:
            raise Invalid("fields", f"There is no column “{unknown[0][:80]}” here.")
        return [(name, known[name]) for name in names]


def whole(text: str | None, name: str, default: int, least: int, most: int) -> int:
    """A whole number of the address. Raises Invalid."""
    if text is None:
        return default
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and least <= int(text) <= most):
        raise Invalid(name, f"This must be a number from {least} to {most}.")
    return int(text)


def age_of(at: float) -> float | None:
    """Seconds since a moment, None for never."""
    return round(max(0.0, time.time() - at), 3) if at else None


class Servers(LiveTable):
    """What each server does: state, load, connections, rates, JetStream."""

    table = "servers"


class Accounts(LiveTable):
    """What each account uses, against its limits."""

    table = "accounts"


class Connections(LiveTable):
    """Who is connected: app, user, owner, rates, what waits for them."""

    table = "connections"


class Failures(LiveTable):
    """Who was refused, grouped by login, address and reason, and what to do about it."""

    table = "failures"


class Streams(LiveTable):
    """The streams of all accounts."""

    table = "streams"


class Consumers(LiveTable):
    """The consumers of all streams: what waits for them, what came again."""

    table = "consumers"
