"""Acts on users and accounts that every door calls: whole or not at all, and never telling a secret twice."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts_app import credentials
from accounts_app.credentials import NewSecret
from accounts_app.models import Account, NatsUser, System, record
from accounts_app.natsconf import names, nkeys
from accounts_app.wanted import want


def set_credential(
    user: NatsUser, kind: str, *, password: str = "", nkey: str = "", certificate: str = ""
) -> NewSecret | None:
    """Give `user` a credential, without saving it; what is to be shown once, None when there is nothing.

    A password that is not given is generated, an nkey likewise. Raises ValidationError with the field;
    then the user is as it was. A pasted seed is refused, and never repeated.
    """
    fresh: dict[str, str] = {"password_hash": "", "nkey": "", "certificate": "", "fingerprint": ""}
    secret: NewSecret | None = None
    try:
        if kind == NatsUser.Credential.PASSWORD:
            made = password or credentials.new_password()
            fresh["password_hash"] = credentials.hash_password(made, chosen=bool(password))
            secret = None if password else NewSecret(kind, made)
        elif kind == NatsUser.Credential.NKEY:
            if nkey:
                nkeys.decode_public(nkey, "U")
                fresh["nkey"] = nkey
            else:
                fresh["nkey"], seed = credentials.new_nkey()
                secret = NewSecret(kind, seed)
        elif kind == NatsUser.Credential.CERTIFICATE:
            fresh["certificate"] = names.check_certificate_identity(certificate)
        elif kind != NatsUser.Credential.NONE:
            raise ValidationError({"credential": _("There is no credential of this kind.")})
    except ValueError as refused:
        where = "certificate" if kind == NatsUser.Credential.CERTIFICATE else kind
        raise ValidationError({where: str(refused)}) from None
    user.credential = kind
    for name, value in fresh.items():
        setattr(user, name, value)
    return secret


@transaction.atomic
def create_user(
    account: Account,
    name: str,
    *,
    credential: str = NatsUser.Credential.NKEY,
    password: str = "",
    nkey: str = "",
    certificate: str = "",
    **fields: object,
) -> tuple[NatsUser, NewSecret | None]:
    """A new user of an account, and its secret when one was made. Raises ValidationError."""
    user = NatsUser(account=account, system_id=account.system_id, name=name, **fields)
    secret = set_credential(user, credential, password=password, nkey=nkey, certificate=certificate)
    user.full_clean()
    user.save()
    return user, secret


@transaction.atomic
def rotate(user: NatsUser) -> NewSecret:
    """A new secret of the same kind; the old one stops working with the next run."""
    if user.credential == NatsUser.Credential.CERTIFICATE:
        raise ValidationError(_("A certificate is renewed by who issued it; nunect holds only its name."))
    kind = user.credential if user.credential != NatsUser.Credential.NONE else NatsUser.Credential.NKEY
    secret = set_credential(user, kind)
    if secret is None:
        raise ValidationError(_("This user has no credential that could be rotated."))
    _retire(user, "", "", None)
    user.save()
    record("credential rotated", user, kind=kind)
    return secret


@transaction.atomic
def rotate_with_overlap(user: NatsUser, until: datetime) -> NewSecret:
    """A new nkey, while the old password or nkey works on until a deadline.

    The new one is an nkey always: NATS knows one password for a name, so two of them can't overlap.
    """
    if until <= timezone.now():
        raise ValidationError({"until": _("The deadline must lie ahead.")})
    if user.credential not in (NatsUser.Credential.PASSWORD, NatsUser.Credential.NKEY):
        raise ValidationError(_("Only a password or an nkey can work beside its successor."))
    old_hash, old_nkey = user.password_hash, user.nkey
    secret = set_credential(user, NatsUser.Credential.NKEY)
    if secret is None:
        raise ValidationError(_("No new nkey could be made."))
    _retire(user, old_hash, old_nkey, until)
    user.save()
    record("credential rotated", user, kind="nkey", overlap_until=until.isoformat())
    return secret


def _retire(user: NatsUser, password_hash: str, nkey: str, until: datetime | None) -> None:
    user.retiring_password_hash, user.retiring_nkey, user.retiring_until = password_hash, nkey, until


@transaction.atomic
def disable_users(users: QuerySet[NatsUser]) -> int:
    """Disable each enabled user and return how many changed."""
    changed = users.filter(enabled=True).update(enabled=False)
    record("users disabled", count=changed)
    return changed


@transaction.atomic
def enable_users(users: QuerySet[NatsUser]) -> int:
    """Enable each disabled user and return how many changed. Raises ValidationError for one without a credential."""
    bare = users.filter(enabled=False, credential=NatsUser.Credential.NONE).values_list("name", flat=True).first()
    if bare is not None:
        raise ValidationError(_("User “%s” needs a credential before it can be enabled.") % bare)
    changed = users.filter(enabled=False).update(enabled=True)
    record("users enabled", count=changed)
    return changed


def check_deletable(accounts: Iterable[Account]) -> None:
    """Raise ValidationError when one of the accounts can't be deleted, and say who is in the way."""
    chosen = list(accounts)
    for account in chosen:
        if account.is_reserved:
            raise ValidationError(_("The account “%s” is the servers' own and can't be deleted.") % account.name)
        importers = account.imported_by.exclude(account__in=chosen).values_list("account__name", flat=True)
        others = sorted(set(importers))
        if others:
            raise ValidationError(
                _("Account “%(name)s” is imported by %(others)s: delete those imports first.")
                % {"name": account.name, "others": ", ".join(others[:5])}
            )


