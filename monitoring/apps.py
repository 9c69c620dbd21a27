"""The room that shows what is true."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class MonitoringConfig(AppConfig):
    name = "monitoring"
    verbose_name = _("What happened")

    def ready(self) -> None:
        from monitoring import jobs_live, receivers

        receivers.connect()
        jobs_live.connect()
