"""Sharing between accounts, and subject mappings."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import Prefetch
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import BooleanRadioFilter, ChoicesDropdownFilter

from accounts_app.access import visible
from accounts_app.admin import chips
from accounts_app.admin.base import DistinctFormSet, RowAdmin, RowForm, RowInline, head_of
from accounts_app.admin.filters import RelatedFilter, StateFilter
from accounts_app.models import Export, ExportAccess, Import, Mapping, MappingDestination
from accounts_app.models.sharing import still_imported


class AccountRowAdmin(RowAdmin):
    """A row of one account, which it keeps."""

    FIXED: tuple[str, ...] = ("account",)
    SYSTEM = ("account__system",)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return self.FIXED if isinstance(obj, self.model) else ()


class AccessForm(RowForm):
    class Meta:
        model = ExportAccess
        fields = "__all__"

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        account, export = cleaned.get("account"), cleaned.get("export") or getattr(self.instance, "export", None)
        owner = getattr(export, "account", None) if getattr(export, "account_id", None) else None
        if account and owner and account.system_id != owner.system_id:
            self.add_error("account", _("This account belongs to another system."))
        return cleaned


class AccessFormSet(DistinctFormSet):
    DISTINCT = ("account",)
    MESSAGE = _("This account is listed already.")

    def clean(self) -> None:
        super().clean()
        export = self.instance
        if export.pk and not export.public:
            data = [getattr(form, "cleaned_data", None) or {} for form in self.forms]
            kept = {row["account"].pk for row in data if row.get("account") and not row.get("DELETE")}
            lost = [row for row in export.dependents() if row.account_id not in kept]
            if lost:
                raise ValidationError(still_imported(lost))


class AccessInline(RowInline):
    model = ExportAccess
    form = AccessForm
    formset = AccessFormSet
    autocomplete_fields = ("account",)


class ExportForm(RowForm):
    class Meta:
        model = Export
        fields = "__all__"


class Depended:
    """Rows on which imports of other accounts rest can't be deleted before these."""

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        doomed = list(objs)
        *found, protected = super().get_deleted_objects(doomed, request)  # type: ignore[misc]
        rests = {row.pk: row for each in doomed for row in self.dependents(each)}
        return (*found, [*protected, *(f"{row.account}: import of {row}" for row in rests.values())])

    def dependents(self, row: Any) -> list[Import]:
        raise NotImplementedError


@admin.register(Export)
class ExportAdmin(Depended, AccountRowAdmin):
    form = ExportForm
    list_display = ("subject", "kind", "account", "public", "chip")
    list_select_related = ("account__system",)
    LISTED = ("account__name", "kind", "subject", "public", "account_token_position", "response_type")
    list_filter = (
        StateFilter,
        ("kind", ChoicesDropdownFilter),
        ("public", BooleanRadioFilter),
        ("account", RelatedFilter),
    )
    search_fields = ("subject", "account__name")
    autocomplete_fields = ("account",)
    inlines = (AccessInline,)
    fieldsets = (
        (None, {"fields": ("account", "kind", "subject", "public", "account_token_position")}),
        (
            _("Service"),
            {
                "fields": (
                    ("response_type", "response_threshold"),
                    ("latency_subject", "latency_sampling"),
                    "allow_trace",
                )
            },
        ),
    )
    conditional_fields = dict.fromkeys(
        ("response_type", "response_threshold", "latency_subject", "latency_sampling"), "kind == 'service'"
    )

    def dependents(self, row: Export) -> list[Import]:
        return row.dependents()


@admin.register(ExportAccess)
class ExportAccessAdmin(Depended, AccountRowAdmin):
    FIXED = ("export", "account")
    form = AccessForm
    list_display = ("account", "export", "exporting", "chip")
    list_select_related = ("account__system", "export__account")
    search_fields = ("account__name", "export__subject")
    autocomplete_fields = ("account", "export")
    fields = ("export", "account")

    def dependents(self, row: ExportAccess) -> list[Import]:
        return (
            [] if row.export.public else [each for each in row.export.dependents() if each.account_id == row.account_id]
        )

    @admin.display(description=_("exported by"), ordering="export__account__name")
    def exporting(self, row: ExportAccess) -> Any:
        return row.export.account

    @admin.display(description=_("state"))
    def chip(self, row: ExportAccess) -> Any:
        return chips.chip_of(row.export)

    def head(self, request: HttpRequest, object_id: str | None) -> dict[str, Any]:
        return _head_of_parent(super().head(request, object_id), self, request, object_id, "export")


