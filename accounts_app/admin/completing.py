"""What a field offers as one types: streams with the accounts that they are of, since many are called the same."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.views.autocomplete import AutocompleteJsonView
from django.http import HttpRequest

from accounts_app.admin.asset_forms import whole_name
from accounts_app.models import Stream


class Completing(AutocompleteJsonView):
    def get_queryset(self) -> Any:
        rows = super().get_queryset()
        return rows.select_related("account") if rows.model is Stream else rows

    def serialize_result(self, obj: Any, to_field_name: str) -> dict[str, str]:
        found = super().serialize_result(obj, to_field_name)
        return {**found, "text": whole_name(obj)} if isinstance(obj, Stream) else found


def answer(request: HttpRequest) -> Any:
    return Completing.as_view(admin_site=admin.site)(request)


admin.site.autocomplete_view = answer  # type: ignore[method-assign]
