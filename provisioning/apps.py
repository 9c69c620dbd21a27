"""The room that makes it true."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class ProvisioningConfig(AppConfig):
    name = "provisioning"
    verbose_name = _("Changes")

    def ready(self) -> None:
        from accounts_app import retiring
        from provisioning import leaving, receivers

        receivers.connect()
        retiring.told_by(leaving.leaving)
