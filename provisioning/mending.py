"""Lines of a server's conf that let nunect in, and what makes them true."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from accounts_app.models import System
from accounts_app.natsconf.account import own_users
from accounts_app.natsconf.emit import emit
from accounts_app.natsconf.refusing import system_account
from provisioning.running_conf import Unreadable, read_running

RELOAD, RESTART = "reload", "restart"
USUAL = "$SYS"


def _account_of(system: System) -> str:
    """The system account by the conf in the system's folder, else by its row."""
    try:
        running = read_running(system.folder)
    except Unreadable:
        return system.system_account
    return system_account(running.parsed.tree) if running.is_whole else system.system_account


@dataclass(frozen=True, slots=True)
class Lines:
    """text: lines of the conf, as comments what to heed; needs: "reload" or "restart" once they stand there."""

    text: str = ""
    needs: str = ""


def own_lines(system: System, *, has_accounts: bool | None = None, system_elsewhere: bool = False) -> Lines:
    """Lines that let nunect's own users in; none for a system that isn't saved, whose keys nobody will ever have.

    has_accounts: whether the conf has accounts, None where that can't be known; system_elsewhere: its `system_account`
    is another one, or none. Users can be added to a system account at any time; which account that is, the server
    decides at its start (measured).
    """
    if system.pk is None:
        return Lines()
    name = system.system_account if system_elsewhere else _account_of(system)
    tree: dict[str, Any] = {"accounts": {name: {"users": own_users(system.identity)}}}
    if system_elsewhere:
        tree = {"system_account": name, **tree}
    notes = []
    if system_elsewhere:
        notes.append(_("In place of the lines that say system_account or no_system_account."))
    elif name == USUAL:
        notes.append(_("Where system_account names another account, they belong there: by a reload, too."))
    if has_accounts is not False:
        notes.append(_("Into the accounts of your file: a second “accounts” would take the place of the first."))
    if has_accounts is not True:
        notes.append(_("The server takes no accounts beside authorization { user, password } or { token }: make"))
        notes.append(_("authorization { users: [ { user: …, password: … } ] } of those first."))
    text = "".join(f"# {note}\n" for note in notes) + emit(tree)
    return Lines(text, RESTART if system_elsewhere else RELOAD)
