"""People who sign in to nunect, in unfold's clothes."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as PlainGroupAdmin
from django.contrib.auth.admin import UserAdmin as PlainUserAdmin
from django.contrib.auth.models import Group, Permission, User
from django.db.models import Q
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from accounts_app.access import ACTS
from accounts_app.admin.base import Asked

admin.site.unregister(User)
admin.site.unregister(Group)


def asked_about() -> Q:
    """The permissions that some door asks for. Django makes four for every table, histories and sessions among them."""
    found = Q()
    for model, its_admin in admin.site._registry.items():
        acts = getattr(its_admin, "acts", ACTS)
        names = {*(f"{act}_{model._meta.model_name}" for act in acts), *dict(model._meta.permissions)}
        found |= Q(content_type__app_label=model._meta.app_label, codename__in=names)
    return found


class HoldsPermissions:
    """A form that offers permissions: those that mean something, and what the row has already."""

    opts: Any

    def formfield_for_manytomany(self, db_field: Any, request: Any = None, **options: Any) -> Any:
        if db_field.related_model is Permission and request is not None:
            pk = str(request.resolver_match.kwargs.get("object_id", ""))
            held = Permission.objects.filter(**{self.opts.model_name: pk if pk.isdecimal() else None})
            options["queryset"] = Permission.objects.filter(asked_about() | Q(pk__in=held.values("pk")))
        field = super().formfield_for_manytomany(db_field, request, **options)  # type: ignore[misc]
        if field is not None and db_field.related_model is Permission:
            field.label_from_instance = _label
        return field


def _label(permission: Permission) -> str:
    """“Access | account | Can add account”, in the words of today: Django keeps those of the day it was made."""
    act, _, name = permission.codename.partition("_")
    model = permission.content_type.model_class()
    if model is None or act not in ACTS or name != model._meta.model_name:
        return str(permission)
    return f"{permission.content_type} | Can {act} {model._meta.verbose_name}"


# {field: (its label, "" for Django's; what it means)}; Django's own words are of users, which are NATS's here
WORDS: dict[str, tuple[Any, Any]] = {
    "is_active": ("", _("Who is not active can't sign in. Take this away rather than delete somebody.")),
    "is_staff": ("", _("Lets this person into nunect.")),
    "is_superuser": ("", _("This person may do everything, whatever else stands here.")),
    "groups": ("", _("This person has all permissions of these groups, too.")),
    "user_permissions": (_("Permissions"), _("What this person may do beside what their groups may.")),
}


class NewPersonForm(UserCreationForm):
    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if "usable_password" in self.fields:
            told = _("Who has no password must come in another way, such as single sign-on.")
            self.fields["usable_password"].help_text = told


class PersonForm(UserChangeForm):
    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if "password" in self.fields:
            told = (_("Nobody can read it."), _("Give another one"))
            self.fields["password"].help_text = format_html('{} <a href="../password/" class="nu-link">{}</a>.', *told)


@admin.register(User)
class UserAdmin(HoldsPermissions, Asked, PlainUserAdmin, ModelAdmin):
    form = PersonForm
    add_form = NewPersonForm
    add_form_template = "accounts_app/person_add.html"
    change_password_form = AdminPasswordChangeForm
    change_user_password_template = "accounts_app/person_password.html"  # noqa: S105
    show_full_result_count = False
    list_per_page = 50

    def formfield_for_dbfield(self, db_field: Any, request: Any, **options: Any) -> Any:
        field: Any = super().formfield_for_dbfield(db_field, request, **options)
        if field is not None and db_field.name in WORDS:
            label, field.help_text = WORDS[db_field.name]
            if label:
                field.label = label
                getattr(field.widget, "widget", field.widget).verbose_name = label
        return field


@admin.register(Group)
class GroupAdmin(HoldsPermissions, Asked, PlainGroupAdmin, ModelAdmin):
    pass
