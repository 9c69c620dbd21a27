"""A list as a file: what is filtered and visible, as CSV for people and JSON for programs; never a secret."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator
from typing import Any

from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import PermissionDenied
from django.core.serializers.json import DjangoJSONEncoder
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import path
from django.utils import timezone

from accounts_app.models import record
from accounts_app.sheets import harmless

KINDS = {"csv": "text/csv; charset=utf-8", "json": "application/json"}


class Listed:
    """Gives a list its `export.csv` and `export.json`. LISTED: the columns, as lookups.

    No password hash and no nkey ever stands in it: whoever may manage credentials finds those on their pages.
    """

    LISTED: tuple[str, ...] = ()

    def get_urls(self) -> list[Any]:
        page: Any = self
        name = f"{page.opts.app_label}_{page.opts.model_name}_export"
        own = path("export.<str:kind>", page.admin_site.admin_view(self.export_view), name=name)
        return [own, *super().get_urls()] if self.LISTED else super().get_urls()  # type: ignore[misc]

    def export_view(self, request: HttpRequest, kind: str) -> HttpResponse:
        """The rows that the list shows with the same question, all pages of them."""
        page: Any = self
        if kind not in KINDS:
            raise Http404
        if not page.has_view_permission(request):
            raise PermissionDenied
        try:
            rows = page.get_changelist_instance(request).get_queryset(request)
        except IncorrectLookupParameters:
            return HttpResponseRedirect(f"{request.path}?e=1" if "e" not in request.GET else request.path)
        named = [page.system_name()] if page.tells_system(request) else []
        found = rows.values_list(*named, *self.LISTED)
        columns = [*("system" for _ in named), *(column.replace("__", "_") for column in self.LISTED)]
        text, count = (_csv if kind == "csv" else _json)(columns, found.iterator(chunk_size=2000))
        record("exported", None, what=str(page.opts.verbose_name_plural), rows=count, format=kind)
        name = f"{page.opts.model_name}-{timezone.localdate().isoformat()}.{kind}"
        headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
        return HttpResponse(text, content_type=KINDS[kind], headers=headers)


def _csv(columns: list[str], rows: Iterable[tuple[Any, ...]]) -> tuple[str, int]:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(columns)
    count = 0
    for count, row in enumerate(rows, start=1):  # noqa: B007  the count is the answer
        writer.writerow([_cell(value) for value in row])
    return out.getvalue(), count


def _cell(value: Any) -> Any:
    """A value for a spreadsheet, which would run a text that starts like a formula."""
    if isinstance(value, list):
        value = " ".join(map(str, value))
    if isinstance(value, str):
        return harmless(value)
    return value.isoformat() if hasattr(value, "isoformat") else value


def _json(columns: list[str], rows: Iterator[tuple[Any, ...]]) -> tuple[str, int]:
    found = [dict(zip(columns, row, strict=True)) for row in rows]
    return json.dumps(found, cls=DjangoJSONEncoder, ensure_ascii=False, indent=1), len(found)
