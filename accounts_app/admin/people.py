"""People who sign in to nunect, in unfold's clothes."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as PlainGroupAdmin
from django.contrib.auth.admin import UserAdmin as PlainUserAdmin
from django.contrib.auth.models import Group, User
from unfold.admin import ModelAdmin
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from accounts_app.admin.base import Asked

admin.site.unregister(User)
admin.site.unregister(Group)


@admin.register(User)
class UserAdmin(Asked, PlainUserAdmin, ModelAdmin):
    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    show_full_result_count = False
    list_per_page = 50


@admin.register(Group)
class GroupAdmin(Asked, PlainGroupAdmin, ModelAdmin):
    pass
