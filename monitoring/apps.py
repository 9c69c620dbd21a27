"""The room that shows what is true."""

from django.apps import AppConfig


class MonitoringConfig(AppConfig):
    name = "monitoring"
