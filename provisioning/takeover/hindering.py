"""What stands against a take-over outside of the accounts: files, servers, and the system that they would become."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from accounts_app.models import Account, System
from accounts_app.natsconf.comparable import logins_of
from accounts_app.natsconf.errors import ConfSyntaxError
from accounts_app.natsconf.names import GLOBAL_ACCOUNT
from accounts_app.natsconf.residual import Residual
from accounts_app.natsconf.sameness import differences
from accounts_app.natsconf.specs import CONTROL_ACCOUNT, IdentitySpec
from provisioning.files import GENERATED, MAIN
from provisioning.machine import client_url, find_processes, listens
from provisioning.mainfile import needs_of
from provisioning.models import Revision
from provisioning.takeover import neighbours
from provisioning.takeover.judging import tree_of
from provisioning.takeover.seeing import Look

_TOLD = 5  # differences of another file


def of_file(seen: Look, system: System | None) -> Iterator[str]:
    """What of one main file, and of the server that runs with it, is in the way."""
    tree = {key.lower(): value for key, value in seen.parsed.tree.items()}
    if seen.main.is_symlink():
        yield f"{seen.main} is a link, which a new file would replace: start the server with {seen.main.resolve()}."
    if not seen.main.is_relative_to(seen.folder):
        yield (
            f"{seen.main} is not below {seen.folder}, where nunect keeps the one {GENERATED} of these servers: move it "
            f"there, or one {MAIN} to a folder above both, and start the servers with them."
        )
        return
    outside = [name for name in seen.parsed.includes if not Path(name).is_relative_to(seen.folder)]
    if outside:
        yield f"{outside[0]} is included from outside of {seen.folder}: move it below this folder."
    tls = tree.get("tls")
    asks = isinstance(tls, Mapping) and True in (tls.get("verify"), tls.get("verify_and_map"))
    if asks and not (system and system.tls_certificate):
        yield (
            "The server wants a certificate of every client: add its system first, with one to show "
            "(`nunect system add NAME --cert FILE --key FILE`), and name it."
        )
    url = client_url(seen.parsed.tree)
    if seen.process is None and listens(url):
        yield (
            f"Somebody listens at {url}, but no nats-server that nunect can see was started with {seen.main}: run this "
            "where that server runs, with the very file that it was started with."
        )
    if seen.process is not None and seen.process.uid != os.geteuid():
        user = seen.process.user
        yield f"nats-server runs as {user}, who must be able to read what nunect writes: run nunect as {user}."
    if len(same := list(find_processes(seen.main))) > 1:
        told = ", ".join(str(process.pid) for process in same)
        yield f"{len(same)} servers run with {seen.main} (processes {told}): give each a main file of its own."


def of_folder(looks: Sequence[Look]) -> Iterator[str]:
    """What of the place beside the first main file is in the way."""
    first = looks[0]
    if first.main.name != MAIN:
        yield f"nunect keeps a main file under the name {MAIN}: rename {first.main.name}, and start the server with it."
    included = {name for seen in looks for name in seen.parsed.includes}
    if first.generated.exists() and str(first.generated) not in included:
        yield f"{first.generated} is there, and nothing includes it; nunect needs this name: move the file away."
    mains = {str(seen.main) for seen in looks}
    if both := sorted(mains & included):
        yield f"{both[0]} is named as a main file, and another one includes it: name the main files alone."


def of_neighbours(looks: Sequence[Look]) -> Iterator[str]:
    """Servers that belong to these and weren't named."""
    yield from neighbours.not_among(looks) if len(looks) > 1 else neighbours.alone(looks[0])


