"""The forms of a NATS user: how its credential comes about, and how long the former one works beside a new one."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminPasswordWidget,
    UnfoldAdminRadioSelectWidget,
    UnfoldAdminSplitDateTimeWidget,
    UnfoldAdminTextInputWidget,
)

from accounts_app import services
from accounts_app.admin.base import RowForm
from accounts_app.admin.roles import ConnectionTypesField
from accounts_app.models import Account, NatsUser

KEEP = "keep"
NEW = {
    "nkey": _("New nkey pair — nunect makes it and shows the seed once; best for most clients"),
    "nkey_own": _("An nkey that the client made itself — paste its public part"),
    "password": _("Generated password — shown once"),
    "password_own": _("A password that you choose"),
    "certificate": _("TLS certificate"),
}
REFUSALS = (ValidationError, ValueError)


def sentence(refused: Exception) -> str:
    """What one of REFUSALS says."""
    return " ".join(refused.messages) if isinstance(refused, ValidationError) else str(refused)


class UserForm(RowForm):
    """`way` says how the credential comes about. The secret itself is no field of any row."""

    SHOWN_AT = {"nkey": "own_nkey", "credential": "way"}
    CHECKED = ("system", "nkey", "password_hash", "certificate", "credential")

    way = forms.ChoiceField(label=_("Credential"), widget=UnfoldAdminRadioSelectWidget(radio_style=2))
    own_nkey = forms.CharField(
        label=_("Public nkey"),
        required=False,
        max_length=100,
        widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off", "spellcheck": "false"}),
        help_text=_("Starts with U. The seed (it starts with SU) stays with the client."),
    )
    own_password = forms.CharField(
        label=_("Password"),
        required=False,
        strip=False,
        max_length=200,
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"}),
        help_text=_(
            "At least 10 characters, at most 72 bytes. It costs the server more at each login than a generated one."
        ),
    )
    own_certificate = forms.CharField(
        label=_("Certificate identity"),
        required=False,
        max_length=500,
        widget=UnfoldAdminTextInputWidget(),
        help_text=NatsUser._meta.get_field("certificate").help_text,
    )
    connection_types = ConnectionTypesField(
        help_text=_("How it may connect; none ticked: as its role says, or in every way."),
        label=_("connection types"),
    )

    class Meta:
        model = NatsUser
        exclude = ("credential", "nkey", "certificate")

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.secret: services.NewSecret | None = None
        if "way" in self.fields:
            ways: list[tuple[str, Any]] = list(NEW.items())
            if self.instance.pk:
                kept = self.instance.get_credential_display()
                ways.insert(0, (KEEP, _("Keep what it has: %(credential)s") % {"credential": kept}))
            self.fields["way"].choices = ways  # type: ignore[attr-defined]
            self.fields["way"].initial = KEEP if self.instance.pk else "nkey"
        account = self.instance.account_id or self.initial.get("account")
        role = self.fields.get("role")
        if isinstance(role, forms.ModelChoiceField) and str(account or "").isdecimal():
            system = Account.objects.filter(pk=str(account)).values("system")[:1]
            own = Q(account=account) | Q(account=None, system__in=system)
            role.queryset = role.queryset.filter(own)  # type: ignore[union-attr]

    def _get_validation_exclusions(self) -> set[str]:
        """Without a form that holds there is no credential yet, and nothing to say about it."""
        found = super()._get_validation_exclusions()
        return found | {"credential"} if self.errors else found

    def _post_clean(self) -> None:
        if not self.errors:
            account = self.cleaned_data.get("account") or getattr(self.instance, "account", None)
            if account is not None:
                self.instance.account, self.instance.system_id = account, account.system_id
                self.instance.name = self.cleaned_data.get("name", self.instance.name)
            self._take_credential()
        super()._post_clean()  # type: ignore[misc]

    def _take_credential(self) -> None:
        way, data = self.cleaned_data.get("way", KEEP), self.cleaned_data
        needed = {
            "nkey_own": ("own_nkey", _("Paste the public nkey.")),
            "password_own": ("own_password", _("Choose a password.")),
            "certificate": ("own_certificate", _("Say whose certificate it is.")),
        }
        field, ask = needed.get(way, ("way", ""))
        if way == KEEP:
            return
        if ask and not data.get(field):
            self.add_error(field, ask)
            return
        if way == "nkey_own" and data["own_nkey"].strip().startswith("S"):
            self.add_error(field, _("This is a seed, which is secret: paste the public key, which starts with U."))
            return
        kind = way.removesuffix("_own")
        given = {field.removeprefix("own_"): data[field]} if ask else {}
        if way == "nkey_own":
            given["nkey"] = data[field].strip()
        try:
            self.secret = services.set_credential(self.instance, kind, **given)
        except REFUSALS as refused:
            self.add_error(field, sentence(refused))
        else:  # who replaces a credential here wants the former ones to end
            self.instance.retiring_nkey = self.instance.retiring_password_hash = ""
            self.instance.retiring_until = None


class OverlapForm(forms.Form):
    """Until when the former credential works beside the new one."""

    until = forms.SplitDateTimeField(
        label=_("The former credential works until"),
        widget=UnfoldAdminSplitDateTimeWidget(),
        error_messages={"required": _("Say until when."), "invalid": _("Give a date and a time.")},
    )

    def clean_until(self) -> Any:
        until = self.cleaned_data["until"]
        now = timezone.now()
        if until <= now:
            raise ValidationError(_("This time is over already."))
        if until > now + timedelta(days=366):
            raise ValidationError(_("A year from now at most: two credentials are two doors."))
        return until
