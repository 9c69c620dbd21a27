"""`manage.py relay`: watch the servers for everybody who wants to see them."""

from __future__ import annotations

import asyncio
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts_app.migrated import unfit
from monitoring.relay.process import run


class Command(BaseCommand):
    help = "Watches the servers of every system: what they do goes to Redis for the pages, and to the archive."

    def handle(self, *args: Any, **options: Any) -> None:
        if wrong := unfit():
            raise CommandError(wrong)
        asyncio.run(run())
