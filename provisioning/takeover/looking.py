"""Looking at main files: what a take-over would write, do and prove. Nothing is written, no row is made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from accounts_app.credentials import new_nkey
from accounts_app.models import System
from accounts_app.natsconf import forms
from accounts_app.natsconf.refusing import MANAGED, system_account
from accounts_app.natsconf.render import RenderError, assemble, render_snapshot
from accounts_app.natsconf.residual import Residual
from accounts_app.natsconf.sameness import differences
from accounts_app.natsconf.specs import AccountSpec, IdentitySpec, SecretSpec, Snapshot
from accounts_app.natsconf.tree import Tree, spelled
from provisioning.errors import Invalid
from provisioning.machine import ask_http, monitoring_url
from provisioning.mainfile import Need, needs_of
from provisioning.takeover import globalstore, hindering, neighbours
from provisioning.takeover import journal as journals
from provisioning.takeover.forecast import Clients, Forecast, Part, said, waiting_s
from provisioning.takeover.judging import judge, tree_of
from provisioning.takeover.overwriting import overwritten
from provisioning.takeover.seeing import Look, arranged, divide_all, see

_ANY_HASH = "$2a$04$" + "." * 53  # stands for the hash of a password in clear, which is made when it is taken
_CONNECTIONS = 10_000


def look(
    path: Path,
    system: System | None,
    environ: Mapping[str, str] | None = None,
    account: str = "",
    others: Sequence[Path] = (),
) -> Forecast:
    """Say what taking over this main file would do. system: into which, None for one that is still to be made.

    account: the one that everything in `$G` moves to. others: main files of servers that have the same accounts, in the
    same folder or below. Raises NatsConfError for a file that is no conf, OSError for one that can't be read.
    """
    files = arranged(path, others)
    looks = tuple(see(file, environ, account, folder=files[0].parent) for file in files)
    first = looks[0]
    identity = identity_for(system, first.reading.system_account)
    residuals = divide_all(looks, identity.guard)
    parts = tuple(
        Part(seen, residual, is_open(seen.parsed.tree)) for seen, residual in zip(looks, residuals, strict=True)
    )
    notes = [note for part in parts for note in (*part.residual.notes, *part.seen.reading.notes)]
    forecast = Forecast(
        parts,
        tuple(dict.fromkeys(_in_the_way(parts, system, identity))),
        tuple(dict.fromkeys((*said(notes, "weak"), *(neighbours.not_there(looks) if len(looks) > 1 else ())))),
        (
            *dict.fromkeys(said([note for part in parts for note in part.residual.notes], "left")),
            *(f"{need.at}: {need.says}; while it stands, that can't go." for need in _needed(looks)),
        ),
        accounts=len(first.reading.accounts),
        users=sum(len(account.users) for account in first.reading.accounts),
        system_account=first.reading.system_account,
        identity=identity,
        overwritten=overwritten(system, first),
    )
    if not forecast.possible:
        return forecast
    try:
        proven = _proven(forecast)
    except RenderError as error:
        return replace(forecast, refusals=(str(error),))
    order = journals.order([seen.main for seen in looks], proven.texts, (first.generated, proven.generated))
    return replace(proven, refusals=tuple(hindering.of_moments(looks, order, identity)))


def _in_the_way(parts: Sequence[Part], system: System | None, identity: IdentitySpec) -> Iterator[str]:
    """Everything that stands against it, each of several files named."""
    looks = [part.seen for part in parts]
    readable = True
    for part in parts:
        seen, name = part.seen, str(part.seen.main)
        told = [
            *said((*part.residual.notes, *_without_twins(seen, part.residual)), "refused"),
            *hindering.of_file(seen, system),
            *(globalstore.in_the_way(seen) if seen.account else ()),
        ]
        told = [text for text in told if text.endswith(MANAGED)] or told  # what nunect wrote is no further obstacle
        readable = readable and not told
        yield from (text if len(parts) == 1 or name in text else f"{name}: {text}" for text in told)
    yield from hindering.of_folder(looks)
    yield from hindering.of_neighbours(looks)
    yield from hindering.of_environment(looks[0], parts[0].residual)
    yield from hindering.of_system(looks, system)
    if readable:
        yield from hindering.of_needs(looks)
        yield from hindering.of_others(looks, identity)


def _needed(looks: Sequence[Look]) -> Iterator[Need]:
    """What the main files need of the accounts, each once."""
    for seen in looks:
        yield from {(need.kind, need.name): need for need in reversed(needs_of(seen.parsed))}.values()


def identity_for(system: System | None, account: str) -> IdentitySpec:
    """nunect's keys in a system; passing ones for a system that is still to be made."""
    if system is not None:
        return replace(system.identity, system_account=account)
    guard, control, relay, jetstream = (new_nkey()[0] for _ in range(4))
    return IdentitySpec(guard, control, relay, jetstream, account)


