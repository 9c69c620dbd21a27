"""NATS users: how they prove who they are, what they may do, and the secret that is shown once."""

from __future__ import annotations

from django.contrib import admin

from accounts_app.admin.base import RowAdmin
from accounts_app.admin.roles import PermissionInline
from accounts_app.models import NatsUser


@admin.register(NatsUser)
class NatsUserAdmin(RowAdmin):
    list_display = ("name", "account", "credential", "access", "role", "enabled")
    list_select_related = ("account", "role")
    search_fields = ("name", "description", "account__name")
    list_filter = ("enabled", "credential", "access")
    autocomplete_fields = ("account", "role", "owner")
    inlines = (PermissionInline,)
