"""Revisions, held changes and drift become events as their rows are written."""

from __future__ import annotations


def connect() -> None:
    """Listen."""
