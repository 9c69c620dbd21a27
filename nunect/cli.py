"""The `nunect` command: nunect's own commands, without Django's others."""

from __future__ import annotations

import os
import sys

COMMANDS = {
    "up": "start everything on this machine",
    "import": "take over the accounts of a NATS conf file",
    "conf": "digest, check or show a conf",
    "apply": "bring the servers to what the rows say, now",
}


def main() -> None:
    """Run one of COMMANDS; anything else is answered with the list of them."""
    chosen = sys.argv[1] if len(sys.argv) > 1 else ""
    if chosen not in COMMANDS:
        width = max(map(len, COMMANDS))
        lines = "\n".join(f"  nunect {name:{width}}  {what}" for name, what in COMMANDS.items())
        wanted = chosen in ("", "-h", "--help", "help")
        text = f"{lines}\n" if wanted else f"nunect: there is no command “{chosen}”. There are:\n{lines}\n"
        (sys.stdout if wanted else sys.stderr).write(text)
        sys.exit(0 if wanted else 2)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nunect.settings")
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line

    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        sys.exit(f"nunect: {error}")
