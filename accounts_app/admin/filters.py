"""What the lists of all rooms are narrowed by: how far a row is, and a related row."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db import models
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import AutocompleteSelectFilter, DropdownFilter

from accounts_app.access import visible
from accounts_app.admin import chips
from accounts_app.models import System

UNWRITTEN = (System.Stage.OBSERVED.value, System.Stage.RELEASED.value)  # what an account is where nunect writes nothing


class StateFilter(DropdownFilter):
    """Rows by the state of their account. PATH: how to reach the account from the row."""

    title = _("state")
    parameter_name = "state"
    PATH = "account__"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [(name, chips.STATES[name][1]) for name in ("applied", "pending", "held", "failed", *UNWRITTEN)]

    def queryset(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> models.QuerySet[Any]:
        path, state = self.PATH, self.value()
        if state in UNWRITTEN:
            return queryset.filter(**{f"{path}system__stage": state})
        if state:
            queryset = queryset.filter(**{f"{path}system__stage": System.Stage.MANAGED})
        if state == "applied":
            return queryset.filter(**{f"{path}wanted": models.F(f"{path}done")})
        moving = queryset.exclude(**{f"{path}wanted": models.F(f"{path}done")})
        answered = {f"{path}problem_wanted": models.F(f"{path}wanted")}
        if state in ("held", "failed"):
            return moving.filter(**answered, **{f"{path}problem_kind": state})
        if state == "pending":
            return moving.exclude(models.Q(**answered) & ~models.Q(**{f"{path}problem_kind": ""}))
        return queryset


class OwnStateFilter(StateFilter):
    """The same for accounts themselves."""

    PATH = ""


class RelatedFilter(AutocompleteSelectFilter):
    """Rows by a related row, which is named to those only who may see it."""

    def choices(self, changelist: Any) -> Iterator[Any]:
        for choice in super().choices(changelist):
            field = choice["form"].fields[self.lookup_kwarg]
            field.queryset = visible(field.queryset.all(), self.request.user)
            yield choice
