"""The main file, written by a person or by `up`: what nunect must know of it to work beside it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from accounts_app.natsconf.errors import NatsConfError
from accounts_app.natsconf.parse import Parsed, Position, parse
from accounts_app.natsconf.parse import Path as Place
from accounts_app.natsconf.tree import spelled
from provisioning.errors import NotManaged
from provisioning.files import GENERATED, MAIN, text_hash

OWNED = ("accounts", "server_metadata")


@dataclass(frozen=True, slots=True)
class Need:
    """What a main file takes from the generated one: without it its server neither reloads nor starts (measured).

    kind: an account that leafnodes are bound to, or a login that clients without a credential come in as.
    """

    kind: Literal["account", "user"]
    name: str
    position: Position

    @property
    def at(self) -> str:
        """Its place, as all that is said of a conf begins."""
        return f"{self.position.file}:{self.position.line}:{self.position.column}"

    @property
    def says(self) -> str:
        """What stands there."""
        if self.kind == "account":
            return f"Leafnodes are bound to account “{self.name}” here"
        return f"Clients without a credential come in as user “{self.name}” here"

    def where(self, folder: Path) -> str:
        """File and line, the file as it is called in that folder."""
        return f"{named(Path(self.position.file), folder)}:{self.position.line}"


@dataclass(frozen=True, slots=True)
class MainFile:
    """tree: the main file's own part; sha256: of its text and of its other includes, so that an edit is noticed; fault:
    why nunect can't work beside it, "" when it can; includes: the other files that are part of it; includes_generated:
    whether it takes its accounts from the generated file, as far as it could be read."""

    path: Path
    tree: dict[str, Any] = field(default_factory=dict)
    sha256: str = ""
    needs: tuple[Need, ...] = ()
    fault: str = ""
    includes: frozenset[str] = frozenset()
    includes_generated: bool = True

    @property
    def maps_certificates(self) -> bool:
        """Whether the server finds users by their certificates (`tls { verify_and_map: true }`)."""
        tls = self.tree.get("tls")
        return isinstance(tls, dict) and tls.get("verify_and_map") is True


def named(path: Path, folder: Path) -> str:
    """A file as it is called in a folder: its path from there, or the whole one where it lies elsewhere."""
    return str(path.relative_to(folder)) if path.is_relative_to(folder) else str(path)


def needs_of(parsed: Parsed) -> tuple[Need, ...]:
    """The accounts that leafnodes are bound to, and the users that `no_auth_user` names, in the order of the conf."""
    found: list[tuple[Literal["account", "user"], str, Place]] = []
    for key, value in parsed.tree.items():
        usual = key.lower()
        if usual in ("leafnodes", "leaf"):
            found += [("account", name, (key, *place)) for name, place in _accounts_in(value)]
        elif usual == "no_auth_user" and isinstance(value, str):
            found.append(("user", value, (key,)))
        elif usual in ("websocket", "ws", "mqtt") and isinstance(value, dict):
            name = spelled(value, "no_auth_user")
            if isinstance(name, str):
                found.append(("user", name, (key, next(each for each in value if each.lower() == "no_auth_user"))))
    return tuple(Need(kind, name, parsed.positions[place]) for kind, name, place in found)


def _accounts_in(value: Any) -> Iterator[tuple[str, Place]]:
    if isinstance(value, list):
        for number, each in enumerate(value):
            yield from ((name, (number, *place)) for name, place in _accounts_in(each))
    elif isinstance(value, dict):
        for key, each in value.items():
            if key.lower() in ("account", "acc", "local") and isinstance(each, str):
                yield each, (key,)
            yield from ((name, (key, *place)) for name, place in _accounts_in(each))


def read_main(folder: Path, guard: str) -> MainFile:
    """Read the main file beside the generated one.

    Raises NotManaged when it holds what only the generated file may hold, doesn't include that file,
    or lacks the guard that keeps anonymous clients out whatever the generated file says.
    """
    main = read_first(folder, guard)
    if main.fault:
        raise NotManaged(main.fault)
    return main


def read_first(folder: Path, guard: str) -> MainFile:
    """The same, with what is wrong as its `fault`."""
    return read_file(folder / MAIN, folder, guard, os.environ)


def read_file(path: Path, folder: Path, guard: str, environ: Mapping[str, str]) -> MainFile:
    """Read a main file whose server takes the accounts from the generated file of `folder`. What is wrong with it is
    its `fault`. environ: of that server."""
    generated = os.path.normpath(folder / GENERATED)
    texts: list[str] = []
    included: list[bool] = []

    def read(name: str) -> str:
        if os.path.normpath(name) == generated:
            included.append(True)
            return ""
        texts.append(Path(name).read_bytes().decode("utf-8", "surrogateescape"))
        return texts[-1]

    try:
        texts.append(path.read_bytes().decode("utf-8", "surrogateescape"))
        parsed = parse(texts[0], file=str(path), read=read, environ=environ)
    except OSError as error:
        return MainFile(path, fault=f"{error.filename or path} can't be read: {error.strerror}.")
    except NatsConfError as error:
        which = "The main file" if path.parent == folder and path.name == MAIN else str(path)
        return MainFile(path, fault=f"{which} is not a conf: {error}")
    fault = _fault(path, os.path.relpath(generated, path.parent), parsed.tree, guard, is_included=bool(included))
    others = frozenset(os.path.normpath(name) for name in parsed.includes) - {generated}
    return MainFile(path, parsed.tree, text_hash("\0".join(texts)), needs_of(parsed), fault, others, bool(included))


def _fault(path: Path, generated: str, tree: Mapping[str, Any], guard: str, *, is_included: bool) -> str:
    """What of a main file leaves no room for the generated one, or would open the door; "" for nothing."""
    if not is_included:
        return f'{path} doesn\'t include "{generated}"; add this line at its end: include "{generated}"'
    if owned := [key for key in OWNED if key in tree]:
        return f"{path} holds {owned[0]!r}, which {GENERATED} must own: import it, then take it out."
    if "operator" in tree or "resolver" in tree:
        return f"{path} is in operator mode, where accounts come from JWTs: nunect writes accounts by file."
    users = (tree.get("authorization") or {}).get("users") or []
    if not any(isinstance(user, dict) and user.get("nkey") == guard for user in users):
        return (
            f"{path} lacks the guard, so an empty {GENERATED} would let anybody in. Before the include, add: "
            f'authorization {{ timeout: 2, users: [ {{ nkey: "{guard}" }} ] }}'
        )
    return ""
