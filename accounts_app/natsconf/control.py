"""nunect's control account: what accounts with JetStream export to it, and what it makes of that.

The system account sees no streams. So each account with JetStream exports its API and its advisories to an
account of nunect's own, where they stand under the account's name: `JSACC.A.STREAM.LIST`, `JSEV.A.ADVISORY.>`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from typing import Any

from . import subjects
from .kept import Kept
from .specs import CONTROL_ACCOUNT, AccountSpec, ImportSpec
from .tree import Tree

Kinds = tuple[str, ...]  # of "service" (the API) and "stream" (the advisories)
Crowded = frozenset[tuple[str, str]]  # {(account, kind)}

SUBJECTS = {"service": "$JS.API.>", "stream": "$JS.EVENT.>"}
API_PREFIX, EVENTS_PREFIX = "JSACC", "JSEV"
_PREFIXES = {"service": API_PREFIX, "stream": EVENTS_PREFIX}
JETSTREAM_INBOX = "_INBOX_jetstream"
JETSTREAM_PERMISSIONS: Tree = {
    "publish": {"allow": [f"{API_PREFIX}.>"]},
    "subscribe": {"allow": [f"{EVENTS_PREFIX}.>", f"{JETSTREAM_INBOX}.>"]},
}
RESERVED = (
    f"`{CONTROL_ACCOUNT}` is nunect's own account: nothing else goes into it, and nothing else is shared with it."
)


def shows(spec: AccountSpec, crowded: Crowded = frozenset()) -> Kinds:
    """Return what nunect gets to see of an account by its control account; () for nothing."""
    if spec.jetstream is None or not spec.jetstream_control or spec.name == CONTROL_ACCOUNT:
        return ()
    return tuple(kind for kind in SUBJECTS if (spec.name, kind) not in crowded)


def crowded(accounts: Iterable[AccountSpec]) -> Crowded:
    """Return where nunect's own export would stand in the way of an import between others.

    An import under a wider export that is not exactly its subject may meet nunect's export as well, and the
    server then takes one of the two by chance (measured, `server/accounts.go` checkServiceImportAuthorized
    goes over a map). The people's sharing goes first.
    """
    rows = {account.name: account for account in accounts}
    found = set()
    for account in rows.values():
        for each in account.imports if account.enabled else ():
            if _meets(each) and each.account in rows and _leaves_to_chance(each, account.name, rows[each.account]):
                found.add((each.account, each.kind))
    return frozenset(found)


def _leaves_to_chance(each: ImportSpec, importer: str, exporter: AccountSpec) -> bool:
    """Say whether `importer` may have it, but not by an export of just its subject."""
    exports = [export for export in exporter.exports if export.kind == each.kind and export.accounts != ()]
    if any(export.subject in (each.subject, SUBJECTS[each.kind]) for export in exports):
        return False
    allowed = (export for export in exports if export.accounts is None or importer in export.accounts)
    return any(subjects.covers(export.subject, each.subject) for export in allowed)


def _meets(each: ImportSpec) -> bool:
    own = SUBJECTS[each.kind]
    return each.subject.startswith(own[:-1]) and subjects.covers(own, each.subject)


def offered(kind: str, subject: str, kinds: Kinds) -> bool:
    """Say whether an export of a row's is the one that nunect needs, too: the server knows a subject once."""
    return kind in kinds and subject == SUBJECTS[kind]


def own_exports(kinds: Kinds) -> list[Tree]:
    """Return the exports of an account that shows itself to nunect, beside its own."""
    return [_EXPORTS[kind] for kind in kinds]


_EXPORTS: Mapping[str, Tree] = {
    "service": {"service": SUBJECTS["service"], "accounts": [CONTROL_ACCOUNT], "response_type": "stream"},
    "stream": {"stream": SUBJECTS["stream"], "accounts": [CONTROL_ACCOUNT]},
}


@lru_cache(maxsize=1 << 16)
def _import(account: str, kind: str) -> Kept:
    return Kept({kind: {"account": account, "subject": SUBJECTS[kind]}, "to": f"{_PREFIXES[kind]}.{account}.>"})


def control_tree(nkey: str, shown: Iterable[tuple[str, Kinds]]) -> Tree:
    """Return the tree of the control account. nkey: its only user, "" for none; shown: (account, what of it)."""
    tree: Tree = {}
    if nkey:
        tree["users"] = [{"nkey": nkey, "permissions": JETSTREAM_PERMISSIONS}]
    imports = [_import(account, kind) for account, kinds in shown for kind in kinds]
    if imports:
        tree["imports"] = imports
    return tree


# --- a conf that is there already -------------------------------------------------------------------------


def shown_by(tree: Tree) -> Kinds:
    """Return what the tree of an account offers nunect by name."""
    exports = tree.get("exports")
    named = [export for export in exports if _named(export)] if isinstance(exports, list) else []
    return tuple(kind for kind, subject in SUBJECTS.items() if any(export.get(kind) == subject for export in named))


def without_missing(tree: Tree, present: Mapping[str, Kinds]) -> Tree:
    """Return the control account's tree less imports of what nobody in `present` ({account: kinds}) exports."""
    imports = [
        each
        for each in tree.get("imports", ())
        if any(kind in present.get(each[kind]["account"], ()) for kind in SUBJECTS if kind in each)
    ]
    rest = {key: value for key, value in tree.items() if key != "imports"}
    return {**rest, "imports": imports} if imports else rest


def without_own_exports(exports: Any) -> Any:
    """Return exports as the rows say them: without nunect's, and without its name in those of others."""
    if not isinstance(exports, list) or not any(map(_named, exports)):
        return exports
    return [found for export in exports if (found := without_own_name(export)) is not None]


def without_own_name(export: Any) -> Any:
    """Return an export without nunect's account in its list; None when it is for nobody else."""
    if not _named(export):
        return export
    others = [name for name in _listed(export) if name != CONTROL_ACCOUNT]
    found = {key: others if key.lower() == "accounts" else value for key, value in export.items()}
    return found if others else None


def _named(export: Any) -> bool:
    return isinstance(export, Mapping) and CONTROL_ACCOUNT in _listed(export)


def _listed(export: Mapping[str, Any]) -> Collection[str]:
    listed = next((value for key, value in export.items() if key.lower() == "accounts"), ())
    return listed if isinstance(listed, list) else ()


def without_own_imports(imports: Any) -> Any:
    """Return imports of the control account that nunect has not written."""
    if not isinstance(imports, list):
        return imports
    return [each for each in imports if not _is_own_import(each)]


def imported_from(imports: Any) -> frozenset[str]:
    """Return the accounts that the control account of a conf sees."""
    found = imports if isinstance(imports, list) else ()
    return frozenset(
        each[kind]["account"] for each in found if _is_own_import(each) for kind in SUBJECTS if kind in each
    )


def _is_own_import(each: Any) -> bool:
    if not isinstance(each, Mapping):
        return False
    for kind in SUBJECTS:
        source = each.get(kind)
        if isinstance(source, Mapping) and isinstance(source.get("account"), str):
            return dict(each) == _import(source["account"], kind)
    return False
