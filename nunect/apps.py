"""Wiring: whoever loads Django knows the broker, so that a save in any process can send its hint."""

from django.apps import AppConfig


class NunectConfig(AppConfig):
    name = "nunect"

    def ready(self) -> None:
        from nunect import celery  # noqa: F401  without it `current_app` would look for a broker on localhost
