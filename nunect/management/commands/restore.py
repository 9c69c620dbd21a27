"""`nunect restore FILE`: from a backup to a nunect that looks, and writes nothing before somebody says so."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts_app.models import System
from nunect.backup import passphrases
from nunect.backup.archive import Backup
from nunect.backup.database import name_of_what_is_there
from nunect.backup.errors import BackupError
from nunect.backup.restoring import Restored, check_empty, restore
from nunect.install import CannotStart
from provisioning.errors import ProvisioningError
from provisioning.observing import look_now

SHOWN = 20  # names that one sentence lists


class Command(BaseCommand):
    """Put a backup in the place of what is here, and say how it differs from what the servers run."""

    help = "Put a backup in the place of what is here. Every system is then only observed, until you say “manage”."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", metavar="FILE")
        parser.add_argument("--passphrase-file", metavar="FILE", help="its first line opens a sealed backup")
        parser.add_argument("--replace", action="store_true", help="in the place of a database that holds accounts")
        parser.add_argument("--confirm", metavar="NAME", help="the name of the system there, where nobody can be asked")
        parser.add_argument("--keep-tokens", action="store_true", help="leave tokens as they were in the backup")
        parser.add_argument("--check", action="store_true", help="only read it from the first to the last byte")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            backup = Backup(Path(options["file"]), lambda: passphrases.of_backup(options["passphrase_file"]))
            if options["check"]:
                manifest = backup.check()
                total = sum(manifest["counts"].values())
                self.stdout.write(f"{backup.path} is whole: {total} rows of {manifest['made_at']}.")
                return
            check_empty(options["replace"], self._typed(options))
            done = restore(backup, keep_tokens=options["keep_tokens"])
        except (BackupError, CannotStart) as error:
            raise CommandError(str(error)) from error
        self._tell(done)
        self._tell_differences()

    def _typed(self, options: dict[str, Any]) -> str | None:
        if not options["replace"] or options["confirm"] or not sys.stdin.isatty():
            return options["confirm"]
        name = name_of_what_is_there()
        return input(f"This puts the backup in the place of system {name}. Type its name: ") if name else None

    def _tell(self, done: Restored) -> None:
        self.stdout.write(f"{done.rows} rows of {done.made_at} are here again.")
        for note in done.notes:
            self.stdout.write(f"  {note}")
        if done.tokens:
            revoked = "1 token is" if done.tokens == 1 else f"{done.tokens} tokens are"
            self.stdout.write(f"  {revoked} revoked: nobody knows which of them were since the backup.")
        if done.links:
            withdrawn = "1 hand-over link is" if done.links == 1 else f"{done.links} hand-over links are"
            self.stdout.write(f"  {withdrawn} withdrawn.")
        if done.jobs:
            wait = "1 job that was under way waits" if done.jobs == 1 else f"{done.jobs} jobs that were under way wait"
            self.stdout.write(f"  {wait}: look at `nunect jobs` before you say yes.")
        more = f" and {len(done.people) - SHOWN} more" if len(done.people) > SHOWN else ""
        self.stdout.write(
            f"  These may sign in as they could then: {', '.join(done.people[:SHOWN]) or 'nobody'}{more}."
        )

    def _tell_differences(self) -> None:
        for system in System.objects.filter(stage=System.Stage.OBSERVED).order_by("name"):
            try:
                found = look_now(system)
            except ProvisioningError as error:
                self.stdout.write(f"\n{system.name}: what it runs can't be told: {error.detail}")
                continue
            self.stdout.write(f"\n{system.name} is only observed. {found.summary}")
            gone = [word["text"] for word in found.words if word["removes_access"]]
            back = [word["text"] for word in found.words if not word["removes_access"]]
            self._list("It would give back what was revoked, disabled or taken away since", back)
            self._list("It would take away what was added since", gone)
            self.stdout.write(
                f"Nothing is written before you say yes: `nunect system difference {system.name}` looks again, "
                f"`nunect system manage {system.name}` writes."
            )

    def _list(self, title: str, texts: list[str]) -> None:
        if texts:
            self.stdout.write(f"{title}:")
            for text in texts:
                self.stdout.write(f"  {text}")
