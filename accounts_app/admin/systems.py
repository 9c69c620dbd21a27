"""Systems and the servers that were seen in them."""

from __future__ import annotations

from django.contrib import admin

from accounts_app.admin.base import ReadOnlyAdmin, RowAdmin
from accounts_app.models import Server, System


@admin.register(System)
class SystemAdmin(RowAdmin):
    list_display = ("name", "environment", "drift_policy")
    search_fields = ("name",)


@admin.register(Server)
class ServerAdmin(ReadOnlyAdmin):
    list_display = ("name", "system", "state", "version", "host", "revision", "seen_at")
    list_select_related = ("system",)
    search_fields = ("name", "host")
    list_filter = ("state",)
