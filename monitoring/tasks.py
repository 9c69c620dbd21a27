"""Thin Celery entries: what is too old is forgotten."""

from __future__ import annotations

from celery import shared_task

from monitoring import retention


@shared_task(name="monitoring.forget")
def forget() -> None:
    """Events and minutes beyond their days go, a few at a time."""
    retention.forget()
