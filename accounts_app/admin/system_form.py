"""The form of a system: secrets are typed in, and never shown again."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminPasswordWidget, UnfoldAdminTextareaWidget

from accounts_app.admin.base import RowForm
from accounts_app.models import System
from accounts_app.systems import check_lent

SECRETS = ("tls_key", "login_secret")
KEPT = _("One is kept; leave this empty to keep it.")


class SystemForm(RowForm):
    """An empty secret keeps the one that is there, as long as what it belongs to stays."""

    forget_login = forms.BooleanField(
        label=_("Forget the login"), required=False, help_text=_("nunect signs in with its own key again.")
    )

    class Meta:
        model = System
        exclude = ()
        labels = {"conf_dir": _("Folder"), "nats_url": _("URL for nunect"), "public_url": _("URL for clients")}
        widgets = {
            "tls_ca": UnfoldAdminTextareaWidget(attrs={"rows": 3, "spellcheck": "false"}),
            "tls_certificate": UnfoldAdminTextareaWidget(attrs={"rows": 3, "spellcheck": "false"}),
            "tls_key": UnfoldAdminTextareaWidget(attrs={"rows": 3, "spellcheck": "false", "autocomplete": "off"}),
            "login_secret": UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"}),
        }

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._kept = {name: getattr(self.instance, name) for name in SECRETS}
        for name in SECRETS:
            if name in self.fields:
                self.initial[name] = ""
                self.fields[name].required = False
                if self._kept[name]:
                    self.fields[name].help_text = KEPT
        if "forget_login" in self.fields and not self._kept["login_secret"]:
            del self.fields["forget_login"]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        if not cleaned.get("tls_key") and cleaned.get("tls_certificate"):
            cleaned["tls_key"] = self._kept["tls_key"]
        if cleaned.get("forget_login"):
            cleaned |= {"login_user": "", "login_secret": ""}
        elif not cleaned.get("login_secret") and cleaned.get("login_user") == self.initial.get("login_user", ""):
            cleaned["login_secret"] = self._kept["login_secret"]
            self._check_lent(cleaned)
        return cleaned

    def _check_lent(self, cleaned: dict[str, Any]) -> None:
        kept = System(login_secret=self._kept["login_secret"], nats_url=self.initial.get("nats_url", ""))
        try:
            check_lent(kept, cleaned.get("nats_url", kept.nats_url))
        except ValidationError as refused:
            self.add_error(None, refused)
