"""`nunect conf digest|check|show`: looking at confs; the first two need no database and no server."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts_app.importing import read_conf
from accounts_app.natsconf.digest import digest
from accounts_app.natsconf.emit import emit
from accounts_app.natsconf.errors import NatsConfError

_SECRET = re.compile(r'(password: )"[^"]*"|(nkey: "U[A-Z2-7]{4})[A-Z2-7]{51}"')


class Command(BaseCommand):
    """Digest, check or show a conf."""

    help = "Print a conf's digest, check a conf, or show the conf of a system as its rows say it."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        acts = parser.add_subparsers(dest="act", required=True, metavar="digest|check|show")
        for act, what in (("digest", "the digest that a server would report"), ("check", "is it a conf?")):
            one = acts.add_parser(act, help=what)
            one.add_argument("file", metavar="FILE")
            one.add_argument("--env", action="append", default=[], metavar="NAME=VALUE")
        show = acts.add_parser("show", help="the conf of a system, from its rows")
        show.add_argument("--system", metavar="NAME")
        show.add_argument("--account", metavar="NAME")
        show.add_argument("--secrets", action="store_true", help="with hashes and whole public keys")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["act"] == "show":
            self._show(options)
            return
        environ = dict(text.partition("=")[::2] for text in options["env"])
        try:
            parsed = read_conf(Path(options["file"]), environ)
        except OSError as error:
            raise CommandError(f"{error.filename or options['file']} can't be read: {error.strerror}.") from error
        except NatsConfError as error:
            raise CommandError(str(error)) from error
        if options["act"] == "digest":
            self.stdout.write(digest(parsed.tree))
        else:
            self._check(Path(options["file"]), digest(parsed.tree))

    def _check(self, path: Path, ours: str) -> None:
        from accounts_app.importing import where
        from accounts_app.natsconf.reading import read_accounts

        for note in read_accounts(read_conf(path)).notes:
            if note.verdict in ("refused", "weak"):
                self.stdout.write(f"{where(note)}  {note.sentence}")
        self.stdout.write(f"{path} is a conf ({ours}).")

    def _show(self, options: dict[str, Any]) -> None:
        from accounts_app.models import System
        from accounts_app.natsconf.render import RenderError, render_account
        from accounts_app.snapshot import take_snapshot

        systems = System.objects.filter(name=options["system"]) if options["system"] else System.objects.order_by("pk")
        system = systems.first()
        if system is None:
            raise CommandError("There is no such system.")
        taken = take_snapshot(system.pk)
        specs = {spec.name: spec for spec in taken.moved.values() if spec.enabled}
        chosen = [options["account"]] if options["account"] else sorted(specs)
        try:
            blocks = [render_account(specs[name], taken.shared, taken.identity, specs) for name in chosen]
        except KeyError as missing:
            raise CommandError(f"There is no enabled account {missing}.") from missing
        except RenderError as error:
            raise CommandError(str(error)) from error
        text = emit({"accounts": {block.account: block.tree for block in blocks}})
        if not options["secrets"]:
            text = _SECRET.sub(lambda found: f'{found[1]}"…"' if found[1] else f'{found[2]}…"', text)
        self.stdout.write(text, ending="")
