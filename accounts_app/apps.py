"""The room of what shall be true."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class AccountsAppConfig(AppConfig):
    name = "accounts_app"
    verbose_name = _("Access")

    def ready(self) -> None:
        from accounts_app import checks, receivers  # noqa: F401

        receivers.connect()
