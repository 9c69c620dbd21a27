"""Accounts: limits, JetStream, what belongs to them, and what the servers hold of them."""

from __future__ import annotations

from django.contrib import admin

from accounts_app.admin.base import RowAdmin
from accounts_app.models import Account


@admin.register(Account)
class AccountAdmin(RowAdmin):
    list_display = ("name", "system", "enabled", "jetstream", "owner")
    list_select_related = ("system", "owner")
    list_filter = ("system", "enabled", "jetstream")
    search_fields = ("name", "description")
    autocomplete_fields = ("owner",)