def is_open(tree: Tree) -> bool:
    """Whether a server with this conf lets in who has no credential: it has no users, or only in the system account."""
    authorization = spelled(tree, "authorization")
    if isinstance(authorization, Mapping):
        known, _ = forms.keyed(authorization, forms.AUTHORIZATION, "Authorization")
        if known.keys() & {"user", "token"} or known.get("users"):
            return False
    accounts = spelled(tree, "accounts")
    maps: Mapping[str, Any] = accounts if isinstance(accounts, Mapping) else {}
    peopled = {name for name, value in maps.items() if isinstance(value, Mapping) and spelled(value, "users")}
    if not peopled:
        return True
    return peopled == {system_account(tree)} == maps.keys() and authorization is None


def _without_twins(seen: Look, residual: Residual) -> Iterator[Any]:
    """The reading's own refusals, without those of a place that the residual has named already."""
    named = {(note.position, note.path[:1]) for note in residual.refused}
    for note in seen.reading.notes:
        if note.verdict == "refused" and (note.position, note.path[:1]) not in named:
            yield note


def _proven(forecast: Forecast) -> Forecast:
    """Render what the rows would be, let the server's binary judge the whole, and compare. Raises Invalid."""
    first, identity = forecast.seen, forecast.identity
    assert identity is not None  # noqa: S101 - the caller has set it
    accounts = tuple(_hashed(account) for account in first.reading.accounts)
    generated = assemble(render_snapshot(Snapshot(identity, accounts)), 1).text
    texts = forecast.texts
    parts, told = [], []
    for part in forecast.parts:
        seen, clients = part.seen, _clients(part.seen)
        after = tree_of(seen, texts, generated).tree
        changes = differences(seen.meant.tree, after, identity, hashed=lambda _, hash_: hash_ == _ANY_HASH)
        told += [str(change) for change in changes]
        waits_s = waiting_s(first.reading.accounts, clients)
        try:
            judged = judge(seen, texts, generated)
        except Invalid as error:
            of_which = f"{seen.main}: " if len(forecast.parts) > 1 else ""
            raise Invalid(f"{of_which}{error.detail}", error.server_words) from error
        parts.append(replace(part, clients=clients, waits_s=waits_s, digest=judged))
    return replace(forecast, parts=tuple(parts), differences=tuple(dict.fromkeys(told)), generated=generated)


def _hashed(account: AccountSpec) -> AccountSpec:
    return replace(
        account,
        users=tuple(
            replace(user, secret=SecretSpec("password", _ANY_HASH)) if user.secret.plain else user
            for user in account.users
        ),
    )


def _clients(seen: Look) -> Clients | None:
    found = ask_http(monitoring_url(seen.parsed.tree), f"connz?auth=1&limit={_CONNECTIONS}") if seen.process else None
    if found is None:
        return None
    users: dict[str, int] = {}
    closed = 0
    for each in found.get("connections") or ():
        login = each.get("authorized_user") or each.get("nkey") or ""
        users[login] = users.get(login, 0) + 1
        closed += not login
    anonymous = users.pop("", 0)
    return Clients(users, anonymous if is_open(seen.parsed.tree) else 0)
