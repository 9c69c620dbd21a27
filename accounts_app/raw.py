"""The conf block that an account's rows stand for."""

from __future__ import annotations

from accounts_app.conf_text import masked
from accounts_app.models import Account, record
from accounts_app.natsconf.render import RenderError, render_account
from accounts_app.snapshot import read_account, read_shared_roles


def raw_conf(account: Account, *, keys: bool, secrets: bool) -> tuple[str, str]:
    """(block, why there is none). keys: with public nkeys; secrets: with password hashes, which is recorded."""
    present = set(Account.objects.filter(system=account.system_id, enabled=True).values_list("name", flat=True))
    try:
        spec, shared = read_account(account), read_shared_roles(account.system_id)
        text = render_account(spec, shared, account.system.identity, present).text
    except RenderError as refused:
        return "", str(refused)
    if not secrets:
        return masked(text, keys=keys), ""
    record("password hashes shown", account)
    return text, ""
