"""Specs → rows of what accounts share and map: the last part of making rows equal to specs (`reconcile`)."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

from accounts_app.models import Account, Export, ExportAccess, Import, MappingDestination
from accounts_app.models import Mapping as MappingRow
from accounts_app.natsconf.specs import AccountSpec
from accounts_app.row_writer import RowWriter, parts


def sync_sharing(writer: RowWriter, accounts: Mapping[str, Account], differing: Mapping[str, AccountSpec]) -> None:
    """Exports, who may import them, and imports. accounts: the rows of all, by name; differing: specs to make true."""
    ids = {accounts[name].pk: name for name in differing}
    exports: dict[Hashable, Export] = {}
    imports: dict[Hashable, Import] = {}
    for part in parts(list(ids)):
        exports |= {
            (ids[row.account_id], row.kind, row.subject): row for row in Export.objects.filter(account__in=part)
        }
        imports |= {
            (ids[row.account_id], row.kind, row.from_account.name, row.subject, row.to): row
            for row in Import.objects.filter(account__in=part).select_related("from_account")
        }
    wanted_exports: dict[Hashable, dict[str, Any]] = {}
    wanted_imports: dict[Hashable, dict[str, Any]] = {}
    for name, spec in differing.items():
        for export in spec.exports:
            wanted_exports[(name, export.kind, export.subject)] = {
                "public": export.accounts is None,
                "account_token_position": export.account_token_position,
                "response_type": export.response_type,
                "response_threshold": export.response_threshold,
                "latency_subject": export.latency_subject,
                "latency_sampling": export.latency_sampling,
                "allow_trace": export.allow_trace,
            }
        for each in spec.imports:
            wanted_imports[(name, each.kind, each.account, each.subject, each.to)] = {
                "prefix": each.prefix,
                "share": each.share,
                "allow_trace": each.allow_trace,
            }

    def make_export(key: Any) -> Export:
        return Export(account=accounts[key[0]], kind=key[1], subject=key[2])

    def make_import(key: Any) -> Import:
        return Import(
            account=accounts[key[0]],
            kind=key[1],
            from_account=accounts[key[2]],
            subject=key[3],
            to=key[4],
        )

    made, leftover = writer.sync(Export, exports, wanted_exports, make_export)
    _, leftover_imports = writer.sync(Import, imports, wanted_imports, make_import)
    writer.delete(leftover_imports)
    writer.delete(leftover)
    _accesses(writer, accounts, differing, made)


def _accesses(
    writer: RowWriter,
    accounts: Mapping[str, Account],
    differing: Mapping[str, AccountSpec],
    exports: Mapping[Hashable, Export],
) -> None:
    by_pk = {row.pk: key for key, row in exports.items()}
    present: dict[Hashable, ExportAccess] = {}
    for part in parts(list(by_pk)):
        rows = ExportAccess.objects.filter(export__in=part).select_related("account", "export__account")
        present |= {(by_pk[row.export_id], row.account.name): row for row in rows}
    wanted: dict[Hashable, dict[str, Any]] = {
        ((name, export.kind, export.subject), other): {}
        for name, spec in differing.items()
        for export in spec.exports
        for other in export.accounts or ()
    }

    def make(key: Any) -> ExportAccess:
        return ExportAccess(export=exports[key[0]], account=accounts[key[1]])

    _, leftover = writer.sync(ExportAccess, present, wanted, make)
    writer.delete(leftover)


def sync_mappings(writer: RowWriter, accounts: Mapping[str, Account], differing: Mapping[str, AccountSpec]) -> None:
    """Mappings with their destinations. accounts: the rows of all, by name; differing: specs to make true."""
    ids = {accounts[name].pk: name for name in differing}
    present: dict[Hashable, MappingRow] = {}
    for part in parts(list(ids)):
        present |= {(ids[row.account_id], row.source): row for row in MappingRow.objects.filter(account__in=part)}
    wanted: dict[Hashable, dict[str, Any]] = {}
    ends: dict[Hashable, dict[str, Any]] = {}
    for name, spec in differing.items():
        for mapping in spec.mappings:
            wanted[(name, mapping.source)] = {}
            for end in mapping.destinations:
                ends[(name, mapping.source, end.subject, end.cluster)] = {"weight": end.weight}

    def make(key: Any) -> MappingRow:
        return MappingRow(account=accounts[key[0]], source=key[1])

    made, leftover = writer.sync(MappingRow, present, wanted, make)
    writer.delete(leftover)
    by_pk = {row.pk: key for key, row in made.items()}
    present_ends: dict[Hashable, MappingDestination] = {}
    for part in parts(list(by_pk)):
        for row in MappingDestination.objects.filter(mapping__in=part):
            home = by_pk[row.mapping_id]
            present_ends[(*home, row.subject, row.cluster)] = row

    def make_end(key: Any) -> MappingDestination:
        return MappingDestination(mapping=made[(key[0], key[1])], subject=key[2], cluster=key[3])

    _, leftover_ends = writer.sync(MappingDestination, present_ends, ends, make_end)
    writer.delete(leftover_ends)
