"""`manage.py up`, the same as `make up` and `nunect up`."""

import sys
from typing import Any

from django.core.management.base import BaseCommand

from nunect.up import up


class Command(BaseCommand):
    """Start nats-server, Valkey, the web process and the worker, and keep them running."""

    help = "Start everything on this machine: nats-server, Valkey, web, worker. Ctrl-C stops it."
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        sys.exit(up())
