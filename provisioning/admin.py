"""What happened and what waits: revisions, held changes, drift."""

from __future__ import annotations

from django.contrib import admin

from accounts_app.admin.base import ReadOnlyAdmin
from provisioning.models import Drift, Hold, Revision


@admin.register(Revision)
class RevisionAdmin(ReadOnlyAdmin):
    list_display = ("number", "system", "reason", "created_at")
    list_select_related = ("system",)
    search_fields = ("reason", "number")


@admin.register(Hold)
class HoldAdmin(ReadOnlyAdmin):
    list_display = ("account", "reason", "state", "created_at", "decided_by")
    list_select_related = ("system", "decided_by")
    search_fields = ("account", "reason")
    list_filter = ("state",)


@admin.register(Drift)
class DriftAdmin(ReadOnlyAdmin):
    list_display = ("summary", "where", "state", "found_at")
    list_select_related = ("system", "answered_by")
    search_fields = ("summary",)
    list_filter = ("state", "where")
