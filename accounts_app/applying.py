"""A document of accounts → rows: declarative, all or nothing, and the same document again changes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from django.contrib.auth import get_user_model
from django.db import transaction
from django.utils.dateparse import parse_datetime
from django.utils.timezone import is_naive, make_aware

from accounts_app import credentials
from accounts_app.asset_reconcile import read_assets, reconcile_assets
from accounts_app.credentials import NewSecret
from accounts_app.importing import hashed
from accounts_app.jetstream.specs import AssetsSpec
from accounts_app.models import Account, NatsUser, System, record
from accounts_app.natsconf.document import Document, DocumentError, Misfit, write_document
from accounts_app.natsconf.specs import AccountSpec, SecretSpec, UserSpec
from accounts_app.reconcile import reconcile
from accounts_app.row_writer import Changes
from accounts_app.snapshot import read_accounts, read_shared_roles


@dataclass(frozen=True, slots=True)
class Applied:
    """What a document changed. secrets: {user: what is shown once}."""

    changes: Changes
    secrets: Mapping[str, NewSecret] = field(default_factory=dict, repr=False)


def apply_document(system: System, document: Document, *, prune: bool = False) -> Applied:
    """Make the rows of the accounts that a document names equal to it. prune: all other accounts go.

    Users that it gives no credential keep theirs; new ones get one of the kind that it names, told once.
    Raises DocumentError or ReconcileError with the places that are wrong; then nothing is written.
    """
    fingerprints: dict[str, str] = {}
    secrets: dict[str, NewSecret] = {}
    accounts = [_dated(spec, number) for number, spec in enumerate(document.accounts)]
    with transaction.atomic():
        System.objects.select_for_update().get(pk=system.pk)
        fresh = document.makes.keys() - _known(system, document.makes)
        accounts = [_with_secrets(spec, document.makes, fresh, secrets) for spec in accounts]
        accounts = [hashed(system, spec, fingerprints, chosen=True) for spec in accounts]
        changes = reconcile(
            system,
            accounts,
            shared_roles=document.roles,
            prune=prune,
            fingerprints=fingerprints,
            owners=document.owners,
        )
        changes += reconcile_assets(system, document.assets) if document.assets else Changes()
        if changes:
            record("document applied", system, accounts=len(accounts), pruned=prune, changes=changes.as_dict())
    return Applied(changes, secrets)


def export_document(system: System, accounts: Iterable[Account], *, secrets: bool = False) -> dict[str, object]:
    """The document that says what the rows of these accounts say; nunect's own account is nobody's to say."""
    told = [account for account in accounts if not account.is_control]
    pks = [account.pk for account in told]
    specs, kept = read_accounts(pks), read_assets(pks)
    people = get_user_model()._default_manager.in_bulk({account.owner_id for account in told if account.owner_id})
    owners = {account.name: people[account.owner_id].get_username() for account in told if account.owner_id in people}
    written = write_document(
        sorted(specs.values(), key=lambda spec: spec.name),
        read_shared_roles(system.pk),
        secrets=secrets,
        owners=owners,
        assets={spec.name: _told(kept[pk]) for pk, spec in specs.items() if kept[pk]},
    )
    return {"system": system.name, **written}


def _told(specs: AssetsSpec) -> AssetsSpec:
    """Streams without consumers of their own say nothing of consumers."""
    return tuple(replace(spec, consumers=spec.consumers or None) for spec in specs)


def _known(system: System, names: Iterable[str]) -> set[str]:
    """Users that have a credential already."""
    asked = sorted(names)
    found: set[str] = set()
    for start in range(0, len(asked), 500):
        rows = NatsUser.objects.filter(system=system, name__in=asked[start : start + 500])
        found.update(rows.exclude(credential=NatsUser.Credential.NONE).values_list("name", flat=True))
    return found


def _with_secrets(
    spec: AccountSpec, makes: Mapping[str, str], fresh: Iterable[str], secrets: dict[str, NewSecret]
) -> AccountSpec:
    def made(user: UserSpec) -> UserSpec:
        if user.name not in fresh:
            return user
        if makes[user.name] == "nkey":
            public, seed = credentials.new_nkey()
            secrets[user.name] = NewSecret("nkey", seed)
            return replace(user, secret=SecretSpec("nkey", public))
        password = credentials.new_password()
        secrets[user.name] = NewSecret("password", password)
        return replace(user, secret=SecretSpec("password", credentials.hash_password(password, chosen=False)))

    return replace(spec, users=tuple(map(made, spec.users)))


def _dated(spec: AccountSpec, number: int) -> AccountSpec:
    """The spec with expiries as the rows write them."""
    if not any(user.expires for user in spec.users):
        return spec
    users = []
    for place, user in enumerate(spec.users):
        if user.expires:
            try:
                at = parse_datetime(user.expires)
            except ValueError:
                at = None
            if at is None:
                where = f"accounts[{number}].users[{place}].expires_at"
                raise DocumentError([Misfit(where, "This must be a date and time such as 2027-01-31T12:00:00Z.")])
            user = replace(user, expires=(make_aware(at) if is_naive(at) else at).isoformat())
        users.append(user)
    return replace(spec, users=tuple(users))
