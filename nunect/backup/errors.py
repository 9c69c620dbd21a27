"""What keeps a backup from being made or restored."""

from __future__ import annotations


class BackupError(Exception):
    """Its one argument is a sentence for the person at the machine: what is in the way, and what to do."""
