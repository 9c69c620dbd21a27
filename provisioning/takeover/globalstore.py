"""Where `$G` keeps its streams, and what stands against giving them to an account."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from accounts_app.natsconf.names import GLOBAL_ACCOUNT, InvalidValue, check_account_name
from accounts_app.natsconf.refusing import jetstream_is_global
from accounts_app.natsconf.tree import Tree, spelled
from provisioning.errors import NotManaged
from provisioning.files import GENERATED
from provisioning.takeover.seeing import Look

COPY = "nunect-trial"  # in the store folder, so on the same disk; the server looks at `jetstream` alone
_MARGIN = 64 * 2**20  # bytes that stay free beside a copy
_OF_GLOBAL = {  # settings that mean `$G` without saying so, and would mean an empty account afterwards
    "leafnodes": "Leafnodes are bound to `$G` where they name no account",
    "leaf": "Leafnodes are bound to `$G` where they name no account",
    "mappings": "`mappings` at the top belong to `$G`",
    "maps": "`mappings` at the top belong to `$G`",
    "mqtt": "MQTT sessions are streams of `$G`, and moving these is not tried",
}
_FLAGS = ("-js", "--js", "-jetstream", "--jetstream", "-sd", "--sd", "-store_dir", "--store_dir")


@dataclass(frozen=True, slots=True)
class Store:
    """The folders of a server's JetStream. parent: what `store_dir` says; root: below it, a folder for each account."""

    parent: Path
    root: Path
    account: str

    @property
    def former(self) -> Path:
        """Where the streams are before."""
        return self.root / GLOBAL_ACCOUNT

    @property
    def own(self) -> Path:
        """Where the account looks for them."""
        return self.root / self.account

    @property
    def copy(self) -> Path:
        """Where a copy is tried."""
        return self.parent / COPY


def store_of(seen: Look) -> Store:
    """The store of a server with this conf, as the server finds it (`server/jetstream.go`)."""
    tree = seen.parsed.tree
    jetstream = spelled(tree, "jetstream")
    inner = jetstream if isinstance(jetstream, Mapping) else {}
    said = _said(inner) or _said(tree)
    if not said:
        temporary = Path(seen.environ.get("TMPDIR") or "/tmp") / "nats"  # noqa: S108 - the server's own default
        return Store(temporary, temporary / "jetstream", seen.account)
    parent = Path(os.path.normpath((seen.process.cwd if seen.process else seen.main.parent) / said))
    return Store(parent, parent / "jetstream", seen.account)


def _said(tree: Mapping[str, Any]) -> str:
    return next((str(tree[key]) for key in tree if key.lower() in ("store_dir", "storedir")), "")


def in_the_way(seen: Look) -> Iterator[str]:
    """Why the streams of `$G` can't be moved to the account."""
    tree = {key.lower(): value for key, value in seen.parsed.tree.items()}
    if not jetstream_is_global(seen.parsed.tree):
        yield "--global-account is for a server whose JetStream lives in `$G`, and this one's does not."
        return
    try:
        check_account_name(seen.account)
    except InvalidValue as error:
        yield f"--global-account: {error}"
        return
    if seen.account in (spelled(tree, "accounts") or ()):
        yield f"--global-account: there is an account {seen.account} already; name a new one."
    if tree.get("cluster") or tree.get("gateway"):
        yield (
            "JetStream of a cluster keeps in its meta layer whose each stream is, by account; moving folders would "
            "lose them. Copy the streams over with `nats stream backup` and `restore` instead."
        )
        return
    for key in tree.keys() & _OF_GLOBAL.keys():
        yield f"{_OF_GLOBAL[key]}: not built yet together with --global-account."
    jetstream = tree["jetstream"]
    if isinstance(jetstream, Mapping) and any(key.lower() in _ENCRYPTION for key in jetstream):
        yield (
            "The store is encrypted, and the server derives the key from the account's name: it could not read it "
            "under another. Copy the streams over with `nats stream backup` and `restore` instead."
        )
    if (seen.main.parent / GENERATED).exists():
        yield f"{seen.main.parent / GENERATED} is there: give the file another name before its streams are moved."
    if seen.process is not None and (flag := _flag(seen.process.pid)):
        yield f"nats-server was started with {flag}: write JetStream and its `store_dir` into {seen.main.name} instead."
    yield from _in_the_store(store_of(seen))


_ENCRYPTION = ("key", "ek", "encryption_key", "cipher", "prev_key", "prev_ek", "prev_encryption_key", "tpm")


def _flag(pid: int) -> str:
    with suppress(OSError):
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode("utf-8", "surrogateescape").split("\0")
        return next((word for word in words[1:] if word.partition("=")[0] in _FLAGS), "")
    return ""


def _in_the_store(store: Store) -> Iterator[str]:
    if (store.root / "$SYS").exists():
        yield f"{store.root / '$SYS'} says that this JetStream was one of a cluster: its streams can't be moved."
        return
    if not store.former.is_dir():
        yield (
            f"There is no folder {store.former}: the store is elsewhere (`store_dir`), or nothing was ever kept there. "
            "Say `store_dir` as the server has it; a server without streams needs no move: give it an account first."
        )
        return
    if store.own.exists():
        yield f"{store.own} is there already, with streams of its own: name another account."
    try:
        size = _size(store.former)
        if not os.access(store.root, os.R_OK | os.W_OK | os.X_OK) or not os.access(store.parent, os.W_OK | os.X_OK):
            yield f"{store.root} can't be written: run nunect as the user that nats-server runs as."
            return
    except OSError as error:
        yield f"{error.filename} can't be read ({error.strerror}): run nunect as the user that nats-server runs as."
        return
    except NotManaged as error:
        yield error.detail
        return
    free = shutil.disk_usage(store.parent).free
    if free < size + _MARGIN:
        yield (
            f"The store takes {size / 2**20:,.0f} MiB, and {free / 2**20:,.0f} MiB are free below {store.parent}: too "
            "little for the copy that it is tried on."
        )


def _size(folder: Path) -> int:
    """Bytes of all files below. Raises OSError for what can't be read, NotManaged for links and other disks."""
    device, total = folder.stat().st_dev, 0

    def stop(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            raise error

    for where, folders, files in os.walk(folder, onerror=stop):
        for name in (*folders, *files):
            path = Path(where) / name
            try:
                found = path.lstat()
            except FileNotFoundError:
                continue  # the server runs, and is at work
            if stat.S_ISLNK(found.st_mode) or found.st_dev != device:
                raise NotManaged(f"{path} leads to another place: a store must be whole to be moved.")
            if not os.access(path, os.R_OK | (os.X_OK if stat.S_ISDIR(found.st_mode) else 0)):
                raise PermissionError(13, "Permission denied", str(path))
            total += found.st_size
    return total


def trimmed(tree: Tree) -> Tree:
    """What of a conf a server needs that only looks at a store: no listeners, no neighbours, no users of its own."""
    kept = ("jetstream", "accounts", "system_account", "system", "max_payload", "max_control_line", "default_js_domain")
    return {key: value for key, value in tree.items() if key.lower() in kept}
