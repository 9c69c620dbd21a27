"""The main file, written by a person or by `up`: what nunect must know of it to work beside it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from accounts_app.natsconf.errors import NatsConfError
from accounts_app.natsconf.parse import parse
from accounts_app.natsconf.tree import spelled
from provisioning.errors import NotManaged
from provisioning.files import GENERATED, MAIN, text_hash

OWNED = ("accounts", "server_metadata")


@dataclass(frozen=True, slots=True)
class MainFile:
    """tree: the main file's own part; sha256: of its text and of its other includes, so that an edit is noticed."""

    tree: dict[str, Any]
    sha256: str

    @property
    def maps_certificates(self) -> bool:
        """Whether the server finds users by their certificates (`tls { verify_and_map: true }`)."""
        tls = self.tree.get("tls")
        return isinstance(tls, dict) and tls.get("verify_and_map") is True

    @property
    def bound_accounts(self) -> set[str]:
        """Accounts that leafnodes are bound to: without them the server neither reloads nor starts (measured)."""
        leafnodes = (value for key, value in self.tree.items() if key.lower() in ("leafnodes", "leaf"))
        return {name for value in leafnodes for name in _accounts_in(value)}

    @property
    def default_users(self) -> set[str]:
        """Logins that clients without a credential come in as: without them the server neither reloads nor starts."""
        own = {key.lower(): value for key, value in self.tree.items()}
        places = (own, own.get("websocket"), own.get("ws"), own.get("mqtt"))
        named = (spelled(place, "no_auth_user") for place in places if isinstance(place, dict))
        return {name for name in named if isinstance(name, str)}


def _accounts_in(value: Any) -> Iterator[str]:
    if isinstance(value, list):
        for each in value:
            yield from _accounts_in(each)
    elif isinstance(value, dict):
        for key, each in value.items():
            if key.lower() in ("account", "acc", "local") and isinstance(each, str):
                yield each
            yield from _accounts_in(each)


def read_main(folder: Path, guard: str) -> MainFile:
    """Read the main file beside the generated one.

    Raises NotManaged when it holds what only the generated file may hold, doesn't include that file,
    or lacks the guard that keeps anonymous clients out whatever the generated file says.
    """
    path = folder / MAIN
    texts: list[str] = []
    included: list[bool] = []

    def read(name: str) -> str:
        if Path(name).name == GENERATED:
            included.append(True)
            return ""
        texts.append(Path(name).read_text(encoding="utf-8"))
        return texts[-1]

    try:
        texts.append(path.read_text(encoding="utf-8"))
        tree = parse(texts[0], file=str(path), read=read, environ=os.environ).tree
    except OSError as error:
        raise NotManaged(f"{error.filename or path} can't be read: {error.strerror}.") from error
    except NatsConfError as error:
        raise NotManaged(f"The main file is not a conf: {error}") from error
    if not included:
        raise NotManaged(f'{path} doesn\'t include "{GENERATED}"; add this line at its end: include "{GENERATED}"')
    if owned := [key for key in OWNED if key in tree]:
        raise NotManaged(f"{path} holds {owned[0]!r}, which {GENERATED} must own: import it, then take it out.")
    if "operator" in tree or "resolver" in tree:
        raise NotManaged(f"{path} is in operator mode, where accounts come from JWTs: nunect writes accounts by file.")
    users = (tree.get("authorization") or {}).get("users") or []
    if not any(isinstance(user, dict) and user.get("nkey") == guard for user in users):
        raise NotManaged(
            f"{path} lacks the guard, so an empty {GENERATED} would let anybody in. Before the include, add: "
            f'authorization {{ timeout: 2, users: [ {{ nkey: "{guard}" }} ] }}'
        )
    return MainFile(tree, text_hash("\0".join(texts)))
