"""`nunect import FILE`: start from the file that people have."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from accounts_app.door import through
from accounts_app.importing import ImportReport, import_conf, read_conf, where
from accounts_app.models import System
from accounts_app.natsconf.errors import NatsConfError
from accounts_app.stages import CHANGEABLE, meant

SHOWN = 200  # lines of one verdict that are printed for a person; --json has them all
TITLES = {
    "refused": "Can't be rows",
    "weak": "Taken, but look at it",
    "left": "Left, it belongs to the main file",
    "taken": "Taken",
}


class Command(BaseCommand):
    """Take the accounts, users and permissions of a NATS conf into rows, all or nothing."""

    help = "Import accounts, users and permissions of a NATS configuration file. Repeatable, all or nothing."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", metavar="FILE")
        parser.add_argument("--system", metavar="NAME", help="the system; that of the folder, or the only one")
        parser.add_argument("--dry-run", action="store_true", help="say what would happen, write nothing")
        parser.add_argument("--json", action="store_true", help="print the report as JSON")
        parser.add_argument(
            "--env",
            action="append",
            default=[],
            metavar="NAME=VALUE",
            help="the value of a variable that the server takes from its environment; may be repeated",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        environ = dict(self._pair(text) for text in options["env"])
        try:
            system = self._system(options["system"], Path(options["file"]))
            parsed = read_conf(Path(options["file"]), environ)
            with through("command", reason=f"import of {Path(options['file']).name}"):
                report = import_conf(system, parsed, dry_run=options["dry_run"])
        except OSError as error:
            raise CommandError(f"{error.filename or options['file']} can't be read: {error.strerror}.") from error
        except NatsConfError as error:
            raise CommandError(str(error)) from error
        except ValidationError as error:
            raise CommandError("Nothing was imported:\n" + "\n".join(f"  {text}" for text in error.messages)) from error
        except DatabaseError as error:
            reason = str(error).strip().partition("\n")[0]
            raise CommandError(f"Nothing was imported: the database refused ({reason}).") from error
        if options["json"]:
            self.stdout.write(json.dumps(report.as_dict(), indent=2, ensure_ascii=False))
        else:
            self._tell(report)
        if report.refused:
            sys.exit(1)

    @staticmethod
    def _pair(text: str) -> tuple[str, str]:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise CommandError("--env takes NAME=VALUE.")
        return name, value

    @staticmethod
    def _system(name: str | None, path: Path) -> System:
        systems = {system.name: system for system in System.objects.order_by("pk")}
        if not systems:
            raise CommandError("There is no system yet: run `nunect up` once.")
        here = [system for system in systems.values() if system.folder.resolve() == path.absolute().parent.resolve()]
        if not name and (found := here[0] if len(here) == 1 else meant(systems.values(), CHANGEABLE)):
            return found
        if name in systems:
            return systems[name]
        known = ", ".join(systems)
        if name:
            raise CommandError(f"There is no system “{name}” (there are: {known}).")
        raise CommandError(f"There are several systems: say which one with --system NAME: {known}.")

    def _tell(self, report: ImportReport) -> None:
        counts = Counter(note.verdict for note in report.notes)
        for verdict, title in TITLES.items():
            notes = [note for note in report.notes if note.verdict == verdict]
            if not notes:
                continue
            self.stdout.write(self.style.MIGRATE_HEADING(f"{title} ({len(notes)})"))
            for note in notes[:SHOWN]:
                self.stdout.write(f"  {where(note)}  {note.sentence}".rstrip())
            if len(notes) > SHOWN:
                self.stdout.write(f"  … and {len(notes) - SHOWN} more (--json prints all)")
        if report.refused:
            self.stderr.write(self.style.ERROR("Nothing was imported: this conf can't be taken over."))
            return
        if report.variables:
            self.stdout.write(f"Values given for variables of the environment: {', '.join(report.variables)}")
        made, changed, gone = (sum(part.values()) for part in report.changes.as_dict().values())
        what = "Would write" if report.dry_run else "Wrote"
        rows = f"{what} {made} new rows, {changed} changed, {gone} deleted" if report.changes else "Nothing differs"
        self.stdout.write(
            self.style.SUCCESS(
                f"{rows}: {report.accounts} accounts, {report.users} users read, {counts['refused']} places left out."
            )
        )
