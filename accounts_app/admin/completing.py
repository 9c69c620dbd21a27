"""What a field offers as one types: streams with their accounts, and accounts with their systems where there are
several, since many are called the same."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.views.autocomplete import AutocompleteJsonView
from django.http import HttpRequest

from accounts_app.access import systems_of
from accounts_app.admin.asset_forms import whole_name
from accounts_app.models import Account, Stream


class Completing(AutocompleteJsonView):
    def get_queryset(self) -> Any:
        rows = super().get_queryset()
        whose = {Stream: "account", Account: "system"}.get(rows.model)
        return rows.select_related(whose) if whose else rows

    def serialize_result(self, obj: Any, to_field_name: str) -> dict[str, str]:
        found = super().serialize_result(obj, to_field_name)
        if isinstance(obj, Stream):
            found["text"] = whole_name(obj)
        elif isinstance(obj, Account) and len(systems_of(self.request)) > 1:
            found["text"] = f"{obj.name} · {obj.system}"
        return found


def answer(request: HttpRequest) -> Any:
    return Completing.as_view(admin_site=admin.site)(request)


admin.site.autocomplete_view = answer  # type: ignore[method-assign]
