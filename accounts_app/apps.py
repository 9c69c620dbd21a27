"""The room of what shall be true."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class AccountsAppConfig(AppConfig):
    name = "accounts_app"
    verbose_name = _("Access")

    def ready(self) -> None:
        from accounts_app import checks, receivers  # noqa: F401

        receivers.connect()
        _name_people()


def _name_people() -> None:
    """Django's users are people here: a user is one of NATS. Not said in the model's state, so no migration follows."""
    from django.contrib.auth import get_user_model

    options = get_user_model()._meta
    options.verbose_name, options.verbose_name_plural = _("person"), _("people")
