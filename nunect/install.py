"""What a first start makes: folders, secrets, the main file. Needs no Django, since settings read its work."""

from __future__ import annotations

import hashlib
import os
import secrets
import socket
import tempfile
from pathlib import Path

from cryptography.fernet import Fernet

MARK = "# nunect:"
TEMPLATE = "nats-server.conf.template"


class CannotStart(Exception):
    """One sentence that says what is in the way and what to do."""


def make_folders(state: Path, config: Path) -> None:
    """The state folder with what belongs into it, for this user alone; the conf folder."""
    for folder in (state, state / "logs", state / "nats", state / "valkey", config):
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError as error:
            raise CannotStart(
                f"{folder} can't be written ({error.strerror}): make it writable, or choose another "
                "folder by NUNECT_STATE_DIR or NUNECT_CONFIG_DIR."
            ) from error


def make_secrets(state: Path) -> Path:
    """`secrets.env` with what the installation must keep; made once, never printed."""
    path = state / "secrets.env"
    if not path.exists():
        lines = {
            "SECRET_KEY": secrets.token_urlsafe(48),
            "NUNECT_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
        }
        write_private(path, "".join(f"{name}={value}\n" for name, value in lines.items()))
    return path


def write_main(config: Path, template: Path, values: dict[str, str]) -> str:
    """Write nats-server.conf from the template, unless a person has edited it; a sentence when it was left alone.

    Line 1 carries the hash of the rest: a file that still matches is nunect's to write again.
    """
    path = config / "nats-server.conf"
    body = template.read_text()
    for name, value in values.items():
        body = body.replace(f"@{name}@", value)
    marked = f"{MARK} {hashlib.sha256(body.encode()).hexdigest()}\n{body}"
    if path.exists():
        present = path.read_text()
        if present == marked:
            return ""
        if not is_ours(present):
            return f"{path} was edited by hand and stays as it is; NATS_PORT and the other settings don't reach it."
    write_private(path, marked)
    return ""


def is_ours(main: str) -> bool:
    """Whether a main file is as nunect wrote it."""
    first, _, rest = main.partition("\n")
    return first == f"{MARK} {hashlib.sha256(rest.encode('utf-8', 'surrogateescape')).hexdigest()}"


def write_private(path: Path, text: str | bytes) -> None:
    """Replace a file at once, readable by this user alone."""
    handle, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(handle, "wb") as file:
        file.write(text.encode() if isinstance(text, str) else text)
        file.flush()
        os.fsync(file.fileno())
    Path(beside).replace(path)


def check_port(host: str, port: int, variable: str) -> None:
    """Raise CannotStart when somebody listens there already."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise CannotStart(
                f"Port {port} on {host} is not free ({error.strerror}): stop what uses it, "
                f"or choose another by {variable}."
            ) from error
