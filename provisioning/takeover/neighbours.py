"""Servers beside a server: whom its conf calls, who calls it, and who of them isn't among those that were named."""

from __future__ import annotations

import ipaddress
import socket
import urllib.parse
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from accounts_app.importing import read_conf
from accounts_app.natsconf.errors import NatsConfError
from accounts_app.natsconf.tree import Tree, spelled
from provisioning.machine import ANYWHERE, ask_http, find_process, listens, monitoring_url, running_mains
from provisioning.takeover.seeing import Look, arranged


@dataclass(frozen=True, slots=True)
class Address:
    """Where servers meet. kind: "cluster" or "gateway"."""

    kind: str
    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def is_one_of_several(tree: Tree) -> bool:
    """Whether this conf may have neighbours."""
    return any(isinstance(spelled(tree, kind), Mapping) for kind in ("cluster", "gateway"))


def heard_at(tree: Tree) -> list[Address]:
    """Where a server with this conf listens for neighbours."""
    found = []
    for kind in ("cluster", "gateway"):
        known = _known(spelled(tree, kind))
        host, _, port = str(known.get("listen") or "").rpartition(":")
        host = host or str(known.get("host") or known.get("addr") or known.get("net") or "")
        number = port if port.isdecimal() else str(known.get("port") or "")
        if number.isdecimal():
            found.append(Address(kind, host.strip("[]"), int(number)))
    return found


def calls(tree: Tree) -> list[Address]:
    """Which neighbours a server with this conf calls."""
    routes = _known(spelled(tree, "cluster")).get("routes")
    gateways = _known(spelled(tree, "gateway")).get("gateways")
    urls = [("cluster", url) for url in (routes if isinstance(routes, list) else [])]
    for each in gateways if isinstance(gateways, list) else []:
        known = _known(each)
        named = known.get("urls")
        urls += [("gateway", url) for url in (*(named if isinstance(named, list) else ()), known.get("url")) if url]
    found = []
    for kind, url in urls:
        with suppress(ValueError):
            parts = urllib.parse.urlsplit(str(url))
            found.append(Address(kind, parts.hostname or "", parts.port or 0))
    return list(dict.fromkeys(found))


def alone(seen: Look) -> Iterator[str]:
    """Why a main file can't be taken over by itself."""
    tree = seen.parsed.tree
    strangers = [address for address in calls(tree) if not _any_meets([address], heard_at(tree))]
    told = [f"a route to {each}" if each.kind == "cluster" else f"a gateway to {each}" for each in strangers[:1]]
    told = told or [f"{who} is joined to it" for who in [*_callers([seen]), *_joined([seen])][:1]]
    if not told:
        return
    running = [path for path, _ in running_mains()]
    group = next(each for each in joined_mains([seen.main, *running]) if seen.main in each)
    way = (
        f"take them over together: nunect takeover {' '.join(map(str, group))}"
        if len(group) > 1
        else "name the main files of all of them that run on this machine. Those of other machines can't be signalled "
        "from here: import their accounts, let every main file include one accounts.conf in a folder that all of them "
        "share, and have nunect manage that (“Several servers” in docs/takeover.md)."
    )
    yield f"{seen.main} belongs to one of several servers ({told[0]}), and is named alone: {way}"


def not_among(looks: Sequence[Look]) -> Iterator[str]:
    """Who runs beside these and isn't one of them."""
    found = [*_callers(looks), *_called(looks, answering=True)] or _joined(looks)
    for who in dict.fromkeys(found):
        yield (
            f"{who} belongs to these servers and isn't among them: it would keep the former accounts. Name its main "
            "file, too; one of another machine must share the folder (“Several servers” in docs/takeover.md)."
        )


def not_there(looks: Sequence[Look]) -> Iterator[str]:
    """Who is called by these, and nobody is there now."""
    for who in _called(looks, answering=False):
        yield f"Nobody answers at {who}, which these servers call: one that is started there keeps the former accounts."