class ImportForm(RowForm):
    class Meta:
        model = Import
        fields = "__all__"


@admin.register(Import)
class ImportAdmin(AccountRowAdmin):
    form = ImportForm
    list_display = ("subject", "kind", "account", "from_account", "to", "prefix", "chip")
    list_select_related = ("account__system", "from_account")
    LISTED = ("account__name", "from_account__name", "kind", "subject", "to", "prefix", "share", "allow_trace")
    list_filter = (
        StateFilter,
        ("kind", ChoicesDropdownFilter),
        ("account", RelatedFilter),
        ("from_account", RelatedFilter),
    )
    search_fields = ("subject", "to", "prefix", "account__name", "from_account__name")
    autocomplete_fields = ("account", "from_account")
    fields = ("account", "from_account", "kind", "subject", ("to", "prefix"), ("share", "allow_trace"))
    conditional_fields = {"prefix": "kind != 'service'", "share": "kind != 'stream'"}


class DestinationForm(RowForm):
    class Meta:
        model = MappingDestination
        fields = "__all__"


class DestinationFormSet(DistinctFormSet):
    DISTINCT = ("cluster", "subject")
    MESSAGE = _("This destination stands here twice.")

    def clean(self) -> None:
        super().clean()
        weights: dict[str, int] = defaultdict(int)
        if not any(form.has_changed() or form.instance.pk for form in self.forms if form not in self.deleted_forms):
            raise ValidationError(_("Say where it goes: one destination at least."))
        for form in self.forms:
            data = getattr(form, "cleaned_data", None)
            if not data or data.get("DELETE") or "weight" not in data:
                continue
            cluster = data.get("cluster", "")
            weights[cluster] += data["weight"]
            if weights[cluster] > 100:
                form.add_error("weight", _("The weights are %d together; they may be 100 at most.") % weights[cluster])
                break


class DestinationInline(RowInline):
    model = MappingDestination
    min_num = 1
    form = DestinationForm
    formset = DestinationFormSet
    fields = ("subject", "weight", "cluster")


class MappingForm(RowForm):
    class Meta:
        model = Mapping
        fields = "__all__"


@admin.register(Mapping)
class MappingAdmin(AccountRowAdmin):
    form = MappingForm
    list_display = ("source", "account", "goes_to", "chip")
    list_select_related = ("account__system",)
    LISTED = ("account__name", "source", "destinations__subject", "destinations__weight", "destinations__cluster")
    list_filter = (StateFilter, ("account", RelatedFilter))
    search_fields = ("source", "account__name", "destinations__subject")
    autocomplete_fields = ("account",)
    inlines = (DestinationInline,)
    fields = ("account", "source")

    def get_queryset(self, request: HttpRequest) -> Any:
        parts = visible(MappingDestination.objects.all(), request.user)
        return super().get_queryset(request).prefetch_related(Prefetch("destinations", parts))

    @admin.display(description=_("goes to"))
    def goes_to(self, row: Mapping) -> str:
        return ", ".join(f"{part.subject} {part.weight} %" for part in row.destinations.all())


@admin.register(MappingDestination)
class DestinationAdmin(AccountRowAdmin):
    FIXED = ("mapping",)
    SYSTEM = ("mapping__account__system",)
    form = DestinationForm
    list_display = ("subject", "weight", "mapping", "of_account", "cluster", "chip")
    list_select_related = ("mapping__account__system",)
    search_fields = ("subject", "mapping__source")
    autocomplete_fields = ("mapping",)
    fields = ("mapping", "subject", "weight", "cluster")

    @admin.display(description=_("account"), ordering="mapping__account__name")
    def of_account(self, row: MappingDestination) -> Any:
        return row.mapping.account

    @admin.display(description=_("state"))
    def chip(self, row: MappingDestination) -> Any:
        return chips.chip_of(row.mapping)

    def head(self, request: HttpRequest, object_id: str | None) -> dict[str, Any]:
        return _head_of_parent(super().head(request, object_id), self, request, object_id, "mapping")


def _head_of_parent(
    found: dict[str, Any], page: RowAdmin, request: HttpRequest, object_id: str | None, parent: str
) -> dict[str, Any]:
    row = page.get_object(request, object_id) if found and object_id else None
    return {**found, **head_of(getattr(row, parent)), "nu_last": found["nu_last"]} if row is not None else found
