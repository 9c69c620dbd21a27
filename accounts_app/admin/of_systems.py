"""Whose system a row is of, where there are several: a column and a filter of lists that may hold a name twice."""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import Any

from django.contrib import admin
from django.db import models
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import DropdownFilter

from accounts_app.access import systems_of


class SystemFilter(DropdownFilter):
    """Rows of one system, by its name."""

    title = _("system")
    parameter_name = "system"

    def __init__(self, request: HttpRequest, params: dict[str, Any], model: Any, model_admin: Any) -> None:
        self.paths: tuple[str, ...] = model_admin.SYSTEM
        super().__init__(request, params, model, model_admin)

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [(system.name, system.name) for system in systems_of(request)]

    def has_output(self) -> bool:
        return len(self.lookup_choices) > 1

    def queryset(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> models.QuerySet[Any]:
        if not self.value():
            return queryset
        return queryset.filter(reduce(or_, (models.Q(**{f"{path}__name": self.value()}) for path in self.paths)))


class OfSystems:
    """A list of rows of systems. SYSTEM: the ways from a row to its system, the first that leads there counts."""

    SYSTEM: tuple[str, ...] = ()

    def tells_system(self, request: HttpRequest) -> bool:
        """Whether a name may stand there twice."""
        return bool(self.SYSTEM) and len(systems_of(request)) > 1

    def system_name(self) -> str | Coalesce:
        """The name of a row's system, for a query."""
        found = [f"{path}__name" for path in self.SYSTEM]
        return Coalesce(*found) if len(found) > 1 else found[0]

    def get_list_display(self, request: HttpRequest) -> Any:
        shown = list(super().get_list_display(request))  # type: ignore[misc]
        if self.tells_system(request):
            place = next((shown.index(name) for name in ("account", "of_account") if name in shown), 0)
            shown.insert(place + 1, self._column())
        return shown

    def get_list_select_related(self, request: HttpRequest) -> Any:
        related = super().get_list_select_related(request)  # type: ignore[misc]
        return (*(related or ()), *self.SYSTEM) if self.tells_system(request) else related

    def get_list_filter(self, request: HttpRequest) -> Any:
        found = super().get_list_filter(request)  # type: ignore[misc]
        return (*found, SystemFilter) if self.SYSTEM else found

    def _column(self) -> Any:
        @admin.display(description=_("system"), ordering=self.system_name())
        def of_system(row: Any) -> Any:
            return next((found for found in (_along(row, path) for path in self.SYSTEM) if found is not None), None)

        return of_system


def _along(row: Any, path: str) -> Any:
    for step in path.split("__"):
        row = getattr(row, step) if row is not None else None
    return row
