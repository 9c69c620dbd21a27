"""The commands that work on this machine itself: Django's management commands under nunect's name."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from contextlib import suppress

COMMANDS = {  # {name: (Django's name, what it does)}
    "up": ("up", "Start everything on this machine: NATS, Valkey, web, worker."),
    "import": ("import", "Take over the accounts of a NATS conf file."),
    "takeover": ("takeover", "Take over the accounts of a running server, or give them back."),
    "conf": ("conf", "Digest, check or show a conf."),
    "enforce": ("enforce", "Bring the servers to what the rows say, now, from this machine."),
    "backup": ("backup", "Write rows, keys and conf files into one file, while everything runs."),
    "restore": ("restore", "Put a backup in the place of what is here; nothing is applied before you say so."),
}
WRITES_HERE = ("import", "takeover", "enforce", "backup", "restore")
_DJANGOS_OWN = {
    "--version", "--verbosity", "--settings", "--pythonpath", "--traceback", "--no-color", "--force-color",
    "--skip-checks",
}  # fmt: skip


def run(name: str, arguments: Sequence[str]) -> int:
    """Run one of COMMANDS with its arguments; the exit code. What is wrong is one sentence on stderr."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nunect.settings")
    import django
    from django.core.exceptions import ImproperlyConfigured

    if name in WRITES_HERE:
        _say_where()
    try:
        _take_early(arguments)
        django.setup()
        if name != "up" and "NUNECT_LOG_LEVEL" not in os.environ:
            logging.getLogger().setLevel(logging.WARNING)  # the command says itself what it did
        return _execute(name, arguments)
    except ImproperlyConfigured as error:
        sys.stderr.write(f"nunect: {error}\n")
        return 1


def _say_where() -> None:
    """Somebody who works with a nunect elsewhere should know that this doesn't reach it."""
    from nunect.cli.config import ConfigError, find_target

    try:
        target = find_target()
    except ConfigError:
        return
    if target is not None:
        sys.stderr.write(f"nunect: this works on the database of this machine, not on {target.url}.\n")


def _take_early(arguments: Sequence[str]) -> None:
    """--settings and --pythonpath must be known before Django is set up."""
    from django.core.management.base import CommandParser, handle_default_options

    parser = CommandParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--settings")
    parser.add_argument("--pythonpath")
    handle_default_options(parser.parse_known_args(list(arguments))[0])


def _execute(name: str, arguments: Sequence[str]) -> int:
    from django.core.management import get_commands, load_command_class
    from django.core.management.base import CommandError, SystemCheckError
    from django.db import DatabaseError, connections

    djangos_name = COMMANDS[name][0]
    command = load_command_class(get_commands()[djangos_name], djangos_name)
    command.suppressed_base_arguments = _DJANGOS_OWN
    command._called_from_command_line = True  # type: ignore[attr-defined]  # a wrong argument is answered with the usage, not with a traceback
    options = vars(command.create_parser("nunect", name).parse_args(list(arguments)))
    traceback = options.get("traceback")
    try:
        command.execute(*options.pop("args", ()), **options)
    except CommandError as error:
        if traceback:
            raise
        text = str(error) if isinstance(error, SystemCheckError) else f"nunect: {error}"
        sys.stderr.write(text.rstrip() + "\n")
        return int(error.returncode)
    except DatabaseError as error:
        if traceback:
            raise
        sys.stderr.write(f"nunect: {_why(error)}\n")
        return 1
    finally:
        connections.close_all()
    return 0


def _why(error: Exception) -> str:
    """What is wrong with the database, and what to do."""
    from django.db import DatabaseError

    from accounts_app.migrated import mismatch

    with suppress(DatabaseError):
        if wrong := mismatch():
            return wrong
    reason = str(error).strip().partition("\n")[0]
    return f"The database can't be used ({reason}). See DATABASE_URL, or ask `nunect doctor`."