def expire_due(now: datetime | None = None) -> int:
    """Count a change for accounts of users whose expiry or overlap has come; how many accounts.

    Ended overlaps are cleared, so that an old credential is kept no longer than it works.
    """
    now = now or timezone.now()
    counted = 0
    for system in System.objects.all():
        with transaction.atomic():
            since = system.expiry_checked_at or system.created_at
            due = NatsUser.objects.filter(system=system).filter(
                Q(expires_at__gt=since, expires_at__lte=now) | Q(retiring_until__lte=now)
            )
            accounts = set(due.values_list("account_id", flat=True))
            if accounts:
                want(system.pk, accounts)
                due.filter(retiring_until__lte=now).update(
                    retiring_until=None, retiring_nkey="", retiring_password_hash=""
                )
                record("users expired", system, accounts=len(accounts))
                counted += len(accounts)
            QuerySet(System).filter(pk=system.pk).update(expiry_checked_at=now)
    return counted


@dataclass(frozen=True, slots=True)
class ConnectionHelp:
    """How a client of one user connects. Holds the secret only when it was given, and never tells it in its repr."""

    url: str
    context_json: str = field(repr=False)
    snippet: str = field(repr=False)
    env: str = field(repr=False)


def connection_help(user: NatsUser, secret: str = "") -> ConnectionHelp:
    """URL, `nats` CLI context file, Python snippet and environment lines for a user.

    Without the secret (it is shown once only) a placeholder stands in its place.
    """
    url = user.system.client_url
    nkey = user.credential == NatsUser.Credential.NKEY
    password = user.credential == NatsUser.Credential.PASSWORD
    shown = secret or ("<seed>" if nkey else "<password>")
    context: dict[str, str] = {"description": f"{user.account.name}/{user.name}", "url": url}
    lines = {"NATS_URL": url}
    if nkey:
        context["nkey"] = f"~/.config/nats/{_file_name(user.name)}.nk"
        lines["NATS_NKEY"] = context["nkey"]
        how = f'nkeys_seed_str="{shown}"'
    elif password:
        context |= {"user": user.name, "password": shown}
        lines |= {"NATS_USER": user.name, "NATS_PASSWORD": shown}
        how = f"user={json.dumps(user.name, ensure_ascii=False)}, password={json.dumps(shown)}"
    else:
        context |= {"cert": "client.pem", "key": "client-key.pem", "ca": "ca.pem"}
        lines |= {"NATS_CERT": "client.pem", "NATS_KEY": "client-key.pem", "NATS_CA": "ca.pem"}
        how = "tls=context  # an ssl.SSLContext with the client's certificate"
    snippet = (
        "import asyncio\n\nimport nats\n\n\nasync def main():\n"
        f'    client = await nats.connect("{url}", {how})\n'
        '    print("connected to", client.connected_url.netloc)\n'
        "    await client.drain()\n\n\nasyncio.run(main())\n"
    )
    env = "".join(f"{name}={json.dumps(value, ensure_ascii=False)}\n" for name, value in lines.items())
    return ConnectionHelp(url, json.dumps(context, indent=2, ensure_ascii=False) + "\n", snippet, env)


def _file_name(name: str) -> str:
    return "".join(character if character.isalnum() or character in "-_" else "_" for character in name)[:60]