def of_others(looks: Sequence[Look], identity: IdentitySpec) -> Iterator[str]:
    """What the other main files say otherwise than the first."""
    first, *others = looks
    for seen in others:
        theirs, ours = seen.reading.system_account, first.reading.system_account
        told = [str(change) for change in differences(first.meant.tree, seen.meant.tree, identity)]
        if theirs != ours:
            told.insert(0, f"its system account is {theirs}, not {ours}")
        if apart := sorted(_by_certificate(first) ^ _by_certificate(seen)):
            told.insert(0, f"user “{apart[0]}” is known by its certificate (verify_and_map) at one of them alone")
        if told:
            more = f" and {len(told) - _TOLD} more differences" if len(told) > _TOLD else ""
            yield f"{seen.main} doesn't mean the same as {first.main}: {'; '.join(told[:_TOLD])}{more}."


def _by_certificate(seen: Look) -> set[str]:
    """Users who prove themselves by a certificate. At a server that maps none, anybody could be them."""
    users = (user for account in seen.reading.accounts for user in account.users)
    return {user.name for user in users if user.secret.kind == "certificate"}


def of_needs(looks: Sequence[Look]) -> Iterator[str]:
    """Accounts and users that one of the main files needs and the generated file would not have. The binary doesn't see
    that before the server is told to reload (measured)."""
    first = looks[0]
    reading = first.reading
    accounts = {GLOBAL_ACCOUNT, "$SYS", reading.system_account, *(account.name for account in reading.accounts)}
    users = logins_of(first.meant.tree)
    for seen in looks:
        for need in needs_of(seen.parsed):
            if need.name not in (accounts if need.kind == "account" else users):
                yield (
                    f"{need.at}: {need.says}, which {first.main} hasn't: its server would not take the new files. "
                    "Add it there, or take this out."
                )


def of_environment(seen: Look, residual: Residual) -> Iterator[str]:
    """Variables of the first server's environment that the residual files still use, and nunect knows otherwise."""
    if residual.refused or not seen.parsed.variables:
        return
    used = tree_of(seen, residual.texts, "").variables
    missing = sorted(name for name in used if os.environ.get(name) != seen.environ.get(name))
    if missing:
        named = ", ".join(f"${name}" for name in missing)
        yield f"What stays in the main file takes {named} from the server's environment: give nunect the same values."


def lives_elsewhere(system: System, folder: Path) -> bool:
    """Whether a system has a main file of its own in another folder, or had."""
    if system.folder.resolve() == folder.resolve():
        return False
    return (system.folder / MAIN).exists() or Revision.objects.filter(system=system).exists()


def of_system(looks: Sequence[Look], system: System | None) -> Iterator[str]:
    """What of the system that they would become is in the way."""
    if system is None:
        return
    first = looks[0]
    if lives_elsewhere(system, first.folder):
        yield f"System “{system}” has a main file of its own, {system.folder / MAIN}: name another system."
        return
    kept = {system.system_account, CONTROL_ACCOUNT, *(account.name for account in first.reading.accounts)}
    others = Account.objects.filter(system=system).exclude(name__in=kept).values_list("name", flat=True)
    if others:
        listed = ", ".join(others[:5])
        yield f"System “{system}” has accounts that this conf lacks ({listed}): name a new system."


def of_moments(looks: Sequence[Look], files: Sequence[tuple[Path, str]], identity: IdentitySpec) -> Iterator[str]:
    """Servers that couldn't be started with their accounts between two of the writes, where a file of the generated
    one's name is there already. files: in the order in which they are written."""
    if not looks[0].generated.exists():
        return  # nobody includes it yet, and each main file turns at once
    for seen in looks:
        written: dict[str, str] = {}
        for path, text in files[:-1]:
            written[str(path)] = text
            generated = written.get(str(seen.generated)) or _text(seen.generated)
            try:
                tree = tree_of(seen, written, generated).tree
                same = not differences(seen.meant.tree, tree, identity)
            except ConfSyntaxError:
                same = False
            if not same:
                yield (
                    f"{seen.main} would not mean the same between two of the writes, as a file {seen.generated} is "
                    "there: give that file another name, and include it by this."
                )
                return


def _text(path: Path) -> str:
    return path.read_bytes().decode("utf-8", "surrogateescape")
