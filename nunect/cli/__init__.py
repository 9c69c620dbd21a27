"""The `nunect` command. This file stays light: `nunect up` must not wait for what it doesn't use."""

from __future__ import annotations

import sys


def main() -> None:
    """Hand Django's commands to Django, everything else to click."""
    from nunect.cli import django_commands

    if len(sys.argv) > 1 and sys.argv[1] in django_commands.COMMANDS:
        sys.exit(django_commands.run(sys.argv[1], sys.argv[2:]))
    from nunect.cli.app import app

    app.main(prog_name="nunect")
