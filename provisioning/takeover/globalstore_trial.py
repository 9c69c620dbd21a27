"""A store tried on a copy: a private server of the same binary with the old conf, then with the new one."""

from __future__ import annotations

import asyncio
import ctypes
import os
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import nats
import nats.errors

from accounts_app.natsconf.emit import emit
from accounts_app.natsconf.names import GLOBAL_ACCOUNT
from accounts_app.natsconf.tree import Tree, spelled
from provisioning.binary import binary
from provisioning.errors import NotVerified, NotWritten, ProvisioningError
from provisioning.takeover import globalstore_names as names
from provisioning.takeover.globalstore import Store, trimmed
from provisioning.takeover.globalstore_inventory import Inventory, OwnApi, counted, take_inventory, unlike
from provisioning.takeover.journal import step

_START_S = 600.0  # a large store is read through where its index is not whole
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG, linux/prctl.h


class DoesNotStart(NotVerified):
    """A private server does not start with the copy."""


@dataclass(frozen=True, slots=True)
class Tried:
    """What was found. before: what the store keeps; took_s: how long both starts took, without the copying."""

    before: Inventory
    took_s: float

    def __str__(self) -> str:
        return counted(self.before)


def try_on_copy(store: Store, trees: tuple[Tree, Tree], program: str, *, back: bool = False) -> Tried:
    """Copy the store, or what has changed since the last copy, and look at it with both confs.

    trees: the conf before and after; program: the nats-server to try it with. back: the streams are in the
    account, and go to `$G`. Raises NotVerified with how the second look differs. What `clear` removes stays on disk.
    """
    homes = [GLOBAL_ACCOUNT, store.account]
    if back:
        homes.reverse()
    old, new = (store.copy / "jetstream" / home for home in homes)
    try:
        store.copy.mkdir(mode=0o700, exist_ok=True)
        shutil.rmtree(new, ignore_errors=True)
        refresh(store.root / homes[0], old)
        begun = time.monotonic()
        before = look_with(trees[0], homes[0], store, program)
        step("takeover store copied")
        names.double(old, new)
        names.drop(old)
        after = look_with(trees[1], homes[1], store, program)
        new.rename(old)
    except OSError as error:
        raise NotWritten(f"{store.copy} can't be used for a trial: {error.strerror}.") from error
    if differs := unlike(before, after):
        raise NotVerified("On a copy of the store the streams did not come up as before.", "\n".join(differs[:20]))
    step("takeover store tried")
    return Tried(before, time.monotonic() - begun)


def look_back(store: Store, former: Tree, program: str) -> Inventory:
    """What the former conf finds in a copy of the account's folder, where no server starts with the present one.

    Raises NotVerified.
    """
    copy_ahead(store, store.account)
    below = store.copy / "jetstream"
    names.double(below / store.account, below / GLOBAL_ACCOUNT)
    return look_with(former, GLOBAL_ACCOUNT, store, program)


def copy_ahead(store: Store, home: str) -> None:
    """Copy a folder of the store while its server runs, so that little is left to copy once it is stopped.

    Raises NotWritten, such as when there is too little room.
    """
    try:
        store.copy.mkdir(mode=0o700, exist_ok=True)
        refresh(store.root / home, store.copy / "jetstream" / home)
    except OSError as error:
        raise NotWritten(f"{store.copy} can't be used for a trial: {error.strerror}.") from error


def clear(store: Store) -> None:
    """Remove the copy."""
    shutil.rmtree(store.copy, ignore_errors=True)


def refresh(source: Path, target: Path) -> None:
    """Make `target` hold what `source` does, copying only files of another size or time. The server may be at work."""
    for where, folders, files in os.walk(target, topdown=False):
        beside = source / Path(where).relative_to(target)
        for name in files:
            if not (beside / name).exists():
                (Path(where) / name).unlink()
        for name in folders:
            if not (beside / name).is_dir():
                (Path(where) / name).rmdir()
    for where, _, files in os.walk(source):
        beside = target / Path(where).relative_to(source)
        beside.mkdir(parents=True, exist_ok=True)
        for name in files:
            with suppress(FileNotFoundError):  # gone meanwhile
                _copy(Path(where) / name, beside / name)


