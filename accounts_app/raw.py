"""The conf block that an account's rows stand for."""

from __future__ import annotations

from accounts_app.conf_text import masked
from accounts_app.models import Account, Import, record
from accounts_app.natsconf.control import shows
from accounts_app.natsconf.render import RenderError, control_block, crowded, render_account
from accounts_app.natsconf.specs import AccountSpec, JetStreamSpec
from accounts_app.snapshot import read_account, read_accounts, read_shared_roles


def _control_conf(account: Account) -> str:
    """The block of nunect's own account, which imports from those that show it their streams."""
    accounts = Account.objects.filter(system=account.system_id, enabled=True)
    sharing = Import.objects.filter(account__in=accounts, subject__startswith="$JS.")
    near = {pk for pair in sharing.values_list("account", "from_account") for pk in pair}
    in_the_way = crowded(read_accounts(near).values())
    names = accounts.filter(jetstream=True, jetstream_control=True).values_list("name", flat=True)
    shown = {name: shows(AccountSpec(name, jetstream=JetStreamSpec()), in_the_way) for name in names}
    return control_block(account.system.identity, shown).text


def raw_conf(account: Account, *, keys: bool, secrets: bool) -> tuple[str, str]:
    """(block, why there is none). keys: with public nkeys; secrets: with password hashes, which is recorded."""
    present = set(Account.objects.filter(system=account.system_id, enabled=True).values_list("name", flat=True))
    try:
        spec, shared = read_account(account), read_shared_roles(account.system_id)
        if account.is_control:
            text = _control_conf(account)
        else:
            text = render_account(spec, shared, account.system.identity, present).text
    except RenderError as refused:
        return "", str(refused)
    if not secrets:
        return masked(text, keys=keys), ""
    record("password hashes shown", account)
    return text, ""
