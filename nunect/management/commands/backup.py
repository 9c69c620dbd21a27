"""`nunect backup FILE`: all that is needed to begin again on an empty machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts_app.door import through
from nunect.backup import passphrases
from nunect.backup.errors import BackupError
from nunect.backup.making import make


class Command(BaseCommand):
    """Write a backup while everything runs: whole or not at all."""

    help = "Write rows, nunect's own keys and the conf files of each system into one new file, while everything runs."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", metavar="FILE")
        how = parser.add_mutually_exclusive_group()
        how.add_argument("--passphrase-file", metavar="FILE", help="seal it with the first line of this file")
        how.add_argument("--passphrase", action="store_true", help="seal it; asks for the passphrase")
        parser.add_argument("--without-events", action="store_true", help="leave out the archive of events and figures")

    def handle(self, *args: Any, **options: Any) -> None:
        path = Path(options["file"]).absolute()
        try:
            passphrase = passphrases.chosen(options["passphrase_file"], ask=options["passphrase"])
            with through("command"):
                made = make(path, passphrase, events=not options["without_events"])
        except BackupError as error:
            raise CommandError(str(error)) from error
        for note in made.notes:
            self.stderr.write(f"nunect: {note}")
        users, total = made.counts.get("accounts_app.NatsUser", 0), sum(made.counts.values())
        self.stdout.write(f"{path} holds {users} users, {total} rows in all ({path.stat().st_size / 1e6:.1f} MB).")
        if not passphrase:
            self.stderr.write("nunect: It holds nunect's own keys and isn't sealed: keep it as you keep those.")
