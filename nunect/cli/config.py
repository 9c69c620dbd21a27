"""Where nunect is: NUNECT_URL and NUNECT_TOKEN, else what `nunect login` wrote, else this machine."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit


class ConfigError(Exception):
    """What is missing or can't be read, in one sentence."""


@dataclass(frozen=True, slots=True)
class Target:
    """A nunect that is reached over the network. url: without a slash at its end and without /api/v1."""

    url: str
    token: str = field(repr=False)


def config_file(environ: Mapping[str, str] = os.environ) -> Path:
    """The file of `nunect login`."""
    home = environ.get("XDG_CONFIG_HOME")
    return (Path(home) if home else Path.home() / ".config") / "nunect" / "config.json"


def find_target(environ: Mapping[str, str] = os.environ) -> Target | None:
    """The nunect to talk to, None for this machine's own database. Raises ConfigError."""
    url, token = environ.get("NUNECT_URL", "").strip(), environ.get("NUNECT_TOKEN", "").strip()
    if url and token:
        return Target(clean_url(url), token)
    saved = read_login(environ)
    if url:
        if saved is None or saved.url != clean_url(url):
            raise ConfigError("NUNECT_URL is set and NUNECT_TOKEN is not: set both, or neither.")
        return saved
    if token:
        if saved is None:
            raise ConfigError("NUNECT_TOKEN is set and NUNECT_URL is not: set both, or neither.")
        return Target(saved.url, token)
    return saved


def read_login(environ: Mapping[str, str] = os.environ) -> Target | None:
    """What `nunect login` wrote; None when nobody logged in. Raises ConfigError."""
    path = config_file(environ)
    try:
        saved = json.loads(path.read_text())
        return Target(clean_url(saved["url"]), str(saved["token"]))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ConfigError(f"{path} can't be read: {error.strerror}.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path} is not what `nunect login` wrote: delete it and log in again.") from error


def write_login(target: Target, environ: Mapping[str, str] = os.environ) -> Path:
    """Keep the target for later commands, readable by its owner alone; the file. Raises ConfigError."""
    path = config_file(environ)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        number, beside = tempfile.mkstemp(dir=path.parent)  # with mode 0600
        with os.fdopen(number, "w") as file:
            json.dump({"url": target.url, "token": target.token}, file, indent=2)
        Path(beside).replace(path)
    except OSError as error:
        raise ConfigError(f"{path} can't be written: {error.strerror}.") from error
    return path


def clean_url(text: str) -> str:
    """The address of a nunect as this program keeps it. Raises ConfigError."""
    url = text.strip().rstrip("/").removesuffix("/api/v1").rstrip("/")
    try:
        parts = urlsplit(url)
        known = parts.scheme in ("http", "https") and parts.hostname and (parts.port or True)
    except ValueError:
        known = False
    if not known or parts.query or parts.fragment or parts.username or not url.isprintable() or " " in url:
        raise ConfigError(f"“{text.strip()}” is no address of nunect: it looks like https://nunect.example.com.")
    return url
