"""Acts on users and accounts that every door calls: whole or not at all, and never telling a secret twice."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts_app import credentials
from accounts_app.credentials import NewSecret
from accounts_app.inboxes import private_inbox
from accounts_app.models import Account, Answer, NatsUser, System, Token, record
from accounts_app.natsconf import names, nkeys
from accounts_app.wanted import want

ANSWERS_KEPT = timedelta(days=1)
NAMED = 100  # users that an audit entry tells by name
CREDENTIAL = (
    "credential",
    "password_hash",
    "nkey",
    "certificate",
    "fingerprint",
    "retiring_password_hash",
    "retiring_nkey",
    "retiring_until",
)
GIVEN = frozenset(  # what create_user takes besides name and credential
    (
        "access",
        "allow_responses",
        "connection_types",
        "description",
        "enabled",
        "expires_at",
        "owner",
        "responses_expires",
        "responses_max",
        "role",
    )
)


def set_credential(
    user: NatsUser, kind: str, *, password: str = "", nkey: str = "", certificate: str = ""
) -> NewSecret | None:
    """Give `user` a credential, without saving it; what is to be shown once, None when there is nothing.

    A password that is not given is generated, an nkey likewise. An overlap with a former credential ends.
    Raises ValidationError with the field; then the user is as it was. A pasted seed is refused, and never
    repeated.
    """
    fresh: dict[str, str] = {"password_hash": "", "nkey": "", "certificate": "", "fingerprint": ""}
    secret: NewSecret | None = None
    try:
        if kind == NatsUser.Credential.PASSWORD:
            if password:
                names.check_chosen_password(password)
            made = password or credentials.new_password()
            fresh["password_hash"] = credentials.hash_password(made, chosen=bool(password))
            secret = None if password else NewSecret(kind, made)
        elif kind == NatsUser.Credential.NKEY:
            if nkey:
                if nkey.startswith("S"):
                    raise ValueError("This is a seed, which is secret; give the public nkey, which starts with U.")
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
    _check_free(user, kind, fresh)
    user.credential = kind
    for name, value in fresh.items():
        setattr(user, name, value)
    _retire(user, "", "", None)
    return secret


def _check_free(user: NatsUser, kind: str, fresh: dict[str, str]) -> None:
    """Refuse a login that the server would know twice: it tells users of all accounts apart by it alone."""
    if user.account_id is None:
        return
    system = user.account.system
    others = NatsUser.objects.filter(system=system).exclude(pk=user.pk).order_by()
    if kind == NatsUser.Credential.NKEY:
        nkey = fresh["nkey"]
        if nkey in system.own_nkeys:
            raise ValidationError({"nkey": _("This nkey is nunect's own.")})
        logins = [Q(nkey=nkey) & ~Q(nkey=""), Q(retiring_nkey=nkey) & ~Q(retiring_nkey="")]
    elif kind == NatsUser.Credential.CERTIFICATE:
        login = fresh["certificate"]
        logins = [
            Q(credential=kind, certificate=login) & ~Q(certificate=""),
            Q(credential=NatsUser.Credential.PASSWORD, name=login),
        ]
    elif kind == NatsUser.Credential.PASSWORD:
        logins = [Q(credential=NatsUser.Credential.CERTIFICATE, certificate=user.name) & ~Q(certificate="")]
    else:
        return
    # One look-up each, told as their partial indexes say it: an OR reads every user of the system.
    found = (others.filter(login).values_list("name", flat=True)[:1] for login in logins)
    holder = next((name for names in found for name in names), None)
    if holder is not None:
        where = "name" if kind == NatsUser.Credential.PASSWORD else kind
        raise ValidationError({where: _("User “%s” logs in like this already.") % holder})


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
    """A new user of an account, and its secret when one was made. Raises ValidationError with the field."""
    unknown = sorted(fields.keys() - GIVEN)
    if unknown:
        raise ValidationError({unknown[0]: _("A new user takes no such field.")})
    try:
        NatsUser._meta.get_field("name").clean(name, None)  # a database may refuse to look for what can't be a name
    except ValidationError as refused:
        raise ValidationError({"name": refused.messages}) from refused
    if NatsUser.objects.filter(system=account.system_id, name=name).exists():
        raise ValidationError({"name": _("A user of this name exists already in this system.")})
    try:
        user = NatsUser(account=account, system_id=account.system_id, name=name, **fields)
    except ValueError as refused:  # another kind of row where a role or an owner belongs
        raise ValidationError(str(refused)) from refused
    secret = set_credential(user, credential, password=password, nkey=nkey, certificate=certificate)
    user.full_clean()
    user.save()
    return user, secret


@transaction.atomic
def rotate(user: NatsUser) -> NewSecret:
    """A new secret of the same kind; the old one stops working with the next run."""
    _lock(user)
    if user.credential == NatsUser.Credential.CERTIFICATE:
        raise ValidationError(
            {"credential": _("A certificate is renewed by who issued it; nunect holds only its name.")}
        )
    kind = user.credential if user.credential != NatsUser.Credential.NONE else NatsUser.Credential.NKEY
    secret = set_credential(user, kind)
    if secret is None:
        raise ValidationError({"credential": _("This user has no credential that could be rotated.")})
    user.save(update_fields=CREDENTIAL)
    record("credential rotated", user, kind=kind)
    return secret


@transaction.atomic
def rotate_with_overlap(user: NatsUser, until: datetime) -> NewSecret:
    """A new nkey, while the old password or nkey works on until a deadline.

    The new one is an nkey always: NATS knows one password for a name, so two of them can't overlap.
    """
    if timezone.is_naive(until):
        until = timezone.make_aware(until)
    if until <= timezone.now():
        raise ValidationError({"until": _("The deadline must lie ahead.")})
    _lock(user)
    if user.credential not in (NatsUser.Credential.PASSWORD, NatsUser.Credential.NKEY):
        raise ValidationError({"credential": _("Only a password or an nkey can work beside its successor.")})
    old_hash, old_nkey = user.password_hash, user.nkey
    secret = set_credential(user, NatsUser.Credential.NKEY)
    if secret is None:
        raise ValidationError({"credential": _("No new nkey could be made.")})
    _retire(user, old_hash, old_nkey, until)
    user.save(update_fields=CREDENTIAL)
    record("credential rotated", user, kind="nkey", overlap_until=until.isoformat())
    return secret


def _lock(user: NatsUser) -> None:
    """Look again, and keep others from it: what was read earlier must not undo what they did meanwhile."""
    try:
        user.refresh_from_db(from_queryset=NatsUser.objects.select_for_update())
    except NatsUser.DoesNotExist:
        raise ValidationError({"name": _("This user is gone.")}) from None


def _retire(user: NatsUser, password_hash: str, nkey: str, until: datetime | None) -> None:
    user.retiring_password_hash, user.retiring_nkey, user.retiring_until = password_hash, nkey, until


@transaction.atomic
def disable_users(users: QuerySet[NatsUser]) -> int:
    """Disable each enabled user and return how many changed."""
    return _switch(users, False)


@transaction.atomic
def enable_users(users: QuerySet[NatsUser]) -> int:
    """Enable each disabled user and return how many changed. Raises ValidationError for one without a credential."""
    chosen = NatsUser.objects.filter(pk__in=users.values("pk"))
    bare = chosen.filter(enabled=False, credential=NatsUser.Credential.NONE).values_list("name", flat=True).first()
    if bare is not None:
        raise ValidationError({"enabled": _("User “%s” needs a credential before it can be enabled.") % bare})
    return _switch(users, True)


def _switch(users: QuerySet[NatsUser], enabled: bool) -> int:
    chosen = NatsUser.objects.filter(pk__in=users.values("pk"), enabled=not enabled)
    names_told = list(chosen.order_by("name").values_list("name", flat=True)[:NAMED])
    changed = chosen.update(enabled=enabled)
    if changed:
        record("users enabled" if enabled else "users disabled", count=changed, users=names_told)
    return changed


def check_deletable(accounts: Account | Iterable[Account]) -> None:
    """Raise ValidationError when one of the accounts can't be deleted, and say who is in the way."""
    chosen = [accounts] if isinstance(accounts, Account) else list(accounts)
    for account in chosen:
        if account.is_control:
            raise ValidationError(_("The account “%s” is nunect's own and can't be deleted.") % account.name)
        if account.is_reserved or account.name == account.system.system_account:
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

    Ended overlaps are cleared, so that an old credential is kept no longer than it works. Systems that are released
    stay as they are.
    """
    now = now or timezone.now()
    counted = 0
    for system in System.objects.exclude(stage=System.Stage.RELEASED):
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


@transaction.atomic
def revoke_tokens(tokens: QuerySet[Token]) -> int:
    """Revoke each token that isn't yet, and return how many; what is open with one of them ends, too."""
    chosen = list(tokens.order_by("pk").select_for_update(of=("self",)).filter(revoked_at=None))
    for token in chosen:
        token.revoked_at = timezone.now()
        token.save(update_fields=["revoked_at"])
        record("token revoked", token, prefix=token.prefix)
    return len(chosen)


