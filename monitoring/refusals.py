"""Why a server refused a client: its few words, and what the rows know, as a sentence and a remedy."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q
from django.utils import timezone

from accounts_app.models import AuditEntry, NatsUser, System
from accounts_app.natsconf.account import logins
from monitoring.events import Refusal
from provisioning.models import RevisionBlock

RECENT = timedelta(days=7)  # a rotation that may be the reason
PAST = timedelta(days=30)  # how long a name or key that is gone is known
STRANGERS = 20  # unknown logins of one question that are looked for in the past; more are a flood
_FORGET_S, _REMEMBERED = 60.0, 2000
TOKEN = "[REDACTED]"  # noqa: S105  what servers write in the place of a token
_TYPES = {  # {kind of a connection: connection types that let it in}
    "nats": {"STANDARD", "IN_PROCESS"},
    "websocket": {"WEBSOCKET"},
    "mqtt": {"MQTT", "MQTT_WS"},
    "leafnode": {"LEAFNODE", "LEAFNODE_WS"},
}
_FAILURES = ("authentication failure", "authorization violation", "authentication violation")


@dataclass(frozen=True, slots=True)
class Login:
    """One refusal to be explained. login: as the server gave it, "" for none; reason: the server's own words;
    nkey: whether it is a public nkey; kind: nats, websocket, mqtt or leafnode, "" when it isn't known."""

    login: str
    reason: str
    nkey: bool = False
    kind: str = ""


def explain(system_id: int, login: str, reason: str, *, nkey: bool, kind: str = "") -> Refusal:
    """Why one client was refused; at most six queries."""
    return explain_many(system_id, [Login(login, reason, nkey, kind)])[0]


def explain_many(system_id: int, asked: Sequence[Login]) -> list[Refusal]:
    """Why some clients were refused, in their order; at most six queries, however many they are."""
    rows = _Rows.of(system_id, {each.login for each in asked if each.login and each.login != TOKEN})
    return [_explain(each, rows) for each in asked]


# --- what the rows know ----------------------------------------------------------------


