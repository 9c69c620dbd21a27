"""Sharing between accounts, and subject mappings."""

from __future__ import annotations

from django.contrib import admin

from accounts_app.admin.base import RowAdmin, RowInline
from accounts_app.models import Export, ExportAccess, Import, Mapping, MappingDestination


class AccessInline(RowInline):
    model = ExportAccess
    autocomplete_fields = ("account",)


@admin.register(Export)
class ExportAdmin(RowAdmin):
    list_display = ("subject", "kind", "account", "public")
    list_select_related = ("account",)
    list_filter = ("kind", "public")
    search_fields = ("subject", "account__name")
    autocomplete_fields = ("account",)
    inlines = (AccessInline,)


@admin.register(ExportAccess)
class ExportAccessAdmin(RowAdmin):
    list_display = ("account", "export")
    list_select_related = ("account", "export__account")
    search_fields = ("account__name", "export__subject")
    autocomplete_fields = ("account", "export")


@admin.register(Import)
class ImportAdmin(RowAdmin):
    list_display = ("subject", "kind", "account", "from_account", "to", "prefix")
    list_select_related = ("account", "from_account")
    list_filter = ("kind",)
    search_fields = ("subject", "to", "prefix", "account__name", "from_account__name")
    autocomplete_fields = ("account", "from_account")


class DestinationInline(RowInline):
    model = MappingDestination


@admin.register(Mapping)
class MappingAdmin(RowAdmin):
    list_display = ("source", "account")
    list_select_related = ("account",)
    search_fields = ("source", "account__name")
    autocomplete_fields = ("account",)
    inlines = (DestinationInline,)


@admin.register(MappingDestination)
class DestinationAdmin(RowAdmin):
    list_display = ("subject", "weight", "mapping", "cluster")
    list_select_related = ("mapping__account",)
    search_fields = ("subject", "mapping__source")
    autocomplete_fields = ("mapping",)
