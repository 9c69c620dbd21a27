"""Thin Celery entry: a backup, when the clock asks for one."""

from __future__ import annotations

from celery import shared_task

from accounts_app.door import through
from nunect.backup import shelf


@shared_task(name="nunect.backup")
def backup() -> None:
    """Look whether one is due."""
    with through("worker"):
        shelf.back_up_when_due()