def _copy(source: Path, target: Path) -> None:
    seen = source.stat()
    if target.exists():
        known = target.stat()
        if (known.st_size, known.st_mtime_ns) == (seen.st_size, seen.st_mtime_ns):
            return
    shutil.copyfile(source, target)
    os.utime(target, ns=(seen.st_atime_ns, seen.st_mtime_ns))


def look_with(tree: Tree, account: str, store: Store, program: str) -> Inventory:
    """What a private server with this conf finds in the copy. Raises NotVerified with its words."""
    login = f"nunect-{secrets.token_hex(8)}", secrets.token_hex(16)
    with _private(_conf(tree, account, login, store.copy), store.copy, program) as port:
        return asyncio.run(_look(port, account, login))


def _conf(tree: Tree, account: str, login: tuple[str, str], copy: Path) -> str:
    """The conf for one client on the loopback, who has JetStream of the account; nobody else gets in."""
    found = trimmed(tree)
    user = {"user": login[0], "password": login[1]}
    key = next(key for key in found if key.lower() == "jetstream")
    own = found[key] if isinstance(found[key], dict) else {}
    rest = {name: value for name, value in own.items() if name.lower() not in ("store_dir", "storedir")}
    found[key] = {**rest, "store_dir": str(copy)}
    if account == GLOBAL_ACCOUNT:
        found["authorization"] = {"users": [user]}
    else:
        where = next(key for key in found if key.lower() == "accounts")
        mine = found[where][account]
        users = [*(spelled(mine, "users") or ()), user]
        others = {name: value for name, value in mine.items() if name.lower() not in ("users", "default_permissions")}
        found[where] = {**found[where], account: {**others, "users": users}}
    return emit({"listen": "127.0.0.1:-1", "ports_file_dir": str(copy), **found})


@contextmanager
def _private(conf: str, folder: Path, program: str) -> Iterator[int]:
    """A server with this conf, while nunect lives; its port. It ends properly, so that the copy stays whole."""
    path, log = folder / "trial.conf", folder / "trial.log"
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_bytes(conf.encode("utf-8", "surrogateescape"))
    log.unlink(missing_ok=True)
    process = subprocess.Popen(
        [program, "-c", str(path), "-l", str(log)], preexec_fn=_die_with_parent, start_new_session=True
    )
    ports = folder / f"nats-server_{process.pid}.ports"
    try:
        yield _port(process, folder, log)
    finally:
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for left in (ports, path):
            left.unlink(missing_ok=True)


def _port(process: subprocess.Popen[bytes], folder: Path, log: Path) -> int:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline:
        for path in folder.glob(f"*_{process.pid}.ports"):
            with suppress(OSError, IndexError):
                text = path.read_text()
                if '"nats"' in text and "127.0.0.1:" in text:
                    return int(text.split("127.0.0.1:", 1)[1].split('"', 1)[0])
        if process.poll() is not None:
            words = log.read_text(errors="replace")[-2000:] if log.exists() else ""
            raise DoesNotStart(
                "A private nats-server does not start with the copy of the store.", _without_paths(words)
            )
        time.sleep(0.01)
    raise DoesNotStart(f"A private nats-server has not read the copy of the store within {_START_S:g} s.")


def _without_paths(words: str) -> str:
    return "\n".join(line.partition("] ")[2] for line in words.splitlines() if "[FTL]" in line or "[ERR]" in line)


async def _look(port: int, account: str, login: tuple[str, str]) -> Inventory:
    try:
        client = await nats.connect(
            f"nats://127.0.0.1:{port}", user=login[0], password=login[1], allow_reconnect=False, connect_timeout=5
        )
    except (nats.errors.Error, OSError, TimeoutError) as error:
        raise NotVerified("The private nats-server does not answer.") from error
    try:
        return await take_inventory(OwnApi(client, 60), account)
    except ProvisioningError as error:
        raise NotVerified(f"JetStream of the private nats-server does not answer: {error.detail}") from error
    finally:
        await client.close()


def same_binary(pid: int | None) -> str:
    """The binary of the running server where it can be seen, else nunect's."""
    with suppress(OSError):
        if pid is not None:
            found = Path(f"/proc/{pid}/exe").readlink()
            if found.exists():
                return str(found)
    return binary()


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
