"""What no account can be judged for alone: imports need exports, logins must be unique."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from . import subjects
from .names import login_key
from .specs import AccountSpec, ExportSpec, IdentitySpec, ImportSpec
from .subjects import shown
from .tree import RenderError


def check_sharing(accounts: Iterable[AccountSpec]) -> list[RenderError]:
    """Return one error for each import that its exporting account doesn't allow.

    Each error is the importing account's: holding that account mends the conf. The server would
    refuse the whole file instead. Source of the rules: `server/accounts.go` checkStreamExportApproved
    and checkAuth.
    """
    rendered = {account.name: account for account in accounts if account.enabled}
    errors = []
    for name in sorted(rendered):
        for each in rendered[name].imports:
            if reason := _refusal(each, name, rendered.get(each.account), rendered):
                where = f"import of {each.kind} {shown(each.subject)} from account {shown(each.account)}"
                errors.append(RenderError(name, where, reason))
    return errors


def check_logins(accounts: Iterable[AccountSpec], identity: IdentitySpec | None = None) -> list[RenderError]:
    """Return one error for each account and login that another account has as well.

    The server tells users apart by name or key over all accounts. Both sides get an error: either
    may be the one that changed, and the one that is kept at its last enforced state is right.
    """
    holders: dict[str, list[tuple[str, str]]] = defaultdict(list)
    if identity is not None:
        for key in identity.nkeys:
            holders[key].append(("", "nunect"))
    for account in accounts:
        if not account.enabled:
            continue
        for user in account.users:
            secrets = (user.secret, user.retiring) if user.retiring else (user.secret,)
            for login in {login_key(user.name, secret) for secret in secrets} if user.enabled else ():
                if login:
                    holders[login].append((account.name, user.name))
    errors = []
    for login, found in holders.items():
        for account_name, user_name in found if len(found) > 1 else ():
            others = sorted(other for other, _ in found if other != account_name)
            if account_name and others:
                told = f"account {shown(others[0])}" if others[0] else "nunect itself"
                reason = f"{shown(login)} logs in a user of {told} as well; logins must be unique."
                errors.append(RenderError(account_name, f"user {shown(user_name)}", reason))
    return sorted(errors, key=lambda error: (error.account, error.where, error.reason))


def closure(names: Iterable[str], accounts: Mapping[str, AccountSpec]) -> frozenset[str]:
    """Return `names`, the accounts that import from them, and all that any of these import from.

    That is what `nats-server -t` has to see to judge `names`; accounts that an export merely
    names are added by `probe_conf`, empty.
    """
    start = {name for name in names if name in accounts}
    importers = {
        account.name for account in accounts.values() if any(each.account in start for each in account.imports)
    }
    reached: set[str] = set()
    waiting = start | importers
    while waiting:
        name = waiting.pop()
        if name in reached or name not in accounts:
            continue
        reached.add(name)
        waiting.update(each.account for each in accounts[name].imports)
    return frozenset(name for name in reached if accounts[name].enabled)


def _refusal(each: ImportSpec, importer: str, exporter: AccountSpec | None, rendered: Mapping[str, AccountSpec]) -> str:
    """Return why `importer` may not have `each`, "" if it may."""
    if exporter is None:
        return "That account does not exist, or is disabled."
    exports = [
        export
        for export in exporter.exports
        if export.kind == each.kind and (export.accounts is None or any(name in rendered for name in export.accounts))
    ]
    exact = [export for export in exports if export.subject == each.subject]
    wider = exact or [export for export in exports if subjects.covers(export.subject, each.subject)]
    if not wider:
        return f"That account exports no {each.kind} that covers it and is offered to this one."
    refused = [export for export in wider if not _approved(export, each.subject, importer, bool(exact))]
    if not refused:
        return ""
    export = refused[0]
    if len(refused) < len(wider):
        return (
            f"Several exports cover it and {shown(export.subject)} does not allow this account; "
            "the server would choose one by chance."
        )
    if export.account_token_position is not None:
        return (
            f"Export {shown(export.subject)} wants the importing account's name as token "
            f"{export.account_token_position}."
        )
    return f"Export {shown(export.subject)} is not offered to this account."


def _approved(export: ExportSpec, subject: str, importer: str, exact: bool) -> bool:
    position = export.account_token_position
    if position is not None:
        parts = subject.split(".")
        return not exact and position <= len(parts) and parts[position - 1] == importer
    return export.accounts is None or importer in export.accounts