@dataclass(slots=True)
class _Rows:
    """users: {login: user}; gone: {login: (name, when, by whom)}; former: {login: the user that had it};
    rotated: {key of a user: (when, by whom)}; held: {account: its users in the servers}."""

    now: datetime
    own: frozenset[str] = frozenset()
    users: dict[str, NatsUser] = field(default_factory=dict)
    gone: dict[str, tuple[str, datetime, str]] = field(default_factory=dict)
    former: dict[str, NatsUser] = field(default_factory=dict)
    rotated: dict[str, tuple[datetime, str]] = field(default_factory=dict)
    held: dict[str, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def of(cls, system_id: int, names: set[str]) -> _Rows:
        found = cls(timezone.now())
        if not names:
            return found
        system = System.objects.filter(pk=system_id).first()
        found.own = frozenset(system.own_nkeys) if system is not None else frozenset()
        ways = Q(name__in=names) | Q(nkey__in=names) | Q(retiring_nkey__in=names) | Q(certificate__in=names)
        for user in _users(system_id).filter(ways):
            for login in (user.certificate, user.retiring_nkey, user.nkey, user.name):
                if login in names:
                    found.users[login] = user
        found._look_back(system_id, names - found.users.keys() - found.own)
        known = [*found.users.values(), *found.former.values()]
        found._look_at_rotations(known)
        behind = {user.account.name for user in known if user.account.state != "applied"}
        if behind:
            for block in RevisionBlock.objects.filter(system=system_id, account__in=behind, current=True):
                found.held[block.account] = block.tree if block.conf else {}
        return found

    def _look_back(self, system_id: int, names: set[str]) -> None:
        """What became of names and keys that nobody has now. Strangers are asked for once a minute."""
        names = {name for name in names if not _known_strange(system_id, name)}
        if not 0 < len(names) <= STRANGERS:
            return
        past = NatsUser.history.filter(system=system_id, history_date__gte=self.now - PAST)
        past = past.filter(Q(name__in=names) | Q(nkey__in=names) | Q(retiring_nkey__in=names))
        columns = ("id", "name", "nkey", "retiring_nkey", "history_date", "history_user__username")
        seen: dict[str, tuple[Any, ...]] = {}
        for row in past.order_by("-history_date", "-history_id").values_list(*columns)[:1000]:
            for login in names.intersection(row[1:4]):
                seen.setdefault(login, row)
        for login in names - seen.keys():
            _remember_strange(system_id, login)
        there = _users(system_id).in_bulk({row[0] for row in seen.values()}) if seen else {}
        for login, row in seen.items():
            if row[0] in there:
                self.former[login] = there[row[0]]
            else:
                self.gone[login] = (row[1], row[4], row[5] or "")

    def _look_at_rotations(self, users: Iterable[NatsUser]) -> None:
        keys = {str(user.pk) for user in users}
        if not keys:
            return
        entries = AuditEntry.objects.filter(
            act="credential rotated", object_type="natsuser", object_id__in=keys, at__gte=self.now - RECENT
        )
        for key, at, who in entries.order_by("pk").values_list("object_id", "at", "person_name"):
            self.rotated[key] = (at, who)


def _users(system_id: int) -> Any:
    return NatsUser.objects.filter(system=system_id).select_related("account", "account__owner", "owner", "role")


_strange: dict[tuple[int, str], float] = {}  # {(system, login): until when it needn't be looked for again}


def _known_strange(system_id: int, login: str) -> bool:
    return _strange.get((system_id, login), 0.0) > time.monotonic()


def _remember_strange(system_id: int, login: str) -> None:
    if len(_strange) >= _REMEMBERED:
        _strange.clear()
    _strange[system_id, login] = time.monotonic() + _FORGET_S


# --- sentences ---------------------------------------------------------------------------


def _explain(asked: Login, rows: _Rows) -> Refusal:
    said = asked.reason.casefold()
    user = rows.users.get(asked.login) or rows.former.get(asked.login)
    whose = _whose(user, asked.login)
    if "timeout" in said:
        return Refusal(
            "timeout",
            "The client did not sign in within the time that the server gives.",
            "Look at its network and at the server's CPU; `authorization.timeout` gives it longer.",
            **whose,
        )
    if "maximum account" in said and "connections" in said:
        return _account_full(user, whose)
    if "maximum connections" in said:
        return Refusal(
            "server_full",
            "The server has as many connections as it takes.",
            "Close connections that nobody needs, or raise `max_connections` in its nats-server.conf.",
            **whose,
        )
    if asked.login == TOKEN:
        return Refusal(
            "token",
            "The client gave a token, and these servers know users only.",
            "Give it a user's name and password, or an nkey seed.",
            **whose,
        )
    if not asked.login:
        return Refusal(
            "no_credential",
            "The client gave neither a user's name nor an nkey, and nobody gets in without.",
            "Give it a user's name and password, or an nkey seed; creds with a JWT count for nothing here.",
            **whose,
        )
    if user is None:
        return _unknown(asked, rows, whose)
    found = _kept_out(user, rows, whose) or _former(asked, user, rows, whose)
    found = found or _not_there_yet(asked, user, rows, whose)
    if found is None and "expired" in said:
        found = Refusal("expired", f"The time of user `{user.name}` is over.", _PROLONG, **whose)
    if found is None and said not in _FAILURES:
        found = Refusal("other", f"The server said “{asked.reason[:200]}”.", "See the log of the server.", **whose)
    return found or _wrong_way(asked, user, whose) or _wrong_secret(asked, user, rows, whose)


_PROLONG = "Give the user another expiry, or none, if it shall get in again."


def _whose(user: NatsUser | None, login: str) -> dict[str, Any]:
    if user is None:
        return {"user": login if login != TOKEN else ""}
    owner = user.owner or user.account.owner
    return {
        "user_pk": user.pk,
        "user": user.name,
        "account": user.account.name,
        "account_pk": user.account_id,
        "owner": owner.get_username() if owner is not None else "",
    }


def _account_full(user: NatsUser | None, whose: dict[str, Any]) -> Refusal:
    limit = user.account.max_connections if user is not None else None
    if user is None:
        why = "The account has as many connections as it may have."
    elif limit is not None and limit >= 0:
        why = f"Account `{user.account.name}` has all of its {limit} connections in use."
    else:
        why = f"Account `{user.account.name}` has as many connections as it may have."
    remedy = "Close connections that nobody needs, or raise the account's max connections."
    return Refusal("max_connections", why, remedy, **whose)


def _unknown(asked: Login, rows: _Rows, whose: dict[str, Any]) -> Refusal:
    if asked.login in rows.own:
        return Refusal(
            "own",
            "This is nunect's own nkey, and the server doesn't know it.",
            "Run `nunect doctor`: it says how nunect gets in again.",
            **whose,
        )
    what = "this nkey" if asked.nkey else f"the name `{asked.login[:200]}`"
    if asked.login in rows.gone:
        name, at, who = rows.gone[asked.login]
        by = f" by {who}" if who else ""
        return Refusal(
            "deleted",
            f"User `{name}` was deleted{by} on {_when(at)}.",
            "Stop this client; if it is still needed, create a user for it.",
            **{**whose, "user": name},
        )
    return Refusal(
        "unknown_user",
        f"There is no user with {what}.",
        "Correct what the client is called with, or create the user.",
        **whose,
    )


def _kept_out(user: NatsUser, rows: _Rows, whose: dict[str, Any]) -> Refusal | None:
    """What its rows say against it."""
    if not user.account.enabled:
        return Refusal(
            "account_disabled",
            f"Account `{user.account.name}` is disabled.",
            "Enable the account, if its users shall get in.",
            **whose,
        )
    if user.credential == NatsUser.Credential.NONE:
        return Refusal(
            "no_secret", f"User `{user.name}` has no credential yet.", "Give the user a credential and enable it.",
            **whose,
        )  # fmt: skip
    if not user.enabled:
        return Refusal("disabled", f"User `{user.name}` is disabled.", "Enable the user, if it shall get in.", **whose)
    if user.expires_at is not None and user.expires_at <= rows.now:
        return Refusal("expired", f"User `{user.name}` expired on {_when(user.expires_at)}.", _PROLONG, **whose)
    return None


def _not_there_yet(asked: Login, user: NatsUser, rows: _Rows, whose: dict[str, Any]) -> Refusal | None:
    """Whether the servers hold something else of the account than its rows say, and that matters to this user."""
    state = user.account.state
    if state == "applied":
        return None
    tree = rows.held.get(user.account.name, {})
    there = logins(tree)
    what = f"The new credential of user `{user.name}` is not on the servers yet"
    if asked.login in there:
        entry = next(each for each in tree["users"] if asked.login in (each.get("nkey"), each.get("user")))
        if asked.nkey or entry.get("password") == user.password_hash:
            return None
    elif not there.intersection((user.name, user.nkey, user.retiring_nkey, user.certificate)):
        what = f"User `{user.name}` is not on the servers yet"
    elif not asked.nkey and user.credential != NatsUser.Credential.PASSWORD:
        return None
    account = user.account.name
    why, remedy = {
        "held": (f"a change of `{account}` waits for a person's yes", "Answer the held change of the account."),
        "failed": (f"they refused a change of `{account}`", "Mend what the account's page shows, or try again."),
    }.get(
        state,
        (f"a change of `{account}` is on its way", "Wait a moment; if it stays so, see the account's page."),
    )
    return Refusal(f"not_yet_{state}", f"{what}: {why}.", remedy, **whose)


def _wrong_way(asked: Login, user: NatsUser, whose: dict[str, Any]) -> Refusal | None:
    """A door that this user may not take, or a credential of another kind than its own."""
    role = user.role.connection_types if user.role is not None else []
    allowed = [str(name).upper() for name in user.connection_types or role]
    needed = _TYPES.get(asked.kind, set())
    if allowed and needed and not needed.intersection(allowed):
        names = ", ".join(name.lower() for name in allowed)
        return Refusal(
            "connection_type",
            f"User `{user.name}` may not connect by {asked.kind}, only as {names}.",
            f"Allow the user's connection type {min(needed, key=len)}, or connect in another way.",
            **whose,
        )
    kinds = {
        NatsUser.Credential.NKEY: ("an nkey", "its nkey seed"),
        NatsUser.Credential.CERTIFICATE: ("a certificate", "its certificate"),
    }
    given = NatsUser.Credential.NKEY if asked.nkey else NatsUser.Credential.PASSWORD
    kind = NatsUser.Credential(user.credential)
    overlaps = user.retiring_password_hash or user.retiring_nkey == asked.login
    if given == NatsUser.Credential.PASSWORD and kind in kinds and not overlaps:
        name, secret = kinds[kind]
        return Refusal(
            "wrong_kind",
            f"User `{user.name}` signs in with {name}, and the client came with its name.",
            f"Give the client {secret}, or give the user a password.",
            **whose,
        )
    return None


def _former(asked: Login, user: NatsUser, rows: _Rows, whose: dict[str, Any]) -> Refusal | None:
    """A name or an nkey that this user had once."""
    if asked.login in rows.former and not asked.nkey:
        why = f"User `{asked.login[:200]}` is called `{user.name}` now."
        return Refusal("renamed", why, "Give the client the user's new name.", **whose)
    if asked.login in rows.former:
        why = f"This is a former nkey of user `{user.name}`{_rotated(user, rows)}."
        return Refusal("former_key", why, "Give the client the user's new seed.", **whose)
    if user.retiring_nkey == asked.login and user.retiring_until and user.retiring_until <= rows.now:
        why = f"The former nkey of user `{user.name}` was good until {_when(user.retiring_until)}."
        return Refusal("former_key", why, "Give the client the user's new seed.", **whose)
    return None


def _wrong_secret(asked: Login, user: NatsUser, rows: _Rows, whose: dict[str, Any]) -> Refusal:
    rotated = _rotated(user, rows)
    if asked.nkey:
        why = f"The client's seed doesn't fit the nkey of user `{user.name}`{rotated}."
        return Refusal("wrong_key", why, "Give the client the user's seed, or rotate it.", **whose)
    remedy = "Give the client the user's new password." if rotated else "Correct the client's password, or rotate it."
    return Refusal("rotated" if rotated else "wrong_password", f"The password is wrong{rotated}.", remedy, **whose)


def _rotated(user: NatsUser, rows: _Rows) -> str:
    """The end of a sentence about a credential that was rotated lately, "" when it wasn't."""
    at, who = rows.rotated.get(str(user.pk), (None, ""))
    return f"; it was rotated{f' by {who}' if who else ''} on {_when(at)}" if at else ""


def _when(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d} at {at:%H:%M} UTC" if at is not None else ""
