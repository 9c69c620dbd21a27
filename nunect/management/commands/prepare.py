"""`manage.py prepare`: what a first start makes, without starting anything (for containers)."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from nunect.install import CannotStart
from nunect.up import prepare
from provisioning.errors import ProvisioningError


class Command(BaseCommand):
    """Migrate, make the first system and administrator, write the conf files. Needs the secrets in the environment."""

    help = "Migrate, make the first system and administrator, and write the conf files; then end."
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            system, password = prepare()
        except CannotStart as error:
            raise CommandError(str(error)) from error
        except ProvisioningError as error:
            raise CommandError(f"{error.detail} {error.server_words}".rstrip()) from error
        self.stdout.write(f"{system.folder} is ready.")
        if password:
            self.stdout.write(f"Sign in as admin / {password} (shown this once).")
