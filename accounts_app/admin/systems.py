"""Systems and the servers that were seen in them."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter

from accounts_app.access import may, reaches_all
from accounts_app.admin import chips
from accounts_app.admin.base import ReadOnlyAdmin, RowAdmin
from accounts_app.admin.system_form import SystemForm
from accounts_app.models import Server, System
from accounts_app.servers import forget_server
from accounts_app.systems import begin, finish

OWN = ("guard_nkey", "control_nkey", "relay_nkey", "jetstream_nkey", "system_account")


@admin.register(System)
class SystemAdmin(RowAdmin):
    list_before_template = "accounts_app/system_list_head.html"
    list_display = ("name", "environment", "chip", "drift_policy", "checked_at")
    search_fields = ("name",)
    fieldsets = (
        (None, {"fields": ("name", "environment", "drift_policy")}),
        (_("Where it is"), {"fields": ("conf_dir", "nats_url", "public_url")}),
        (_("TLS"), {"fields": ("tls_ca", "tls_certificate", "tls_key", "tls_first")}),
        (_("Login while it is only observed"), {"fields": ("login_user", "login_secret", "forget_login")}),
        (_("What nunect is in it"), {"fields": OWN}),
    )
    form = SystemForm
    change_form_template = "accounts_app/system_form.html"
    readonly_fields = OWN

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Nobody has to forget a login that isn't there, and a new system has no keys yet."""
        gone = set() if obj is not None and obj.login_secret else {"forget_login"}
        shown = self.fieldsets if obj is not None else self.fieldsets[:-1]
        return [(title, {"fields": [one for one in given["fields"] if one not in gone]}) for title, given in shown]

    def head(self, request: HttpRequest, object_id: str | None) -> dict[str, Any]:
        """Beside the form, a button that tries what it says."""
        told = super().head(request, object_id)
        row = self.get_object(request, unquote(object_id)) if object_id else None
        if row is not None and self.has_change_permission(request, row) and reaches_all(request.user):
            told["nu_try"] = reverse("admin:provisioning_connection_try", args=[row.pk])
        elif object_id is None and self.has_add_permission(request):
            told["nu_try"] = reverse("admin:provisioning_connection_try_new")
        return told

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """Where somebody has edited by hand until now, they may go on to."""
        return {"drift_policy": System.DriftPolicy.ASK, **super().get_changeform_initial_data(request)}

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may(request.user, "add", System) and reaches_all(request.user)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        if not change:
            begin(obj)
        super().save_model(request, obj, form, change)
        if not change:
            finish(obj)

    def response_post_save_add(self, request: HttpRequest, obj: Any) -> HttpResponse:
        """Whoever has added servers wants to know whether nunect gets there."""
        return HttpResponseRedirect(reverse("admin:provisioning_connection_of", args=[obj.pk]))

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Server)
class ServerAdmin(ReadOnlyAdmin):
    acts = ("view", "delete")
    change_form_outer_before_template = "accounts_app/object_head.html"
    list_display = ("name", "chip", "version", "host", "revision", "seen_at")
    list_select_related = ("system",)
    SYSTEM = ("system",)
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

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Only one that doesn't answer can be forgotten; any other would be known again at the next look."""
        gone = obj is None or obj.state == Server.State.UNREACHABLE
        return gone and may(request.user, "delete", Server)

    def delete_model(self, request: HttpRequest, obj: Server) -> None:
        forget_server(obj)

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        told = _("Nobody waits for a server that is forgotten. One that comes back is known again.")
        try:
            return super().delete_view(request, object_id, {"subtitle": told, **(extra_context or {})})
        except ValidationError as refused:  # it has come back at this moment
            self.message_user(request, " ".join(refused.messages), messages.ERROR)
            return HttpResponseRedirect(reverse("admin:accounts_app_server_change", args=[object_id]))
