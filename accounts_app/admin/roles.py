"""Roles, and the permissions of roles and users."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from accounts_app.admin import chips
from accounts_app.admin.base import DistinctFormSet, RowAdmin, RowForm, RowInline, counted, first_system, head_of
from accounts_app.admin.filters import RelatedFilter, StateFilter
from accounts_app.models import NatsUser, Role, SubjectPermission
from accounts_app.natsconf.names import CONNECTION_TYPES

WILDCARDS = format_html(
    "<code>*</code> {} <code>&gt;</code> {} <code>orders.*.created</code>, <code>orders.&gt;</code>. {}",
    _("stands for one token,"),
    _("for all that follow and only at the end:"),
    _("Once a publish or subscribe is allowed, all others of its kind are not; a deny goes over every allow."),
)
TEMPLATES = format_html(
    "{} <code>{}</code> {} <code>{}</code> {}",
    _("In a role,"),
    "{{name()}}",
    _("becomes the user's name and"),
    "{{account-name()}}",
    _("its account's."),
)


class ConnectionTypesField(forms.MultipleChoiceField):
    """The ways to connect, ticked: what comes in is always a list of known names."""

    def __init__(self, **options: Any) -> None:
        choices = [(name, name.lower().replace("_", " ")) for name in CONNECTION_TYPES]
        super().__init__(choices=choices, required=False, widget=UnfoldAdminCheckboxSelectMultipleWidget, **options)


class PermissionForm(RowForm):
    class Meta:
        model = SubjectPermission
        fields = "__all__"


class PermissionFormSet(DistinctFormSet):
    DISTINCT = ("action", "effect", "queue", "subject")
    MESSAGE = _("This permission stands here twice.")

    def clean(self) -> None:
        super().clean()
        if self.fk.name != "user":
            return
        for form in self.forms:
            if "{{" in (getattr(form, "cleaned_data", None) or {}).get("subject", ""):
                text = _("Templates belong into roles; a user's own subject is written out.")
                if not form.has_error("subject"):
                    form.add_error("subject", text)


class PermissionInline(RowInline):
    model = SubjectPermission
    form = PermissionForm
    formset = PermissionFormSet
    template = "accounts_app/permission_inline.html"
    fields = ("effect", "action", "subject", "queue")
    verbose_name_plural = _("permissions")


class RoleForm(RowForm):
    CHECKED = ("system",)

    connection_types = ConnectionTypesField(
        help_text=_("How its users may connect; none ticked: in every way."), label=_("connection types")
    )

    class Meta:
        model = Role
        fields = "__all__"

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        account = cleaned.get("account")
        if account is not None:
            cleaned["system"] = account.system
            self.instance.system = account.system
            self.errors.pop("system", None)
        return cleaned


@admin.register(Role)
class RoleAdmin(RowAdmin):
    form = RoleForm
    list_display = ("name", "of_account", "chip", "user_count", "rule_count", "description")
    list_select_related = ("account__system", "system")
    LISTED = (
        "name",
        "account__name",
        "description",
        "allow_responses",
        "responses_max",
        "responses_expires",
        "connection_types",
    )
    list_filter = (("account", RelatedFilter),)
    SYSTEM = ("system",)
    search_fields = ("name", "description", "account__name")
    autocomplete_fields = ("account", "system")
    inlines = (PermissionInline,)
    fieldsets = (
        (None, {"fields": ("account", "system", "name", "description")}),
        (
            _("Replies and connections"),
            {"fields": ("allow_responses", ("responses_max", "responses_expires"), "connection_types")},
        ),
    )
    conditional_fields = {
        "responses_max": "allow_responses == true",
        "responses_expires": "allow_responses == true",
    }

    def get_queryset(self, request: HttpRequest) -> Any:
        rows = super().get_queryset(request)
        if request.resolver_match and request.resolver_match.url_name == "accounts_app_role_changelist":
            rows = rows.annotate(
                user_total=counted(NatsUser, "role", request.user),
                rule_total=counted(SubjectPermission, "role", request.user),
            )
        return rows

    @admin.display(description=_("account"), ordering="account__name")
    def of_account(self, role: Role) -> Any:
        return role.account or _("shared by all")

    @admin.display(description=_("users"), ordering="user_total")
    def user_count(self, role: Any) -> int:
        return role.user_total

    @admin.display(description=_("permissions"), ordering="rule_total")
    def rule_count(self, role: Any) -> int:
        return role.rule_total

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("account", "system") if isinstance(obj, Role) else ()

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        initial: dict[str, Any] = super().get_changeform_initial_data(request)
        initial.setdefault("system", first_system(request.user))
        return initial

    def head(self, request: HttpRequest, object_id: str | None) -> dict[str, Any]:
        return {**super().head(request, object_id), "nu_help": format_html("{} {}", WILDCARDS, TEMPLATES)}


@admin.register(SubjectPermission)
class PermissionAdmin(RowAdmin):
    """All permissions in one list: who may do what on a subject."""

    form = PermissionForm
    list_display = ("subject", "effect", "action", "queue", "role", "user", "chip")
    list_select_related = ("role__account__system", "role__system", "user__account__system")
    LISTED = (
        "subject",
        "effect",
        "action",
        "queue",
        "role__account__name",
        "role__name",
        "user__account__name",
        "user__name",
    )
    search_fields = ("subject", "queue", "role__name", "user__name")
    list_filter = (
        ("effect", ChoicesDropdownFilter),
        ("action", ChoicesDropdownFilter),
        ("role", RelatedFilter),
        ("user", RelatedFilter),
    )
    SYSTEM = ("role__system", "user__account__system")
    autocomplete_fields = ("role", "user")
    fields = ("role", "user", ("effect", "action"), "subject", "queue")
    change_form_before_template = "accounts_app/wildcards.html"

    @admin.display(description=_("state"))
    def chip(self, row: SubjectPermission) -> Any:
        return chips.chip_of(row.role or row.user)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("role", "user") if isinstance(obj, SubjectPermission) else ()

    def head(self, request: HttpRequest, object_id: str | None) -> dict[str, Any]:
        found = super().head(request, object_id)
        row = self.get_object(request, object_id) if found and object_id else None
        if row is not None:
            found = {**found, **head_of(row.role or row.user), "nu_last": found["nu_last"]}
        return {**found, "nu_help": WILDCARDS}


__all__ = ["ConnectionTypesField", "PermissionAdmin", "PermissionInline", "RoleAdmin", "StateFilter"]