def forget_answers(now: datetime | None = None) -> int:
    """Forget what was answered under Idempotency-Keys more than ANSWERS_KEPT ago; how many answers."""
    count, _ = Answer.objects.filter(created_at__lt=(now or timezone.now()) - ANSWERS_KEPT).delete()
    return count


@dataclass(frozen=True, slots=True)
class ConnectionHelp:
    """How a client of one user connects. Holds the secret only when it was given, and never tells it in its repr.

    files: (name, content) of what context and env speak of.
    """

    url: str
    context_json: str = field(repr=False)
    snippet: str = field(repr=False)
    env: str = field(repr=False)
    files: tuple[tuple[str, str], ...] = field(default=(), repr=False)


def connection_help(user: NatsUser, secret: str = "") -> ConnectionHelp:
    """URL, `nats` CLI context file, Python snippet and environment lines for a user.

    Without the secret (it is shown once only) a placeholder stands in its place.
    """
    url = user.system.client_url
    nkey = user.credential == NatsUser.Credential.NKEY
    password = user.credential == NatsUser.Credential.PASSWORD
    shown = secret or ("<seed>" if nkey else "<password>")
    context: dict[str, str] = {"description": f"{user.account.name}/{user.name}", "url": url}
    lines, ready, needs = {"NATS_URL": url}, "", "# pip install nats-py\n"
    files: tuple[tuple[str, str], ...] = ()
    if nkey:
        context["nkey"] = f"~/.config/nats/{_file_name(user.name)}.nk"
        lines["NATS_NKEY"] = f"{_file_name(user.name)}.nk"
        files = ((f"{_file_name(user.name)}.nk", f"{shown}\n"),) if secret else ()
        how, needs = f"nkeys_seed_str={_python(shown)}", "# pip install nats-py[nkeys]\n"
    elif password:
        context |= {"user": user.name, "password": shown}
        lines |= {"NATS_USER": user.name, "NATS_PASSWORD": shown}
        how = f"user={_python(user.name)}, password={_python(shown)}"
    else:
        context |= {"cert": "client.pem", "key": "client-key.pem", "ca": "ca.pem"}
        lines |= {"NATS_CERT": "client.pem", "NATS_KEY": "client-key.pem", "NATS_CA": "ca.pem"}
        how = "tls=context"
        ready = "context = ssl.create_default_context(cafile='ca.pem')\n"
        ready += "    context.load_cert_chain('client.pem', 'client-key.pem')\n    "
    note = ""
    if inbox := private_inbox(user):
        context["inbox_prefix"] = inbox
        lines["NATS_INBOX_PREFIX"] = inbox
        note = "# The nats command reads no inbox prefix from here: give it the context file. Programs read it.\n"
        how += f", inbox_prefix={_python(inbox)}"
    modules = "import asyncio\nimport ssl\n" if ready else "import asyncio\n"
    snippet = (
        f"{needs}{modules}\nimport nats\n\n\nasync def main():\n    {ready}"
        f"client = await nats.connect({_python(url)}, {how})\n"
        '    print("connected to", client.connected_url.netloc)\n'
        "    await client.drain()\n\n\nasyncio.run(main())\n"
    )
    env = note + "".join(f"{name}={shlex.quote(value)}\n" for name, value in lines.items())
    return ConnectionHelp(url, json.dumps(context, indent=2, ensure_ascii=False) + "\n", snippet, env, files)


