"""`nunect enforce`: bring the servers to what the rows say, now and in this process."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts_app.door import through
from accounts_app.models import System
from accounts_app.stages import why_unwritten
from provisioning import pipeline
from provisioning.errors import ProvisioningError


class Command(BaseCommand):
    """Run the pipeline once for every system, trusting no cache."""

    help = "Bring the servers to what the rows say, now, without waiting for the worker."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--system", metavar="NAME", help="this system only")

    def handle(self, *args: Any, **options: Any) -> None:
        systems = System.objects.filter(name=options["system"]) if options["system"] else System.objects.all()
        if not systems:
            raise CommandError("There is no such system.")
        for system in systems:
            if why := why_unwritten(system):
                self.stdout.write(why)
            try:
                with through("command", reason="nunect enforce"):
                    revision = pipeline.apply(system.pk, fresh=True, reason="nunect enforce")
            except ProvisioningError as error:
                raise CommandError(f"{system}: {error.detail} {error.server_words}".rstrip()) from error
            system.refresh_from_db()
            if why:
                continue
            waiting = system.accounts.exclude(problem_kind="").values_list("name", "problem_kind")
            told = "".join(f"; {name} is {kind}" for name, kind in waiting)
            self.stdout.write(f"{system}: the servers hold {revision or 'no revision yet'}{told}.")
