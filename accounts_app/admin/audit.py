"""The audit trail: it is read, and nothing else."""

from __future__ import annotations

from django.contrib import admin

from accounts_app.admin.base import ReadOnlyAdmin
from accounts_app.models import AuditEntry


@admin.register(AuditEntry)
class AuditAdmin(ReadOnlyAdmin):
    list_display = ("at", "act", "object_name", "object_type", "person_name", "door")
    search_fields = ("act", "object_name", "person_name")
    list_filter = ("door", "object_type")