def joined_mains(mains: Sequence[Path]) -> Iterator[tuple[Path, ...]]:
    """The same main files by their groups: servers that meet each other, by their confs. The first of a group is the
    one beside which nunect would write."""
    left = {path: _tree_of(path) for path in dict.fromkeys(mains)}
    while left:
        path, tree = next(iter(left.items()))
        del left[path]
        group, trees = [path], [tree]
        while met := [other for other, their in left.items() if any(meet(their, tree) for tree in trees)]:
            group += met
            trees += [left.pop(other) for other in met]
        first, *rest = sorted(group)
        yield arranged(first, rest)


def meet(one: Tree, other: Tree) -> bool:
    """Whether a server with the one conf calls a server with the other, or is called by it, on this machine."""
    return _any_meets(calls(one), heard_at(other)) or _any_meets(calls(other), heard_at(one))


# --- by what stands in files, and by who runs ----------------------------------------------------------


def _callers(looks: Sequence[Look]) -> Iterator[str]:
    """Servers of this machine that meet these by their confs."""
    named = {seen.main.resolve() for seen in looks}
    ours = [address for seen in looks for address in heard_at(seen.parsed.tree)]
    called = [address for seen in looks for address in calls(seen.parsed.tree)]
    for path, _ in running_mains() if ours or called else ():
        if path.resolve() in named:
            continue
        tree = _tree_of(path)
        if _any_meets(calls(tree), ours) or _any_meets(called, heard_at(tree)):
            yield str(path)


def _called(looks: Sequence[Look], *, answering: bool) -> Iterator[str]:
    """Addresses that these call, and none of them listens at. answering: somebody does."""
    ours = [address for seen in looks for address in heard_at(seen.parsed.tree)]
    known = [address for path, _ in running_mains() for address in heard_at(_tree_of(path))]
    for address in dict.fromkeys(address for seen in looks for address in calls(seen.parsed.tree)):
        if _any_meets([address], ours) or _any_meets([address], known):
            continue
        if listens(f"nats://{address}") == answering:
            yield f"A server at {address}" if answering else str(address)


def _joined(looks: Sequence[Look]) -> Iterator[str]:
    """Servers to which these have a route now, as far as one of them tells over HTTP."""
    ids, names = set(), {str(seen.parsed.tree.get("server_name", "")) for seen in looks}
    told: list[dict[str, Any]] = []
    for seen in looks:
        url = monitoring_url(seen.parsed.tree) if seen.process else ""
        routes = ask_http(url, "routez") or {}
        ids.add(routes.get("server_id"))
        told += routes.get("routes") or []
    silent = any(seen.process and not monitoring_url(seen.parsed.tree) for seen in looks)
    nameless = any(not seen.parsed.tree.get("server_name") for seen in looks)
    for route in told:
        name, remote = route.get("remote_name", ""), route.get("remote_id")
        if remote not in ids and name not in names and not (silent and nameless):
            yield f"{name or remote} at {route.get('ip', '')}"


def _tree_of(path: Path) -> Tree:
    process = find_process(path)
    with suppress(OSError, NatsConfError):
        return read_conf(path, process.environ if process else None).tree
    return {}


# --- addresses -----------------------------------------------------------------------------------------


def _any_meets(called: Collection[Address], heard: Collection[Address]) -> bool:
    return any(_meets(one, other) for one in called for other in heard)


def _meets(called: Address, heard: Address) -> bool:
    """Whether who calls that address reaches who listens at this one, on this machine."""
    if (called.kind, called.port) != (heard.kind, heard.port):
        return False
    here = {ip for ip in _addresses(called.host) if _is_here(ip)}
    return bool(here) and (heard.host in ANYWHERE or bool(here & _addresses(heard.host)))


def _addresses(host: str) -> set[str]:
    with suppress(ValueError):
        return {str(ipaddress.ip_address(host))}
    with suppress(OSError, UnicodeError):
        return {str(found[4][0]) for found in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)}
    return set()


def _is_here(ip: str) -> bool:
    """Whether this machine has that address."""
    family = socket.AF_INET6 if ":" in ip else socket.AF_INET
    with suppress(OSError), socket.socket(family, socket.SOCK_STREAM) as own:
        own.bind((ip, 0))
        return True
    return False


def _known(value: Any) -> dict[str, Any]:
    return {key.lower(): each for key, each in value.items()} if isinstance(value, Mapping) else {}
