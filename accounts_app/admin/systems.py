"""Systems and the servers that were seen in them."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter

from accounts_app.admin import chips
from accounts_app.admin.base import ReadOnlyAdmin, RowAdmin
from accounts_app.models import Server, System

OWN = ("guard_nkey", "control_nkey", "relay_nkey", "jetstream_nkey", "system_account")


@admin.register(System)
class SystemAdmin(RowAdmin):
    list_display = ("name", "environment", "chip", "drift_policy", "checked_at")
    search_fields = ("name",)
    fieldsets = (
        (None, {"fields": ("name", "environment", "drift_policy")}),
        (_("Where it is"), {"fields": ("conf_dir", "nats_url", "public_url")}),
        (_("What nunect is in it"), {"fields": OWN}),
    )
    readonly_fields = OWN

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # `up` makes a system together with its keys and files

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Server)
class ServerAdmin(ReadOnlyAdmin):
    change_form_outer_before_template = "accounts_app/object_head.html"
    list_display = ("name", "system", "chip", "version", "host", "revision", "seen_at")
    list_select_related = ("system",)
    search_fields = ("name", "host")
    list_filter = (("state", ChoicesDropdownFilter),)
    fields = (
        "name",
        "system",
        "chip",
        "detail",
        "version",
        "host",
        "server_id",
        "revision",
        "config_digest",
        "config_load_time",
        "seen_at",
        "jetstream_max_mem",
        "jetstream_max_file",
    )

    @admin.display(description=_("state"), ordering="state")
    def chip(self, server: Server) -> Any:
        return chips.chip(server.state)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return self.fields
