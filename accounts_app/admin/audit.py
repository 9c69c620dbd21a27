"""The audit trail: it is read, and nothing else."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import RangeDateTimeFilter

from accounts_app.admin.base import ReadOnlyAdmin
from accounts_app.door import who_by
from accounts_app.models import AuditEntry

NAMED = 3  # of the objects of one act


@admin.register(AuditEntry)
class AuditAdmin(ReadOnlyAdmin):
    list_display = ("at", "act", "about", "object_type", "who", "door")
    search_fields = ("act", "object_name", "person_name", "request_id")
    list_filter = (("at", RangeDateTimeFilter),)
    fields = ("at", "act", "object_type", "object_name", "object_id", "who", "door", "detail", "request_id")

    @admin.display(description=_("object"), ordering="object_name")
    def about(self, entry: AuditEntry) -> Any:
        """What it was done to; of an act on several, the first of them."""
        names = entry.detail.get("users") or ()
        more = f" +{len(names) - NAMED}" if len(names) > NAMED else ""
        return entry.object_name or ", ".join(map(str, names[:NAMED])) + more

    @admin.display(description=_("who"), ordering="person_name")
    def who(self, entry: AuditEntry) -> Any:
        return who_by(entry.person_name, entry.door)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return self.fields
