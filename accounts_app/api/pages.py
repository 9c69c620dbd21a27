"""Pages of a list by what their last row says, so that the thousandth costs as much as the first."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.core.exceptions import ValidationError
from django.db.models import F, Q, QuerySet
from rest_framework.pagination import BasePagination

from accounts_app.api.problems import Invalid

LIMIT, MOST = 100, 1000


class Pages(BasePagination):
    """How the schema tells of a page, which `page` makes."""

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        follows = {"type": ["string", "null"], "format": "uri", "description": "The next page; null at the end."}
        properties = {"results": schema, "next": follows}
        return {"type": "object", "required": ["results", "next"], "properties": properties}

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        return []


@dataclass(frozen=True, slots=True)
class Page:
    """rows: as `rows_of` gives them; next: the address of the page after, None for the last."""

    rows: list[dict[str, Any]]
    next: str | None


def rows_of(queryset: QuerySet[Any], columns: dict[str, Any]) -> list[dict[str, Any]]:
    """[{name: value}] of a queryset. columns: {name: expression}; a name may be that of another field."""
    return [dict(zip(columns, values, strict=True)) for values in queryset.values_list(*columns.values())]


def page(request: Any, queryset: QuerySet[Any], columns: dict[str, Any], ordering: dict[str, str], first: str) -> Page:
    """The page of a list that a request asks for.

    columns: {name: expression} of a row; ordering: {name that `?ordering=` takes: column that is never null};
    first: the one when nobody asks.
    """
    params = request.query_params
    limit = _limit(params.get("limit", ""))
    asked = params.get("ordering") or first
    name, down = asked.removeprefix("-"), asked.startswith("-")
    if name not in ordering:
        raise Invalid("ordering", f"This list can be ordered by {', '.join(ordering)}.")
    column = ordering[name]
    if cursor := params.get("cursor"):
        queryset = queryset.filter(_after(queryset, column, down, *_read(cursor, asked)))
    order = [column] if column == "pk" else [column, "pk"]
    rows = queryset.order_by(*(f"-{each}" if down else each for each in order))
    found = list(rows.values_list(F(column), F("pk"), *columns.values())[: limit + 1])
    address = None
    if len(found) > limit:
        query = {key: params.getlist(key) for key in params if key != "cursor"}
        query["cursor"] = [cursor_of(asked, *found[limit - 1][:2])]
        address = request.build_absolute_uri(f"{request.path}?{urlencode(query, doseq=True)}")
    return Page([dict(zip(columns, values[2:], strict=True)) for values in found[:limit]], address)


def _limit(text: str) -> int:
    if not text:
        return LIMIT
    if not (text.isascii() and text.isdecimal() and len(text) < 8 and 1 <= int(text) <= MOST):
        raise Invalid("limit", f"This must be a number from 1 to {MOST}.")
    return int(text)


def _after(queryset: QuerySet[Any], column: str, down: bool, value: Any, pk: int) -> Q:
    later = "lt" if down else "gt"
    if column == "pk":
        return Q(**{f"pk__{later}": pk})
    try:
        value = queryset.model._meta.get_field(column).to_python(value)
    except (ValidationError, ValueError, TypeError, OverflowError):
        raise Invalid("cursor", "This is no cursor of this list.") from None
    return Q(**{f"{column}__{later}e": value}) & (Q(**{f"{column}__{later}": value}) | Q(**{f"pk__{later}": pk}))


def cursor_of(asked: str, value: Any, pk: int) -> str:
    """What stands for the row after which a page starts. value: of the column that `?ordering=` names."""
    text = json.dumps([asked, value if isinstance(value, int) else str(value), pk])
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _read(cursor: str, asked: str) -> tuple[Any, int]:
    try:
        order, value, pk = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, TypeError):
        raise Invalid("cursor", "This is no cursor of this list.") from None
    fits = order == asked and isinstance(pk, int) and abs(pk) < 2**63 and isinstance(value, str | int)
    if not fits or "\x00" in str(value):
        raise Invalid("cursor", "This cursor belongs to another list or order.")
    return value, pk
