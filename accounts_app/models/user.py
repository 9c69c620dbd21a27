"""NATS users: who may connect, how they prove it, what they may do."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts_app import validators
from accounts_app.models.account import Account, Role
from accounts_app.models.base import ConfigModel, history
from accounts_app.models.system import System
from accounts_app.natsconf import subjects


class NatsUser(ConfigModel):
    """One user of one account.

    Secrets are shown once and never stored: password_hash is bcrypt, nkey a public key. While
    retiring_until lies ahead, the former credential works beside the new one.
    """

    AFFECTS = ()

    CONSTRAINT_FIELDS = {
        "user_name_once_per_system": "name",
        "nkey_once_per_system": "nkey",
        "role_with_access_role": "role",
        "user_has_its_credential": "credential",
    }

    class Credential(models.TextChoices):
        NKEY = "nkey", _("nkey")
        PASSWORD = "password", _("password")
        CERTIFICATE = "certificate", _("certificate")
        NONE = "none", _("none yet")

    class Access(models.TextChoices):
        OWN = "own", _("own permissions")
        ROLE = "role", _("a role's permissions")
        INHERIT = "inherit", _("the account's default")
        ALL = "all", _("everything in its account")

    system = models.ForeignKey(System, models.PROTECT, related_name="users", editable=False)
    account = models.ForeignKey(Account, models.CASCADE, related_name="users")
    name = models.CharField(
        max_length=200,
        validators=[validators.user_name],
        help_text=_("Unique in the whole system: NATS knows users of all accounts by name alone."),
    )
    description = models.CharField(max_length=500, blank=True, validators=[validators.text])
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="owned_nats_users"
    )
    credential = models.CharField(
        max_length=12,
        choices=Credential,
        default=Credential.NKEY,
        help_text=_(
            "An nkey is the best: the server holds no secret, and logins cost it nothing. Passwords cost the server "
            "a bcrypt check for every login and, at each reload, for every connected client."
        ),
    )
    password_hash = models.CharField(max_length=72, blank=True, default="", editable=False)
    nkey = models.CharField(
        _("public nkey"),
        max_length=56,
        blank=True,
        default="",
        validators=[validators.user_nkey],
        help_text=_("Starts with U. Leave empty and nunect makes a pair, and shows the seed once."),
    )
    certificate = models.CharField(
        _("certificate identity"),
        max_length=500,
        blank=True,
        default="",
        validators=[validators.certificate_identity],
        help_text=_(
            "The e-mail, DNS name or URI of the certificate, or its subject such as CN=carol,OU=ops. "
            "The server must map certificates to users (tls verify_and_map)."
        ),
    )
    fingerprint = models.CharField(max_length=64, blank=True, default="", editable=False)
    retiring_password_hash = models.CharField(max_length=72, blank=True, default="", editable=False)
    retiring_nkey = models.CharField(max_length=56, blank=True, default="", editable=False)
    retiring_until = models.DateTimeField(null=True, blank=True, editable=False)

    access = models.CharField(
        max_length=8,
        choices=Access,
        default=Access.OWN,
        help_text=_("With own permissions and no rows below, the user may do nothing."),
    )
    role = models.ForeignKey(Role, models.RESTRICT, null=True, blank=True, related_name="users")
    allow_responses = models.BooleanField(
        default=False, help_text=_("May reply to requests it has received (with own permissions).")
    )
    responses_max = models.IntegerField(
        default=0, help_text=_("Replies to one request; 0: the server's default (1); negative: no limit.")
    )
    responses_expires = models.CharField(
        max_length=32,
        blank=True,
        validators=[validators.duration],
        help_text=_('How long after the request, such as "2s"; empty: the server\'s default (2 minutes).'),
    )
    connection_types = models.JSONField(
        default=list,
        blank=True,
        validators=[validators.connection_types],
        help_text=_("How it may connect; none chosen: as its role says, or in every way."),
    )
    expires_at = models.DateTimeField(
        null=True, blank=True, help_text=_("From then on the servers don't know this user any more.")
    )
    enabled = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)

    history = history("password_hash", "retiring_password_hash", "fingerprint")

    class Meta:
        verbose_name = _("user")
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                fields=["system", "name"],
                name="user_name_once_per_system",
                violation_error_message=_("A user of this name exists already in this system."),
            ),
            models.UniqueConstraint(
                fields=["system", "nkey"],
                condition=~Q(nkey=""),
                name="nkey_once_per_system",
                violation_error_message=_("Another user of this system has this nkey already."),
            ),
            models.CheckConstraint(
                condition=(Q(access="role") & Q(role__isnull=False)) | (~Q(access="role") & Q(role__isnull=True)),
                name="role_with_access_role",
                violation_error_message=_("Choose a role exactly when access is a role's permissions."),
            ),
            models.CheckConstraint(
                condition=(
                    (Q(credential="password") & ~Q(password_hash=""))
                    | (Q(credential="nkey") & ~Q(nkey=""))
                    | (Q(credential="certificate") & ~Q(certificate=""))
                    | (Q(credential="none") & Q(enabled=False))
                ),
                name="user_has_its_credential",
                violation_error_message=_("A user needs a credential before it can be enabled."),
            ),
        ]
        indexes = [
            models.Index(fields=["account", "name"]),
            models.Index(fields=["expires_at"]),
            models.Index(fields=["retiring_until"]),
            models.Index(fields=["name"]),  # lists of the whole system are ordered by it
            models.Index(fields=["created_at"]),
            models.Index(fields=["system", "retiring_nkey"], condition=~Q(retiring_nkey=""), name="user_retiring_nkey"),
            models.Index(fields=["system", "certificate"], condition=~Q(certificate=""), name="user_certificate"),
        ]

    def __str__(self) -> str:
        return self.name

    def save(self, *args: Any, **options: Any) -> None:
        self.system_id = self.account.system_id
        super().save(*args, **options)

    def affects(self) -> tuple[int, list[int]]:
        return self.system_id, [self.account_id]

    def clean(self) -> None:
        if self.access == self.Access.ROLE and not self.role_id:
            raise ValidationError({"role": _("Choose the role whose permissions this user has.")})
        if self.access != self.Access.ROLE and self.role_id:
            raise ValidationError({"role": _("A role goes with the access “a role's permissions” only.")})
        if self.role and self.account_id:
            if self.role.account_id not in (None, self.account_id) or self.role.system_id != self.account.system_id:
                raise ValidationError({"role": _("This role belongs to another account.")})
            self._check_template()
        if self.account_id and self.name in self.account.system.own_nkeys:
            raise ValidationError({"name": _("This nkey is nunect's own.")})
        before = type(self)._base_manager.filter(pk=self.pk).values("account_id", "expires_at").first()
        over = isinstance(self.expires_at, datetime) and self.expires_at <= timezone.now()
        if over and (before is None or before["expires_at"] != self.expires_at):
            raise ValidationError({"expires_at": _("This time is over already; to stop a user now, disable it.")})
        if before is not None and before["account_id"] != self.account_id:
            raise ValidationError(
                {"account": _("A user can't move to another account: create one there and disable this one.")}
            )

    def _check_template(self) -> None:
        templates = (rule.subject for rule in self.role.permissions.all() if "{{" in rule.subject)  # type: ignore[union-attr, misc]
        for template in templates:
            try:
                subjects.expand(template, self.name, self.account.name)
            except ValueError as refused:
                raise ValidationError({"name": str(refused)}) from refused

    def is_live(self, now: datetime | None = None) -> bool:
        """Whether the servers shall know it: enabled, with a credential, not expired."""
        return (
            self.enabled
            and self.credential != self.Credential.NONE
            and (self.expires_at is None or self.expires_at > (now or timezone.now()))
        )

    @property
    def state(self) -> str:
        """The state of its account: the servers take accounts whole."""
        return self.account.state
