"""What an account shares and maps, and what it may use, as rows: of each part only what can be rendered again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from . import control, forms
from .account import account_tree
from .notes import Notes, Path
from .specs import AccountSpec, ExportSpec, ImportSpec, MappingSpec
from .subjects import InvalidValue, shown
from .tree import RenderError


@dataclass(frozen=True, slots=True)
class PartReader:
    """Reads the parts of account `account`; system: it is the system account."""

    notes: Notes
    account: str
    system: bool

    def one(self, path: Path, value: Any, read: Any, field: str) -> Any:
        """Return what `read` makes of `value` if it can be rendered, else None and a note."""
        try:
            found = read(value)
            if self.system and field == "jetstream" and found is not None:
                raise InvalidValue("The system account can't have JetStream.")
            name = "SYSTEM" if self.system else self.account  # its own name may start with "$"
            account_tree(AccountSpec(name, **{field: found}))
        except (InvalidValue, RenderError) as exc:
            reason = exc.reason if isinstance(exc, RenderError) else str(exc)
            self.notes.add(path, "refused", f"This can't be taken: {reason}")
            return None
        return found

    def exports(self, path: Path, values: Any) -> tuple[ExportSpec, ...]:
        found: dict[tuple[str, str], ExportSpec] = {}
        for number, value in enumerate(values if isinstance(values, list) else ()):
            at = (*path, number)
            value = control.without_own_name(value)
            if value is None:
                continue

            def read(value: Any) -> tuple[ExportSpec]:
                export = forms.export(value)
                if export.account_token_position and export.accounts is not None:
                    export = replace(export, accounts=None)
                return (export,)

            one = self.one(at, value, read, "exports")
            if one is None:
                continue
            (export,) = one
            listed = forms.keyed(value, {"accounts": "accounts"}, "Export")[0].get("accounts")
            if listed is not None and export.accounts is None:
                why = "is empty" if not listed else "is ignored, since the account's token decides"
                self.notes.add(at, "weak", f"Its list of accounts {why}: the server offers it to everybody that fits.")
            if (export.kind, export.subject) in found:
                self.notes.add(at, "refused", f"The {export.kind} {shown(export.subject)} is exported twice.")
                continue
            found[export.kind, export.subject] = export
        return tuple(found.values())

    def imports(self, path: Path, values: Any) -> tuple[ImportSpec, ...]:
        found: list[ImportSpec] = []
        for number, value in enumerate(values if isinstance(values, list) else ()):
            one = self.one((*path, number), value, lambda value: (forms.import_(value),), "imports")
            found += one or ()
        return tuple(found)

    def mappings(self, path: Path, values: Any) -> tuple[MappingSpec, ...]:
        found: list[MappingSpec] = []
        for source, value in values.items() if isinstance(values, Mapping) else ():
            at = (*path, source)
            one = self.one(at, (source, value), lambda pair: (forms.mapping(*pair),), "mappings")
            found += one or ()
        return tuple(found)
