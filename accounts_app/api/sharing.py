"""REST: what accounts share, and how subjects are mapped."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from django.core.exceptions import ValidationError

from accounts_app.access import require
from accounts_app.api import filters
from accounts_app.api import serializers as told
from accounts_app.api.rows import (
    ConfigResource,
    Rows,
    apart,
    replace_all,
    stays,
    sync_columns,
    sync_row,
)
from accounts_app.models import (
    Account,
    Export,
    ExportAccess,
    Import,
    Mapping,
    MappingDestination,
)
from accounts_app.models.base import NOT_YOURS
from accounts_app.models.sharing import still_imported
from accounts_app.natsconf.specs import CONTROL_ACCOUNT


class Exports(ConfigResource):
    """Subjects that other accounts may import."""

    model = Export
    serializer_class = told.ExportSerializer
    filterset_class = filters.ExportFilter
    columns = {
        "id": "id",
        "system": "account__system__name",
        "account": "account__name",
        **{name: name for name in told.ExportSerializer.Meta.fields[3:-1] if name != "accounts"},
        **sync_columns("account__"),
    }
    ordering = {"id": "pk", "subject": "subject"}
    search_fields = ["subject", "account__name"]

    def finished(self, rows: Rows) -> Rows:
        found: dict[int, list[str]] = defaultdict(list)
        listed = ExportAccess.objects.filter(export__in=[row["id"] for row in rows]).order_by("account__name")
        for export, account in listed.values_list("export_id", "account__name"):
            found[export].append(account)
        for row in rows:
            row["accounts"] = found.get(row["id"], [])
        return [sync_row(row) for row in rows]

    def change(self, row: Export, data: dict[str, Any]) -> Export:
        fields = apart(data)
        accounts = fields.pop("accounts", None)
        stays(row, fields)
        rests = row.dependents() if row.pk else []
        saved: Export = super().change(row, fields)
        if accounts is not None:
            self._offer(saved, accounts)
        lost = [each for each in rests if not Export.objects.get(pk=saved.pk).allows(each)]
        if lost:
            raise ValidationError({"accounts": still_imported(lost)})
        return saved

    def _offer(self, export: Export, names: list[str]) -> None:
        """Make these the accounts that may import it."""
        rows = Account.objects.visible_to(self.request.user).filter(system=export.account.system_id)  # type: ignore[attr-defined]
        found = {row.name: row for row in rows.filter(name__in=[name for name in names if "\x00" not in name])}
        if CONTROL_ACCOUNT in found:
            raise ValidationError({"accounts": NOT_YOURS})
        if missing := [name for name in names if name not in found]:
            raise ValidationError({"accounts": f"There is no account “{missing[0][:80]}”."})
        gone = export.accesses.exclude(account__in=found.values())
        if gone:
            require(self.request.user, "delete", ExportAccess)
            gone.delete()
        present = set(export.accesses.values_list("account_id", flat=True))
        for account in found.values():
            if account.pk not in present:
                require(self.request.user, "add", ExportAccess)
                ExportAccess.objects.create(export=export, account=account)

    def remove(self, row: Export) -> None:
        if rests := row.dependents():
            raise ValidationError(still_imported(rests))
        row.delete()


class Imports(ConfigResource):
    """Subjects taken from other accounts."""

    model = Import
    serializer_class = told.ImportSerializer
    filterset_class = filters.ImportFilter
    columns = {
        "id": "id",
        "system": "account__system__name",
        "account": "account__name",
        "kind": "kind",
        "from_account": "from_account__name",
        **{name: name for name in ("subject", "to", "prefix", "share", "allow_trace")},
        **sync_columns("account__"),
    }
    ordering = {"id": "pk", "subject": "subject"}
    search_fields = ["subject", "account__name", "from_account__name"]

    def finished(self, rows: Rows) -> Rows:
        return [sync_row(row) for row in rows]

    def change(self, row: Import, data: dict[str, Any]) -> Import:
        fields = apart(data)
        stays(row, fields)
        saved: Import = super().change(row, fields)
        return saved


class Mappings(ConfigResource):
    """Subjects that are rewritten when they are published."""

    model = Mapping
    serializer_class = told.MappingSerializer
    filterset_class = filters.MappingFilter
    columns = {
        "id": "id",
        "system": "account__system__name",
        "account": "account__name",
        "source": "source",
        **sync_columns("account__"),
    }
    ordering = {"id": "pk", "source": "source"}
    search_fields = ["source", "account__name"]

    def finished(self, rows: Rows) -> Rows:
        found: dict[int, list[dict[str, Any]]] = defaultdict(list)
        ends = MappingDestination.objects.filter(mapping__in=[row["id"] for row in rows])
        for pk, subject, weight, cluster in ends.order_by("subject", "cluster").values_list(
            "mapping_id", "subject", "weight", "cluster"
        ):
            found[pk].append({"subject": subject, "weight": weight, "cluster": cluster})
        for row in rows:
            row["destinations"] = found.get(row["id"], [])
        return [sync_row(row) for row in rows]

    def change(self, row: Mapping, data: dict[str, Any]) -> Mapping:
        fields = apart(data)
        ends = fields.pop("destinations", None)
        stays(row, fields)
        if ends is not None:
            _check_weights(ends)
        saved: Mapping = super().change(row, fields)
        if ends is None and "source" in fields:
            ends = [
                {"subject": end.subject, "weight": end.weight, "cluster": end.cluster}
                for end in saved.destinations.all()
            ]
        if ends is not None:
            replace_all(
                saved.destinations.all(),
                ends,
                lambda end: (end.subject, end.cluster),
                lambda values: MappingDestination(mapping=saved, **values),
                "destinations",
                self.request.user,
            )
        return saved


def _check_weights(ends: list[dict[str, Any]]) -> None:
    if not ends:
        raise ValidationError({"destinations": "Say where it goes: one destination at least."})
    weights: dict[str, int] = defaultdict(int)
    for number, end in enumerate(ends):
        cluster = end.get("cluster", "")
        weights[cluster] += end.get("weight", 100)
        if weights[cluster] > 100:
            told_sum = f"The weights are {weights[cluster]} together; they may be 100 at most."
            raise ValidationError({f"destinations[{number}].weight": told_sum})