def _python(text: str) -> str:
    """`text` as a Python string: JSON's escapes are Python's, too."""
    return json.dumps(text, ensure_ascii=False)


def _file_name(name: str) -> str:
    return "".join(character if character.isalnum() or character in "-_" else "_" for character in name)[:60]


@transaction.atomic
def make_token(
    person: Any,
    name: str,
    *,
    scope: str = Token.Scope.READ,
    accounts: Iterable[str] = (),
    expires_at: datetime | None = None,
    seen_by: Any = None,
) -> tuple[Token, str]:
    """A token that acts for `person`, and its bare text, which is nowhere else.

    accounts: names of the only ones that it reaches, among those that `seen_by` sees. Who makes it by a
    token can't make one that does more. Raises ValidationError with the field.
    """
    maker = getattr(seen_by, "nunect_token", None)
    order = list(Token.Scope.values)
    if scope in order and maker is not None and order.index(scope) > order.index(maker.scope):
        raise ValidationError({"scope": _("A token can't make one that may do more than itself.")})
    wanted = sorted(set(accounts))
    if any(chr(0) in each for each in wanted):
        raise ValidationError({"accounts": _("An account's name holds no NUL.")})
    rows = list(Account.objects.visible_to(seen_by or person).filter(name__in=wanted))  # type: ignore[attr-defined]
    if missing := sorted(set(wanted) - {row.name for row in rows}):
        raise ValidationError({"accounts": _("There is no account “%s”.") % missing[0][:80]})
    if maker is not None and maker.accounts is not None and not wanted:
        raise ValidationError({"accounts": _("Name the accounts: this token doesn't reach all.")})
    if expires_at is not None and expires_at <= timezone.now():
        raise ValidationError({"expires_at": _("This time is over already.")})
    if Token.objects.alive().filter(person=person, name=name).exists():  # also a form that is sent twice
        raise ValidationError({"name": _("A token of this name is in use already: revoke it, or choose another name.")})
    token = Token(person=person, name=name, scope=scope, expires_at=expires_at, restricted=bool(wanted))
    bare = token.make()
    token.full_clean()
    token.save()
    token.accounts.set(rows)
    record("token created", token, scope=scope, accounts=wanted, prefix=token.prefix, person=person.get_username())
    return token, bare
