"""Looking at a main file: what a take-over would write, do and prove. Nothing is written, no row is made."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from accounts_app.credentials import new_nkey
from accounts_app.models import Account, System
from accounts_app.natsconf import forms
from accounts_app.natsconf.refusing import system_account
from accounts_app.natsconf.render import RenderError, assemble, render_snapshot
from accounts_app.natsconf.residual import Residual
from accounts_app.natsconf.sameness import differences
from accounts_app.natsconf.specs import CONTROL_ACCOUNT, AccountSpec, IdentitySpec, SecretSpec, Snapshot
from accounts_app.natsconf.tree import Tree, spelled
from provisioning.files import GENERATED, MAIN
from provisioning.models import Revision
from provisioning.takeover import globalstore
from provisioning.takeover.forecast import Clients, Forecast, said, waiting_s
from provisioning.takeover.judging import judge, tree_of
from provisioning.takeover.machine import ask_http, client_url, listens, monitoring_url
from provisioning.takeover.seeing import Look, divide, see

_ANY_HASH = "$2a$04$" + "." * 53  # stands for the hash of a password in clear, which is made when it is taken
_CONNECTIONS = 10_000


def look(path: Path, system: System | None, environ: Mapping[str, str] | None = None, account: str = "") -> Forecast:
    """Say what taking over this main file would do. system: into which, None for one that is still to be made.

    account: the one that everything in `$G` moves to. Raises NatsConfError for a file that is no conf, OSError for one
    that can't be read.
    """
    seen = see(path, environ, account)
    identity = identity_for(system, seen.reading.system_account)
    residual = divide(seen, identity.guard)
    refusals = (
        *said((*residual.notes, *_without_twins(seen, residual)), "refused"),
        *_in_the_way(seen, system, residual),
        *(globalstore.in_the_way(seen) if account else ()),
    )
    forecast = Forecast(
        seen,
        refusals,
        said((*residual.notes, *seen.reading.notes), "weak"),
        said(residual.notes, "left"),
        accounts=len(seen.reading.accounts),
        users=sum(len(account.users) for account in seen.reading.accounts),
        system_account=seen.reading.system_account,
        opened=is_open(seen.parsed.tree),
        residual=residual,
    )
    if not forecast.possible:
        return forecast
    clients = _clients(seen)
    try:
        proven = _proven(replace(forecast, identity=identity))
    except RenderError as error:
        return replace(forecast, refusals=(str(error),))
    return replace(proven, clients=clients, waits_s=waiting_s(seen.reading.accounts, clients))


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


def _in_the_way(seen: Look, system: System | None, residual: Residual) -> Iterator[str]:
    """What outside of the accounts stands against it."""
    tree = {key.lower(): value for key, value in seen.parsed.tree.items()}
    if seen.main.name != MAIN:
        yield f"nunect keeps a main file under the name {MAIN}: rename {seen.main.name}, and start the server with it."
    if seen.main.is_symlink():
        yield f"{seen.main} is a link, which a new file would replace: start the server with {seen.main.resolve()}."
    generated = seen.main.parent / GENERATED
    if generated.exists() and str(generated) not in seen.parsed.includes:
        yield f"{generated} is there, and nothing includes it; nunect needs this name: move the file away."
    outside = [name for name in seen.parsed.includes if not Path(name).is_relative_to(seen.main.parent)]
    if outside:
        yield f"{outside[0]} is included from outside of {seen.main.parent}: move it below this folder."
    cluster = tree.get("cluster")
    if (isinstance(cluster, Mapping) and spelled(cluster, "routes")) or tree.get("gateway"):
        yield "This server is one of several. Taking over several, each with a main file of its own, is not built yet."
    tls = tree.get("tls")
    if isinstance(tls, Mapping) and tls.get("verify_and_map") is True:
        yield "The server takes users by their certificates (verify_and_map), where nunect's own key lets nobody in."
    elif isinstance(tls, Mapping) and tls.get("verify") is True and not (system and system.tls_certificate):
        yield (
            "The server wants a certificate of every client: add its system first, with one to show "
            "(`nunect system add NAME --cert FILE --key FILE`), and name it."
        )
    missing = sorted(name for name in _kept_variables(seen, residual) if os.environ.get(name) != seen.environ.get(name))
    if missing:
        named = ", ".join(f"${name}" for name in missing)
        yield f"What stays in the main file takes {named} from the server's environment: give nunect the same values."
    url = client_url(seen.parsed.tree)
    if seen.process is None and listens(url):
        yield (
            f"Somebody listens at {url}, but no nats-server that nunect can see was started with {seen.main}: run this "
            "where that server runs, with the very file that it was started with."
        )
    if seen.process is not None and seen.process.uid != os.geteuid():
        user = seen.process.user
        yield f"nats-server runs as {user}, who must be able to read what nunect writes: run nunect as {user}."
    if system is None:
        return
    elsewhere = system.folder.resolve() != seen.main.parent.resolve()
    if elsewhere and ((system.folder / MAIN).exists() or Revision.objects.filter(system=system).exists()):
        yield f"System “{system}” has a main file of its own, {system.folder / MAIN}: name another system."
        return
    kept = {system.system_account, CONTROL_ACCOUNT, *(account.name for account in seen.reading.accounts)}
    others = Account.objects.filter(system=system).exclude(name__in=kept).values_list("name", flat=True)
    if others:
        listed = ", ".join(others[:5])
        yield f"System “{system}” has accounts that this conf lacks ({listed}): name a new system."


def _kept_variables(seen: Look, residual: Residual) -> set[str]:
    """Variables of the environment that the residual files still use."""
    if residual.refused or not seen.parsed.variables:
        return set()
    return set(tree_of(seen.main, residual.texts, "", seen.environ).variables)


def _proven(forecast: Forecast) -> Forecast:
    """Render what the rows would be, let the server's binary judge the whole, and compare. Raises Invalid."""
    seen, residual, identity = forecast.seen, forecast.residual, forecast.identity
    assert identity is not None  # noqa: S101 - the caller has set it
    accounts = tuple(_hashed(account) for account in seen.reading.accounts)
    generated = assemble(render_snapshot(Snapshot(identity, accounts)), 1).text
    judged = judge(seen.main, residual.texts, generated, seen.environ, seen.process.cwd if seen.process else None)
    after = tree_of(seen.main, residual.texts, generated, seen.environ).tree
    changes = differences(seen.meant.tree, after, identity, hashed=lambda _, hash_: hash_ == _ANY_HASH)
    told = tuple(str(change) for change in changes)
    return replace(forecast, differences=told, generated=generated, digest=judged)


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
