"""Roles and their permissions."""

from __future__ import annotations

from django.contrib import admin

from accounts_app.admin.base import RowAdmin, RowInline
from accounts_app.models import Role, SubjectPermission


class PermissionInline(RowInline):
    model = SubjectPermission
    fields = ("effect", "action", "subject", "queue")


@admin.register(Role)
class RoleAdmin(RowAdmin):
    list_display = ("name", "account", "description")
    list_select_related = ("account", "system")
    search_fields = ("name", "description", "account__name")
    autocomplete_fields = ("account",)
    inlines = (PermissionInline,)


@admin.register(SubjectPermission)
class PermissionAdmin(RowAdmin):
    list_display = ("subject", "effect", "action", "queue", "role", "user")
    list_select_related = ("role__account", "user__account")
    search_fields = ("subject", "queue", "role__name", "user__name")
    list_filter = ("effect", "action")
    autocomplete_fields = ("role", "user")
