"""Making a system: the keys that are nunect's own in it, and the accounts that every system has."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from accounts_app.credentials import new_nkey
from accounts_app.models import Account, System, record
from accounts_app.natsconf.specs import CONTROL_ACCOUNT

CONTROL_DESCRIPTION = "nunect's own: it sees and manages JetStream of the others."
WAY = ("nats_url", "tls_ca", "tls_certificate", "tls_key", "tls_first", "login_user", "login_secret")
OWN = ("guard_nkey", "control_nkey", "relay_nkey", "jetstream_nkey")


def give_keys(system: System) -> None:
    """nunect's own keys for a system that is not saved yet.

    The guard's seed is thrown away at once: nobody can ever sign in with it.
    """
    system.guard_nkey, _thrown_away = new_nkey()
    system.control_nkey, system.control_seed = new_nkey()
    system.relay_nkey, system.relay_seed = new_nkey()
    system.jetstream_nkey, system.jetstream_seed = new_nkey()


def give_accounts(system: System) -> None:
    """The servers' own account and nunect's, as rows."""
    Account.objects.create(
        system=system,
        name=system.system_account,
        description="The servers' own account. nunect signs in here.",
    )
    Account.objects.create(system=system, name=CONTROL_ACCOUNT, description=CONTROL_DESCRIPTION)


@transaction.atomic
def new_system(name: str, **fields: Any) -> System:
    """A system with its guard, its identity, its system account and nunect's own. fields: what else it is made with."""
    system = System(name=name, **fields)
    give_keys(system)
    system.save()
    give_accounts(system)
    return system


def name_system_account(system: System, name: str) -> None:
    """Call the system account as a conf does, as long as no server holds it under another name from here.

    The system is not saved. An account of this name that is another one stays, and so does the name.
    """
    accounts = Account.objects.filter(system=system)
    if name != system.system_account and not accounts.filter(name=name).exists():
        accounts.filter(name=system.system_account).update(name=name)
        system.system_account = name


@transaction.atomic
def add_system(system: System) -> System:
    """Save a system whose servers nunect didn't start: it is only observed until somebody says otherwise.

    Raises ValidationError.
    """
    begin(system)
    system.full_clean()
    system.save()
    finish(system)
    return system


def begin(system: System) -> None:
    """What a system needs before it is saved for the first time by hand."""
    system.stage = System.Stage.OBSERVED
    give_keys(system)


def finish(system: System) -> None:
    """What belongs to a system that was just added."""
    give_accounts(system)
    record("system added", system)


def check_lent(kept: System, url: str) -> None:
    """A secret that is kept for some servers goes to no others: who may change a system would read it there.

    url: where the servers shall be. Raises ValidationError.
    """
    if kept.login_secret and not _urls(System(nats_url=url)) <= _urls(kept):
        raise ValidationError({"login_secret": _("It was given for other servers: give it again with this URL.")})


def on_trial(system: System, fields: dict[str, Any]) -> System:
    """The system as it would be with other fields of the way to its servers, to be tried and never saved.

    What is not among the fields stays as it is. Raises ValidationError.
    """
    if "login_secret" not in fields:
        check_lent(system, fields.get("nats_url", system.nats_url))
    for name in WAY:
        setattr(system, name, fields.get(name, getattr(system, name)))
    system.clean_fields(exclude={field.name for field in System._meta.fields} - set(WAY))
    system.check_way()
    return system


def _urls(system: System) -> set[str]:
    return {url.strip() for url in system.url.split(",") if url.strip()}
