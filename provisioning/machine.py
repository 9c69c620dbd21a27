"""The nats-server of this machine that runs a main file: its process, its environment, and what it tells over HTTP."""

from __future__ import annotations

import json
import os
import pwd
import socket
import urllib.parse
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from accounts_app.natsconf.tree import Tree

_HTTP_TIMEOUT_S = 2.0
ANYWHERE = ("", "0.0.0.0", "::", "[::]")  # noqa: S104 - where a server listens, not we


@dataclass(frozen=True, slots=True)
class Process:
    """A running nats-server. environ: its own, not to be shown; cwd: what relative paths in its conf start from."""

    pid: int
    uid: int
    cwd: Path
    environ: Mapping[str, str] = field(repr=False)

    @property
    def user(self) -> str:
        """The name of the user it runs as."""
        try:
            return pwd.getpwuid(self.uid).pw_name
        except KeyError:
            return str(self.uid)


def find_process(main: Path) -> Process | None:
    """The nats-server that was started with this main file; None when there is none.

    One of another user is found by its command line alone: then its environment is empty, and where it runs a guess.
    """
    return next(find_processes(main), None)


def find_processes(main: Path) -> Iterator[Process]:
    """Every nats-server that was started with this main file."""
    for folder, conf in _servers():
        with suppress(OSError):
            pid, uid = int(folder.name), folder.stat().st_uid
            try:
                cwd = (folder / "cwd").readlink()
                if (cwd / conf).resolve() == main.resolve():
                    yield Process(pid, uid, cwd, _environ(folder))
            except PermissionError:
                if conf == str(main) or (not Path(conf).is_absolute() and Path(conf).name == main.name):
                    yield Process(pid, uid, main.parent, {})


def running_mains() -> Iterator[tuple[Path, int]]:
    """(main file, uid) of every nats-server of this machine that was started with one, as far as that can be seen."""
    for folder, conf in _servers():
        with suppress(OSError):
            uid, path = folder.stat().st_uid, Path(conf)
            if not path.is_absolute():
                path = (folder / "cwd").readlink() / path
            yield Path(os.path.normpath(path)), uid


def _servers() -> Iterator[tuple[Path, str]]:
    """(its folder in /proc, the conf of its command line) of every nats-server of this machine that names one."""
    for folder in _processes():
        try:
            line = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        words = [word.decode("utf-8", "surrogateescape") for word in line.split(b"\0")]
        conf = _conf_of(words) if Path(words[0]).name == "nats-server" else None
        if conf is not None:
            yield folder, conf


def _processes() -> Iterator[Path]:
    with suppress(OSError):
        yield from (folder for folder in Path("/proc").iterdir() if folder.name.isdecimal())


def _conf_of(words: list[str]) -> str | None:
    """The conf that a command line names."""
    for number, word in enumerate(words[1:], 1):
        flag, equals, value = word.partition("=")
        if flag in ("-c", "--c", "-config", "--config"):
            return value if equals else (words[number + 1] if number + 1 < len(words) else None)
    return None


def _environ(folder: Path) -> dict[str, str]:
    pairs = (folder / "environ").read_bytes().decode("utf-8", "surrogateescape").split("\0")
    return dict(pair.split("=", 1) for pair in pairs if "=" in pair)


# Where it listens


def client_url(tree: Tree) -> str:
    """How a client on this machine reaches a server with this conf."""
    known = {key.lower(): value for key, value in tree.items()}
    host, port = _address(known.get("listen"))
    host = host or str(known.get("host") or known.get("net") or "")
    port = port or int(known.get("port") or 4222)
    return f"{'tls' if known.get('tls') else 'nats'}://{_near(host)}:{port}"


def client_urls(trees: Iterable[Tree], kept: str = "") -> str:
    """How nunect reaches the servers with these confs, with commas.

    kept: how it does already, which stays when it names their ports: their certificates may be of another name than the
    one by which they say that they listen.
    """
    own = [client_url(tree) for tree in trees]
    ports = {urllib.parse.urlsplit(url).port for url in own}
    known = {urllib.parse.urlsplit(url.strip()).port or 4222 for url in kept.split(",") if url.strip()}
    return kept if known and known <= ports else ",".join(own)


def listens(url: str) -> bool:
    """Whether anybody answers at the host and port of a URL."""
    parts = urllib.parse.urlsplit(url)
    try:
        with socket.create_connection((parts.hostname or "", parts.port or 0), _HTTP_TIMEOUT_S):
            return True
    except OSError:
        return False


def monitoring_url(tree: Tree) -> str:
    """Where it answers HTTP, "" when it doesn't without TLS."""
    known = {key.lower(): value for key, value in tree.items()}
    host, port = _address(known.get("http"))
    port = port or int(known.get("http_port") or known.get("monitor_port") or 0)
    host = host or str(known.get("host") or known.get("net") or "")
    return f"http://{_near(host)}:{port}{known.get('http_base_path') or ''}" if port > 0 else ""


def _address(value: Any) -> tuple[str, int]:
    if isinstance(value, int):
        return "", value
    host, _, port = str(value or "").rpartition(":")
    return host, int(port) if port.lstrip("-").isdecimal() else 0


def _near(host: str) -> str:
    return "127.0.0.1" if host in ANYWHERE else host


def ask_http(url: str, path: str) -> dict[str, Any] | None:
    """What the server answers at `path`, None when nobody answers."""
    if not url:
        return None
    try:
        with urllib.request.urlopen(f"{url}/{path}", timeout=_HTTP_TIMEOUT_S) as answer:  # noqa: S310 - http: by the conf
            found: dict[str, Any] = json.load(answer)
    except (OSError, ValueError):
        return None
    return found
