"""People who sign in to nunect, in unfold's clothes."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as PlainGroupAdmin
from django.contrib.auth.admin import UserAdmin as PlainUserAdmin
from django.contrib.auth.models import Group, Permission, User
from django.db.models import Q
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
        return super().formfield_for_manytomany(db_field, request, **options)  # type: ignore[misc]


@admin.register(User)
class UserAdmin(HoldsPermissions, Asked, PlainUserAdmin, ModelAdmin):
    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    show_full_result_count = False
    list_per_page = 50


@admin.register(Group)
class GroupAdmin(HoldsPermissions, Asked, PlainGroupAdmin, ModelAdmin):
    pass
